/** The end of a text that may be endless. */
export class TailText {
  readonly #limit: number;
  /** Twice as much as is kept, so that it is moved to the front only now and then. */
  readonly #bytes: Buffer;
  #used = 0;
  #cut = false;

  /** @param limit bytes that are kept */
  constructor(limit: number) {
    this.#limit = limit;
    this.#bytes = Buffer.alloc(2 * limit);
  }

  append(chunk: Uint8Array): void {
    const end = chunk.subarray(Math.max(0, chunk.length - this.#limit));
    this.#cut ||= end.length < chunk.length;
    if (this.#used + end.length > this.#bytes.length) {
      this.#bytes.copyWithin(0, this.#used - this.#limit, this.#used);
      this.#used = this.#limit;
      this.#cut = true;
    }
    this.#bytes.set(end, this.#used);
    this.#used += end.length;
  }

  get text(): string {
    let start = Math.max(0, this.#used - this.#limit);
    // Not with the rest of a character that was cut in two.
    if (start > 0 || this.#cut) {
      while (start < this.#used && (this.#bytes.readUInt8(start) & 0xc0) === 0x80) start++;
    }
    return this.#bytes.toString('utf8', start, this.#used);
  }
}
