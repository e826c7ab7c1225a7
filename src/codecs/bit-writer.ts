/** Writes big-endian bit fields; the inverse of the BitReader. */
export class BitWriter {
  #bytes = new Uint8Array(64);
  #position = 0;

  /** Unsigned field of 0…32 bits. */
  bits(value: number, count: number): this {
    for (let i = count - 1; i >= 0; i--) this.#bit(Math.floor(value / 2 ** i) % 2);
    return this;
  }

  flag(value: boolean): this {
    this.#bit(value ? 1 : 0);
    return this;
  }

  /** ue(v), unsigned Exp-Golomb (H.264 9.1). */
  unsignedExpGolomb(value: number): this {
    const length = Math.floor(Math.log2(value + 1));
    return this.bits(0, length).bits(value + 1, length + 1);
  }

  /** se(v), signed Exp-Golomb (H.264 9.1.1). */
  signedExpGolomb(value: number): this {
    return this.unsignedExpGolomb(value > 0 ? 2 * value - 1 : -2 * value);
  }

  /** Fills the byte that was begun, if any. */
  align(bit: 0 | 1): this {
    while (this.#position % 8 !== 0) this.#bit(bit);
    return this;
  }

  /** Everything in `source` from a bit on. Bytewise: it may be a whole picture. */
  append(source: Uint8Array, fromBit = 0): this {
    let from = fromBit;
    for (; from % 8 !== 0 && from < source.length * 8; from++) {
      this.#bit(((source[from >> 3] as number) >> (7 - (from & 7))) & 1);
    }
    const rest = source.subarray(from >> 3);
    this.#reserve(rest.length + 1);
    const shift = this.#position & 7;
    let at = this.#position >> 3;
    for (const byte of rest) {
      this.#bytes[at] = (this.#bytes[at] as number) | (byte >> shift);
      at++;
      if (shift > 0) this.#bytes[at] = (byte << (8 - shift)) & 0xff;
    }
    this.#position += rest.length * 8;
    return this;
  }

  /** A copy of what was written; the last byte is filled with zeros. */
  get bytes(): Uint8Array {
    return this.#bytes.slice(0, Math.ceil(this.#position / 8));
  }

  #bit(bit: number): void {
    this.#reserve(1);
    const at = this.#position >> 3;
    this.#bytes[at] = (this.#bytes[at] as number) | (bit << (7 - (this.#position & 7)));
    this.#position++;
  }

  #reserve(bytes: number): void {
    const needed = (this.#position >> 3) + bytes + 1;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
