import type { DropCounts } from '../media/epoch-gate.ts';
import type { Packet } from '../media/packet.ts';
import { secondsFromTicks, TICKS_PER_SECOND, type Ticks } from '../media/time.ts';

/** Rates are means over this many whole seconds of media. */
const WINDOW_SECONDS = 5;

interface Second {
  bytes: number;
  videoFrames: number;
}

/** Running figures of what a publisher sends, by media time, so that network bursts do not show as rates. */
export class IngestStats {
  /** Messages that could not be parsed and were dropped. */
  damagedMessages = 0;
  readonly drops: DropCounts = { beforeKeyframe: 0, undeclaredTrack: 0 };
  /** Frames of all video tracks since the stream began. */
  videoFrames = 0;
  /** … of all audio tracks. */
  audioFrames = 0;
  #bytes = 0;
  #current: Second = { bytes: 0, videoFrames: 0 };
  #currentStart: Ticks | null = null;
  #complete: Second[] = [];
  #leading: string | null = null;
  #lastKeyframe: Ticks | null = null;
  #keyframeInterval: Ticks | null = null;

  /** Payload bytes since the stream began. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bits per second; 0 before the first whole second. */
  get bitrate(): number {
    return this.#mean((second) => second.bytes * 8);
  }

  /** Frames per second of the first video track; null without one. */
  get frameRate(): number | null {
    return this.#leading === null ? null : this.#mean((second) => second.videoFrames);
  }

  /** Seconds between the last two keyframes of the first video track; null before the second. */
  get keyframeInterval(): number | null {
    return this.#keyframeInterval === null ? null : secondsFromTicks(this.#keyframeInterval);
  }

  /** A new epoch: rates go on, distances across the break mean nothing. */
  reset(leadingVideo: string | null): void {
    this.#leading = leadingVideo;
    this.#lastKeyframe = null;
    this.#currentStart = null;
    this.#current = { bytes: 0, videoFrames: 0 };
  }

  packet({ track, dts, keyframe, data }: Packet): void {
    this.#bytes += data.length;
    if (track.kind === 'video') this.videoFrames++;
    else this.audioFrames++;
    this.#currentStart ??= dts;
    if (dts - this.#currentStart >= TICKS_PER_SECOND) {
      this.#complete.push(this.#current);
      if (this.#complete.length > WINDOW_SECONDS) this.#complete.shift();
      this.#current = { bytes: 0, videoFrames: 0 };
      this.#currentStart = dts;
    }
    this.#current.bytes += data.length;
    if (track.id !== this.#leading) return;
    this.#current.videoFrames++;
    if (!keyframe) return;
    if (this.#lastKeyframe !== null) this.#keyframeInterval = dts - this.#lastKeyframe;
    this.#lastKeyframe = dts;
  }

  #mean(value: (second: Second) => number): number {
    if (this.#complete.length === 0) return 0;
    return this.#complete.reduce((sum, second) => sum + value(second), 0) / this.#complete.length;
  }
}
