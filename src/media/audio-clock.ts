import { type Ticks, ticksFromMs } from './time.ts';

/** Beyond this the audio really paused or overlapped; within it the encoder's stamps are only noisy. */
const HARD_ERROR = ticksFromMs(100);
/** A mean error beyond this is drift between the sample clock and the millisecond clock. */
const DRIFT = ticksFromMs(12);
const SMOOTHING = 1 / 32;
/** A drifting clock is pulled back by this part of a frame per frame, far below what an ear notices. */
const SLEW = 1 / 64;

/**
 * Times audio frames by counting samples instead of copying the publisher's rounded milliseconds: 23.22 ms frames
 * stamped 23, 23, 24 … click on iOS. The count follows the publisher's clock slowly, and jumps to it after a real gap.
 */
export class AudioClock {
  #expected: number | null = null;
  #last: Ticks = Number.NEGATIVE_INFINITY;
  #meanError = 0;

  /**
   * @param stamped the publisher's time of this frame
   * @param duration of this frame in unrounded ticks
   * @returns the time to use
   */
  next(stamped: Ticks, duration: number): Ticks {
    let time = this.#expected ?? stamped;
    const error = stamped - time;
    if (Math.abs(error) > HARD_ERROR) {
      time = stamped;
      this.#meanError = 0;
    } else {
      this.#meanError += (error - this.#meanError) * SMOOTHING;
      if (Math.abs(this.#meanError) > DRIFT) time += Math.sign(this.#meanError) * duration * SLEW;
    }
    // Stamps that stand still or step back must not take the decode times with them.
    time = Math.max(time, this.#last + 1);
    this.#expected = time + duration;
    this.#last = Math.round(time);
    return this.#last;
  }
}
