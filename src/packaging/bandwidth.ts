import { secondsFromTicks, type Ticks, ticksFromSeconds } from '../media/time.ts';

interface Measured {
  readonly bits: number;
  readonly duration: Ticks;
}

/**
 * BANDWIDTH and AVERAGE-BANDWIDTH as RFC 8216 4.3.4.2 defines them: the peak is the highest rate of any run of
 * segments that lasts between half and one and a half target durations, container overhead included.
 */
export class BandwidthMeter {
  readonly #recent: Measured[] = [];
  #bits = 0;
  #duration: Ticks = 0;
  #peak = 0;
  /** Highest rate of a single segment, for streams that are shorter than half a target duration. */
  #highest = 0;

  /**
   * Goes on from what was measured before a restart: the rates in bits per second, over this much media.
   */
  resume(peak: number, average: number, duration: Ticks): void {
    this.#peak = peak;
    this.#duration = duration;
    this.#bits = average * secondsFromTicks(duration);
  }

  add(bytes: number, duration: Ticks, targetDuration: number): void {
    if (duration <= 0) return;
    const measured = { bits: bytes * 8, duration };
    this.#bits += measured.bits;
    this.#duration += duration;
    this.#highest = Math.max(this.#highest, rate(measured));
    this.#recent.push(measured);
    const shortest = ticksFromSeconds(targetDuration * 0.5);
    const longest = ticksFromSeconds(targetDuration * 1.5 + 0.5);
    let run: Measured = { bits: 0, duration: 0 };
    for (let i = this.#recent.length - 1; i >= 0; i--) {
      const segment = this.#recent[i] ?? run;
      run = { bits: run.bits + segment.bits, duration: run.duration + segment.duration };
      if (run.duration > longest) {
        this.#recent.splice(0, i);
        break;
      }
      if (run.duration >= shortest) this.#peak = Math.max(this.#peak, rate(run));
    }
  }

  /** Bits per second; 0 before the first segment. */
  get peak(): number {
    return Math.ceil(this.#peak > 0 ? this.#peak : this.#highest);
  }

  get average(): number {
    return this.#duration === 0 ? 0 : Math.ceil(rate({ bits: this.#bits, duration: this.#duration }));
  }
}

function rate({ bits, duration }: Measured): number {
  return bits / secondsFromTicks(duration);
}
