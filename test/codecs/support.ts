/** Writes big-endian bit fields, the inverse of the reader under test. */
export class BitWriter {
  readonly #bits: number[] = [];

  bits(value: number, count: number): this {
    for (let i = count - 1; i >= 0; i--) this.#bits.push(Math.floor(value / 2 ** i) % 2);
    return this;
  }

  flag(value: boolean): this {
    return this.bits(value ? 1 : 0, 1);
  }

  ue(value: number): this {
    const length = Math.floor(Math.log2(value + 1));
    return this.bits(0, length).bits(value + 1, length + 1);
  }

  se(value: number): this {
    return this.ue(value > 0 ? 2 * value - 1 : -2 * value);
  }

  get bytes(): Buffer {
    const bytes = Buffer.alloc(Math.ceil(this.#bits.length / 8));
    this.#bits.forEach((bit, index) => {
      bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (bit << (7 - (index & 7)));
    });
    return bytes;
  }
}

export interface SpsShape {
  readonly profile?: number;
  readonly constraints?: number;
  readonly level?: number;
  /** Coded size in macroblocks and map units. */
  readonly mbWidth: number;
  readonly mapHeight: number;
  readonly frameMbsOnly?: boolean;
  readonly crop?: readonly [left: number, right: number, top: number, bottom: number];
  readonly chromaFormat?: number;
  /** One entry per list: null = not present, else its delta_scale values. */
  readonly scalingLists?: readonly (readonly number[] | null)[];
  readonly pocType?: 0 | 1 | 2;
  readonly timing?: { readonly unitsInTick: number; readonly timeScale: number };
  /** VUI with everything that may stand before the timing. */
  readonly fullVui?: boolean;
}

/** A sequence parameter set NAL unit with emulation prevention, as H.264 7.3.2.1.1 lays it out. */
export function makeSps(shape: SpsShape): Buffer {
  const { profile = 77, constraints = 0, level = 31, frameMbsOnly = true, pocType = 0, crop } = shape;
  const w = new BitWriter();
  w.bits(0x67, 8).bits(profile, 8).bits(constraints, 8).bits(level, 8).ue(0);
  if (profile === 100 || profile === 110 || profile === 122 || profile === 244) {
    const chroma = shape.chromaFormat ?? 1;
    w.ue(chroma);
    if (chroma === 3) w.flag(false);
    w.ue(0)
      .ue(0)
      .flag(false)
      .flag(shape.scalingLists !== undefined);
    for (const list of shape.scalingLists ?? []) {
      w.flag(list !== null);
      for (const delta of list ?? []) w.se(delta);
    }
  }
  w.ue(0).ue(pocType);
  if (pocType === 0) w.ue(2);
  if (pocType === 1) w.flag(false).se(-3).se(4).ue(2).se(1).se(-1);
  w.ue(4).flag(false);
  w.ue(shape.mbWidth - 1)
    .ue(shape.mapHeight - 1)
    .flag(frameMbsOnly);
  if (!frameMbsOnly) w.flag(true);
  w.flag(true).flag(crop !== undefined);
  for (const side of crop ?? []) w.ue(side);
  const { timing, fullVui = false } = shape;
  w.flag(timing !== undefined || fullVui);
  if (timing !== undefined || fullVui) {
    w.flag(fullVui);
    if (fullVui) w.bits(255, 8).bits(40, 16).bits(33, 16);
    w.flag(fullVui);
    if (fullVui) w.flag(true);
    w.flag(fullVui);
    if (fullVui) w.bits(5, 3).flag(false).flag(true).bits(0x010101, 24);
    w.flag(fullVui);
    if (fullVui) w.ue(1).ue(1);
    w.flag(timing !== undefined);
    if (timing !== undefined) w.bits(timing.unitsInTick, 32).bits(timing.timeScale, 32).flag(true);
  }
  return addEmulationPrevention(w.bits(1, 1).bytes);
}

export function addEmulationPrevention(nal: Uint8Array): Buffer {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of nal) {
    if (zeros >= 2 && byte <= 3) {
      out.push(3);
      zeros = 0;
    }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Buffer.from(out);
}

/** NAL units, each after its length. */
export function lengthPrefixed(nals: readonly Uint8Array[], size = 4): Buffer {
  return Buffer.concat(
    nals.flatMap((nal) => {
      const length = Buffer.alloc(size);
      length.writeUIntBE(nal.length, 0, size);
      return [length, nal];
    }),
  );
}
