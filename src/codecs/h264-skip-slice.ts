import { BitWriter } from './bit-writer.ts';

/**
 * slice_data() of a P slice in which every macroblock is skipped: it shows its reference picture again, bit by bit.
 * Includes the stop bit. CAVLC (H.264 7.3.4): one mb_skip_run.
 */
export function cavlcSkips(macroblocks: number): (header: BitWriter) => BitWriter {
  return (header) => header.unsignedExpGolomb(macroblocks).flag(true);
}

/** The QP that {@link cabacSkips} is made for: mb_skip_flag is all but certain from the first macroblock on. */
export const SKIP_QP = 51;
/** State of ctxIdx 11 at QP 51 with cabac_init_idc 0: m 23, n 33 (H.264 9.3.1.1, table 9-13). */
const FIRST_STATE = ((23 * SKIP_QP) >> 4) + 33 - 64;
const LAST_STATE = 62;
/** rangeTabLPS of the states from 42 to 62 (H.264 table 9-44). */
const RANGE_LPS = [
  [16, 20, 23, 27],
  [15, 19, 22, 25],
  [14, 18, 21, 24],
  [14, 17, 20, 23],
  [13, 16, 19, 22],
  [12, 15, 18, 21],
  [12, 14, 17, 20],
  [11, 14, 16, 19],
  [11, 13, 15, 18],
  [10, 12, 15, 17],
  [10, 12, 14, 16],
  [9, 11, 13, 15],
  [9, 11, 12, 14],
  [8, 10, 12, 14],
  [8, 9, 11, 13],
  [7, 9, 11, 12],
  [7, 9, 10, 12],
  [7, 8, 10, 11],
  [6, 8, 9, 11],
  [6, 7, 9, 10],
  [6, 7, 8, 9],
] as const;

/**
 * The same for CABAC (H.264 9.3.4): mb_skip_flag 1 and end_of_slice_flag for each macroblock. The neighbours are skipped
 * or not there, so the context is always the first one, and the bin always its most probable symbol.
 */
export function cabacSkips(macroblocks: number): (header: BitWriter) => BitWriter {
  const coder = new MostProbableCoder();
  let state = FIRST_STATE;
  for (let left = macroblocks; left > 0; left--) {
    coder.mostProbable(state);
    state = Math.min(state + 1, LAST_STATE);
    coder.terminate(left === 1);
  }
  const { bytes } = coder;
  // cabac_alignment_one_bit
  return (header) => header.align(1).append(bytes);
}

/** The part of the arithmetic coder that is used when nothing unlikely ever happens. */
class MostProbableCoder {
  readonly #out = new BitWriter();
  #low = 0;
  #range = 510;
  #outstanding = 0;
  #first = true;

  mostProbable(state: number): void {
    const quarter = (this.#range >> 6) & 3;
    this.#range -= RANGE_LPS[state - FIRST_STATE]?.[quarter] ?? 2;
    this.#renormalise();
  }

  terminate(end: boolean): void {
    this.#range -= 2;
    if (end) {
      this.#low += this.#range;
      this.#range = 2;
    }
    this.#renormalise();
    if (!end) return;
    this.#put((this.#low >> 9) & 1);
    // The last bit is rbsp_stop_one_bit.
    this.#out.bits(((this.#low >> 7) & 3) | 1, 2);
  }

  get bytes(): Uint8Array {
    return this.#out.bytes;
  }

  #renormalise(): void {
    while (this.#range < 256) {
      if (this.#low < 256) this.#put(0);
      else if (this.#low >= 512) {
        this.#low -= 512;
        this.#put(1);
      } else {
        this.#low -= 256;
        this.#outstanding++;
      }
      this.#range <<= 1;
      this.#low <<= 1;
    }
  }

  #put(bit: number): void {
    if (this.#first) this.#first = false;
    else this.#out.bits(bit, 1);
    for (; this.#outstanding > 0; this.#outstanding--) this.#out.bits(1 - bit, 1);
  }
}
