import type { Packet } from '../../media/packet.ts';
import { msFromTicks, type Ticks, ticksFromMs } from '../../media/time.ts';

/** What is known of a source frame when it comes back encoded. */
export interface SourceFrame {
  readonly pts: Ticks;
  readonly keyframe: boolean;
}

/** The first packet is this late in ffmpeg's time, so that nothing before it gets a negative one. */
const START_MS = 10_000;
/** Over a minute of 120 frames per second. What is still wanted then was lost, and the encoder is not keeping up anyway. */
const MAX_FRAMES = 8192;

/**
 * The time of one track in ffmpeg: whole milliseconds from its first packet. Each video frame has a millisecond of its
 * own, by which it is found again, so that its time is never guessed from a rounded one.
 *
 * Milliseconds of keyframes are odd and those of others even. That is how the encoder is told where keyframes belong
 * without asking the decoder, whose opinion depends on codec and version.
 */
export class SourceTimes {
  readonly #frames = new Map<number, SourceFrame>();
  #start: Ticks | null = null;

  /** Frames that were not asked for yet. */
  get size(): number {
    return this.#frames.size;
  }

  /** Takes a video frame; returns its millisecond. */
  add({ pts, keyframe }: Packet): number {
    let ms = this.ms(pts);
    if ((ms & 1) !== (keyframe ? 1 : 0)) ms++;
    while (this.#frames.has(ms)) ms += 2;
    this.#frames.set(ms, { pts, keyframe });
    if (this.#frames.size > MAX_FRAMES) {
      for (const oldest of this.#frames.keys()) {
        this.#frames.delete(oldest);
        break;
      }
    }
    return ms;
  }

  /** The frame of a millisecond, or null when there was none. */
  at(ms: number): SourceFrame | null {
    return this.#frames.get(ms) ?? null;
  }

  /** Forgets what nobody asks for any more: frames up to this one. */
  forget(ms: number): void {
    for (const key of this.#frames.keys()) {
      if (key > ms) return;
      this.#frames.delete(key);
    }
  }

  /** A time as ffmpeg gets it, never negative. The first one asked for is the beginning. */
  ms(time: Ticks): number {
    this.#start ??= time;
    return Math.max(0, START_MS + Math.round(msFromTicks(time - this.#start)));
  }

  /** Of the first packet. */
  get start(): Ticks {
    return this.#start ?? 0;
  }

  /** The reverse of `ms`, as exact as whole milliseconds are. */
  ticks(ms: number): Ticks {
    return this.start + ticksFromMs(ms - START_MS);
  }
}

/**
 * Expression of ffmpeg that is 1 for frames that are keyframes in the source. `t` is in seconds from the first frame,
 * which is a keyframe: what is odd otherwise is even here.
 */
export const KEYFRAME_BY_SECONDS = 'eq(mod(round(t*1000),2),0)';
/** The same where `pts` counts milliseconds from their beginning. */
export const KEYFRAME_BY_MS = 'mod(pts,2)';
