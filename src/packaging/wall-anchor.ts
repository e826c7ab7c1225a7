import { type EpochMs, msFromTicks, type Ticks } from '../media/time.ts';

/** Segments looked back on: the smallest delay among them is the one without network queueing in it. */
const SAMPLES = 30;
/** The anchor follows by at most this per second of media, far below a frame per segment. */
const SLEW = 1 / 1000;
/** Media is never that far ahead of the clock: the clock was set back, and is right now. */
const SET_BACK_MS = 60_000;

/**
 * Maps stream time to wall-clock time for EXT-X-PROGRAM-DATE-TIME. Taking the arrival time of each segment would
 * carry network jitter into the playlist; a fixed anchor would drift away with the encoder's crystal (100 ppm are
 * 8.6 s a day). So the anchor follows the least delayed of the recent arrivals, slowly.
 */
export class WallAnchor {
  #offset: number | null = null;
  #delays: number[] = [];
  /** Where everything observed so far ends. */
  #reached: EpochMs;

  /** @param reached what was told before a restart ends here */
  constructor(reached: EpochMs = Number.NEGATIVE_INFINITY) {
    this.#reached = reached;
  }

  /**
   * Starts anew where the timeline was interrupted, but never before the end of what was told already: media may have
   * run ahead of the clock a little, and dates that go back confuse players more than dates that are a little off.
   */
  reset(at: Ticks, wall: EpochMs): void {
    if (this.#reached - wall > SET_BACK_MS) this.#reached = wall;
    this.#offset = Math.max(wall, this.#reached) - msFromTicks(at);
    this.#delays = [];
  }

  /** The packet with this time has just arrived, `elapsed` after the last one observed. */
  observe(at: Ticks, now: EpochMs, elapsed: Ticks): void {
    if (this.#offset === null) return;
    this.#reached = Math.max(this.#reached, this.wallTime(at));
    this.#delays.push(now - msFromTicks(at));
    if (this.#delays.length > SAMPLES) this.#delays.shift();
    const error = Math.min(...this.#delays) - this.#offset;
    const step = msFromTicks(elapsed) * SLEW;
    this.#offset += Math.max(-step, Math.min(step, error));
  }

  wallTime(at: Ticks): EpochMs {
    return (this.#offset ?? 0) + msFromTicks(at);
  }
}
