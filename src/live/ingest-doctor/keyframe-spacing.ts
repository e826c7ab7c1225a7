import { secondsFromTicks, type Ticks } from '../../media/time.ts';
import type { Warning } from '../../media/warning.ts';

/** Keyframe distances looked back on: 16 s at the usual 2 s. */
const REMEMBERED = 8;
/** Fewer say nothing about what is usual. */
const ENOUGH = 4;
/** Segments this much longer or shorter than the usual one are uneven; a frame more or less is not. */
const TOLERATED_DEVIATION = 0.25;
/** One may be somebody's "insert keyframe" or a break the encoder recovered from. */
const STRAYS = 1;

/** Keyframes at scene cuts, which make segments of all lengths. */
export class KeyframeSpacing {
  readonly #distances: Ticks[] = [];
  #last: Ticks | null = null;

  /** The next distance means nothing: the timeline was interrupted. */
  interrupt(): void {
    this.#last = null;
  }

  keyframe(dts: Ticks): Warning | null {
    const distance = this.#last === null ? null : dts - this.#last;
    this.#last = dts;
    if (distance === null) return null;
    this.#distances.push(distance);
    if (this.#distances.length > REMEMBERED) this.#distances.shift();
    if (this.#distances.length < ENOUGH) return null;
    const sorted = this.#distances.toSorted((a, b) => a - b);
    const usual = sorted[sorted.length >> 1] ?? distance;
    const isStray = (one: Ticks) => Math.abs(one - usual) > usual * TOLERATED_DEVIATION;
    if (sorted.filter(isStray).length <= STRAYS) return null;
    return uneven(sorted[0] ?? distance, sorted.at(-1) ?? distance);
  }
}

function uneven(shortest: Ticks, longest: Ticks): Warning {
  const [from, to] = [shortest, longest].map((ticks) => secondsFromTicks(ticks).toFixed(1));
  return {
    code: 'keyframe-interval-uneven',
    severity: 'notice',
    message: `Keyframes come unevenly, between ${from} s and ${to} s apart, so segments differ in length.`,
    fix: 'In OBS: Settings > Output > Output Mode "Advanced" > Streaming > Keyframe Interval: 2 s, and with x264 add scenecut=0 to x264 Options. With ffmpeg: -sc_threshold 0.',
  };
}
