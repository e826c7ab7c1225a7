import { msFromTicks, type Ticks } from '../../media/time.ts';
import type { Warning } from '../../media/warning.ts';

/** Distances in whole milliseconds, which is what RTMP has; anything longer counts as this. Four frames a second. */
const LONGEST_MS = 255;
/** A window with fewer frames says nothing. */
const ENOUGH = 50;
/** A frame is in step when it comes within this part of a frame of a whole number of frames after the last. */
const IN_STEP = 0.3;
/** Milliseconds are coarse: 4.17 ms frames come as 4 and 5. */
const ROUNDING_MS = 1;
/** Phones and screen recorders are below this; cameras and OBS far above. */
const CONSTANT_SHARE = 0.95;
/** One window may have seen a camera wake up. */
const WINDOWS_TO_BELIEVE = 2;
/** Half a second of a ten-second window: viewers see it freeze. */
const MISSING_SHARE = 0.05;
/** More freeze than picture flow. */
const BAD_MISSING_SHARE = 0.25;

/** How evenly video frames are spaced, over windows of some seconds. */
export class FrameSpacing {
  readonly #counts = new Uint32Array(LONGEST_MS + 1);
  #frames = 0;
  #total: Ticks = 0;
  /** Not a number when the next distance means nothing. */
  #last: number = Number.NaN;
  #variableWindows = 0;
  #usualMs: number | null = null;

  /** Usual distance of two frames in the last whole window; null when there was none to speak of. */
  get usualMs(): number | null {
    return this.#usualMs;
  }

  /** The timeline was interrupted. */
  interrupt(): void {
    this.#last = Number.NaN;
  }

  frame(dts: Ticks): void {
    const distance = dts - this.#last;
    this.#last = dts;
    if (Number.isNaN(distance)) return;
    const index = Math.min(LONGEST_MS, Math.round(msFromTicks(distance)));
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#frames++;
    this.#total += distance;
  }

  /** Ends a window. */
  judge(): Warning | null {
    const verdict = this.#verdict();
    this.#counts.fill(0);
    this.#frames = 0;
    this.#total = 0;
    return verdict;
  }

  #verdict(): Warning | null {
    const usual = this.#frames < ENOUGH ? 0 : this.#medianMs();
    this.#usualMs = usual > 0 && usual < LONGEST_MS ? usual : null;
    if (this.#usualMs === null) return null;
    const constant = this.#inStep(usual) >= this.#frames * CONSTANT_SHARE;
    this.#variableWindows = constant ? 0 : this.#variableWindows + 1;
    if (!constant) return this.#variableWindows < WINDOWS_TO_BELIEVE ? null : this.#variable();
    const missing = 1 - this.#timeInLine(usual) / msFromTicks(this.#total);
    return missing < MISSING_SHARE ? null : framesMissing(missing);
  }

  #medianMs(): number {
    return this.#quantileMs(0.5);
  }

  #quantileMs(share: number): number {
    let below = 0;
    for (let ms = 0; ms <= LONGEST_MS; ms++) {
      below += this.#counts[ms] ?? 0;
      if (below > this.#frames * share) return ms;
    }
    return LONGEST_MS;
  }

  /** Frames that come when they should, or when the one after a missing one should. */
  #inStep(usual: number): number {
    const tolerance = Math.max(ROUNDING_MS, usual * IN_STEP);
    let count = this.#counts[LONGEST_MS] ?? 0;
    for (let ms = 0; ms < LONGEST_MS; ms++) {
      const frames = Math.max(1, Math.round(ms / usual));
      if (Math.abs(ms - frames * usual) <= tolerance + (frames - 1) * ROUNDING_MS) {
        count += this.#counts[ms] ?? 0;
      }
    }
    return count;
  }

  /** What the frames would last if none were missing between them. */
  #timeInLine(usual: number): number {
    let time = 0;
    for (let ms = 0; ms <= LONGEST_MS; ms++) {
      time += (this.#counts[ms] ?? 0) * (ms < usual * (2 - IN_STEP) ? ms : usual);
    }
    return time;
  }

  #variable(): Warning {
    const [shortest, longest] = [this.#quantileMs(0.025), this.#quantileMs(0.975)];
    return {
      code: 'frame-rate-variable',
      severity: 'notice',
      message: `The frame rate is variable: frames are shown for ${shortest} to ${longest} ms, so motion is not smooth.`,
      fix: 'Send a constant frame rate. In OBS: Settings > Video > Common FPS Values: 30 or 60. In a phone app look for "constant frame rate". With ffmpeg: -fps_mode cfr -r 30.',
    };
  }
}

function framesMissing(share: number): Warning {
  return {
    code: 'frames-missing',
    severity: share < BAD_MISSING_SHARE ? 'warning' : 'problem',
    message: `${Math.round(share * 100)} % of the frames are missing: the encoder left them out, so the picture freezes again and again.`,
    fix: 'In OBS: View > Stats says which frames. Dropped (network): lower Settings > Output > Streaming > Bitrate. Skipped or missed (encoding, rendering): choose a hardware Video Encoder there, or lower Settings > Video > Output (Scaled) Resolution.',
  };
}
