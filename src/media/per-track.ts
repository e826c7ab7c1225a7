/** A value for each track of a publisher, by the track's id. There is a handful: looking through them beats hashing. */
export class PerTrack<T> {
  readonly #ids: string[] = [];
  readonly #values: T[] = [];

  get(id: string): T | undefined {
    const ids = this.#ids;
    for (let index = 0; index < ids.length; index++) if (ids[index] === id) return this.#values[index];
    return undefined;
  }

  set(id: string, value: T): void {
    const index = this.#ids.indexOf(id);
    if (index >= 0) {
      this.#values[index] = value;
      return;
    }
    this.#ids.push(id);
    this.#values.push(value);
  }

  /** In the order in which the tracks came. */
  values(): readonly T[] {
    return this.#values;
  }
}
