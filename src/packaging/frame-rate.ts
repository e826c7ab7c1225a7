import { secondsFromTicks, type Ticks } from '../media/time.ts';

const COMMON_RATES = [24_000 / 1001, 24, 25, 30_000 / 1001, 30, 48, 50, 60_000 / 1001, 60, 90, 100, 120];
/** A measured rate this close to a known one is that one; milliseconds are not exact enough to tell. */
const TOLERANCE = 0.005;

/** FRAME-RATE from what arrives; what the bitstream promises only helps to round it. */
export class FrameRateMeter {
  #first: Ticks | null = null;
  #last: Ticks = 0;
  #intervals = 0;

  reset(): void {
    this.#first = null;
    this.#intervals = 0;
  }

  frame(dts: Ticks): void {
    if (this.#first === null) this.#first = dts;
    else this.#intervals++;
    this.#last = dts;
  }

  /** @param promised frames per second in the parameter sets, or null */
  rate(promised: number | null): number | null {
    if (this.#first === null || this.#intervals === 0) return promised;
    const measured = this.#intervals / secondsFromTicks(this.#last - this.#first);
    const deviation = (rate: number) => Math.abs(measured / rate - 1);
    if (promised !== null && deviation(promised) <= TOLERANCE) return promised;
    const nearest = COMMON_RATES.reduce((best, rate) => (deviation(rate) < deviation(best) ? rate : best));
    return deviation(nearest) <= TOLERANCE ? nearest : measured;
  }
}
