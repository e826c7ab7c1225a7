import { SluiceError } from '../media/errors.ts';

/** Reads big-endian bit fields; running past the end is a SLUICE_CODEC_MALFORMED error, never a silent zero. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get bitsLeft(): number {
    return this.#bytes.length * 8 - this.#position;
  }

  /** Bits read or skipped so far. */
  get position(): number {
    return this.#position;
  }

  /** Unsigned field of 0…32 bits. */
  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 2 + this.bit();
    return value;
  }

  bit(): number {
    const byte = this.#bytes[this.#position >> 3];
    if (byte === undefined) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'bit field runs past the end');
    return (byte >> (7 - (this.#position++ & 7))) & 1;
  }

  flag(): boolean {
    return this.bit() === 1;
  }

  skip(count: number): void {
    this.#position += count;
  }

  /** ue(v), unsigned Exp-Golomb (H.264 9.1). */
  unsignedExpGolomb(): number {
    let zeros = 0;
    while (this.bit() === 0) {
      if (++zeros > 32)
        throw new SluiceError('SLUICE_CODEC_MALFORMED', 'Exp-Golomb code longer than 32 bits');
    }
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  /** se(v), signed Exp-Golomb (H.264 9.1.1). */
  signedExpGolomb(): number {
    const code = this.unsignedExpGolomb();
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2;
  }
}
