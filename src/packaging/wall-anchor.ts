import { type EpochMs, msFromTicks, type Ticks } from '../media/time.ts';

/** Segments looked back on: the smallest delay among them is the one without network queueing in it. */
const SAMPLES = 30;
/** The anchor follows by at most this per second of media, far below a frame per segment. */
const SLEW = 1 / 1000;

/**
 * Maps stream time to wall-clock time for EXT-X-PROGRAM-DATE-TIME. Taking the arrival time of each segment would
 * carry network jitter into the playlist; a fixed anchor would drift away with the encoder's crystal (100 ppm are
 * 8.6 s a day). So the anchor follows the least delayed of the recent arrivals, slowly.
 */
export class WallAnchor {
  #offset: number | null = null;
  #delays: number[] = [];

  /** Starts anew where the timeline was interrupted. */
  reset(at: Ticks, wall: EpochMs): void {
    this.#offset = wall - msFromTicks(at);
    this.#delays = [];
  }

  /** The packet with this time has just arrived, `elapsed` after the last one observed. */
  observe(at: Ticks, now: EpochMs, elapsed: Ticks): void {
    if (this.#offset === null) return;
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
