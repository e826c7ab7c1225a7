/** The end of a text that may be endless. */
export class TailText {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** @param limit bytes that are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  append(chunk: Buffer): void {
    const end = chunk.length > this.#limit ? Buffer.from(chunk.subarray(-this.#limit)) : chunk;
    this.#chunks.push(end);
    this.#bytes += end.length;
    for (
      let first = this.#chunks[0];
      first !== undefined && this.#bytes - first.length >= this.#limit;
      first = this.#chunks[0]
    ) {
      this.#chunks.shift();
      this.#bytes -= first.length;
    }
  }

  get text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#limit).toString('utf8');
  }
}
