import type { Ticks } from '../../media/time.ts';
import type { Warning } from '../../media/warning.ts';

/** Fewer are stray timestamps; encoders that use B-frames use them all the time. */
const ENOUGH_SHARE = 0.05;

/** B-frames: pictures shown before one that was sent earlier. */
export class Reordering {
  #newest: Ticks = Number.NEGATIVE_INFINITY;
  #frames = 0;
  #reordered = 0;
  #inARow = 0;
  #mostInARow = 0;

  interrupt(): void {
    this.#newest = Number.NEGATIVE_INFINITY;
    this.#inARow = 0;
  }

  frame(pts: Ticks): void {
    this.#frames++;
    if (pts >= this.#newest) {
      this.#newest = pts;
      this.#inARow = 0;
      return;
    }
    this.#reordered++;
    this.#inARow++;
    if (this.#inARow > this.#mostInARow) this.#mostInARow = this.#inARow;
  }

  /**
   * Ends a window.
   *
   * @param frameMs what a frame lasts, or null
   */
  judge(frameMs: number | null): Warning | null {
    const verdict = this.#reordered > this.#frames * ENOUGH_SHARE ? bFrames(this.#mostInARow, frameMs) : null;
    this.#frames = 0;
    this.#reordered = 0;
    this.#mostInARow = 0;
    return verdict;
  }
}

function bFrames(inARow: number, frameMs: number | null): Warning {
  const cost = frameMs === null ? '' : `, which cost about ${inARow * frameMs} ms of delay`;
  return {
    code: 'b-frames',
    severity: 'notice',
    message: `The encoder uses B-frames, ${inARow} in a row${cost}.`,
    fix: 'They give a better picture for the bitrate: leave them unless delay matters more. In OBS: Settings > Output > Output Mode "Advanced" > Streaming > B-Frames (or Max B-frames): 0, or with x264 add bframes=0 to x264 Options. With ffmpeg: -bf 0.',
  };
}
