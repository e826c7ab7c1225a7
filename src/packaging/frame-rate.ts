import { TICKS_PER_SECOND, type Ticks, ticksFromMs } from '../media/time.ts';

const COMMON_RATES = [24_000 / 1001, 24, 25, 30_000 / 1001, 30, 48, 50, 60_000 / 1001, 60, 90, 100, 120];
/** A measured rate this close to a known one is that one; milliseconds are not exact enough to tell. */
const TOLERANCE = 0.005;
/** … and this close to what the bitstream promises: encoders are uneven, but what they promise is what they mean. */
const PROMISE_TOLERANCE = 0.02;
/** Intervals that differ by no more than this are meant to be the same; whole milliseconds make a difference of one. */
const AGREEMENT = 0.1;
const ROUNDING = ticksFromMs(1.1);
/** Frames per second. Beyond it timestamps hardly move, and that is no rate. */
const FASTEST = 1000;
/** Frames looked back on. */
const MEMORY = 256;

/** FRAME-RATE from what arrives; what the bitstream promises only helps to round it. */
export class FrameRateMeter {
  readonly #intervals = new Float64Array(MEMORY);
  #count = 0;
  #last: Ticks | null = null;
  /** What was measured last, and how many intervals there were then. */
  #known: { readonly rate: number | null; readonly count: number } = { rate: null, count: 0 };

  reset(): void {
    this.#count = 0;
    this.#known = { rate: null, count: 0 };
    this.#last = null;
  }

  frame(dts: Ticks): void {
    if (this.#last !== null) this.#intervals[this.#count++ % MEMORY] = dts - this.#last;
    this.#last = dts;
  }

  /** @param promised frames per second in the parameter sets, or null */
  rate(promised: number | null): number | null {
    const measured = this.#measured();
    if (measured === null) return promised;
    const deviation = (rate: number) => Math.abs(measured / rate - 1);
    if (promised !== null && deviation(promised) <= PROMISE_TOLERANCE) return promised;
    const nearest = COMMON_RATES.reduce((best, rate) => (deviation(rate) < deviation(best) ? rate : best));
    return deviation(nearest) <= TOLERANCE ? nearest : measured;
  }

  /** Sorting is dear, so once the memory is full it is done again only when all in it is new. */
  #measured(): number | null {
    const { count } = this.#known;
    if (this.#count < MEMORY || this.#count - count >= MEMORY) {
      this.#known = { rate: this.#measure(), count: this.#count };
    }
    return this.#known.rate;
  }

  /** The mean of the usual intervals: encoders start unevenly and drop frames when the network is slow. */
  #measure(): number | null {
    const intervals = this.#intervals.slice(0, Math.min(this.#count, MEMORY)).sort();
    const median = intervals[intervals.length >> 1];
    if (median === undefined) return null;
    const within = (tolerance: number) =>
      intervals.filter((interval) => Math.abs(interval - median) <= tolerance);
    // GStreamer's rtmp2sink hurries through its first second: what most intervals agree on is the rate.
    const agreeing = within(Math.max(median * AGREEMENT, ROUNDING));
    const usual = agreeing.length * 2 >= intervals.length ? agreeing : within(median * 0.5);
    const rate = (usual.length * TICKS_PER_SECOND) / usual.reduce((sum, interval) => sum + interval, 0);
    return rate <= FASTEST ? rate : null;
  }
}
