import type { Frame } from '../media/frame.ts';
import { slabs } from '../media/slab-pool.ts';
import { rtmpTimestampDelta } from '../media/time.ts';

/** Too short for anybody to notice, and long enough for sixteen frames of a usual stream. */
const HELD_MS = 200;
/**
 * What the cut at a keyframe waits for comes up to this much later: audio frames last up to 240 ms, and where sound is
 * converted, its encoder wants some more before it gives any.
 */
const URGENT_MS = 300;
const HELD_BYTES = 256 * 1024;
/** What holding a frame takes besides its data, roughly: frames may be empty. */
const FRAME_OVERHEAD_BYTES = 256;

/**
 * Hands a publisher's frames on several at a time. What a stream consists of is spread over the memory, and with a
 * hundred streams taking turns none of it is in the processor's cache any more when the next frame comes: a gateway
 * needs a seventh less time for sixteen frames in a row (docs/performance.md).
 *
 * A segment does not wait for what is held: it ends with a keyframe, and a keyframe is handed on at once with everything
 * before it and what follows shortly after. Only a cut that is forced where no keyframe comes may be that much later.
 * Streams without pictures are not held up at all.
 */
export class FrameBatch {
  readonly #deliver: (frame: Frame) => void;
  readonly #settled: () => boolean;
  #frames: Frame[] = [];
  #bytes = 0;
  /** Timestamp of the newest keyframe of a picture; null while nothing is to be held. */
  #keyframe: number | null = null;

  /** @param settled whether the stream has begun: what it begins with is timed by when it arrives */
  constructor(deliver: (frame: Frame) => void, settled: () => boolean) {
    this.#deliver = deliver;
    this.#settled = settled;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(frame: Frame): void {
    if (frame.keyframe && frame.track.kind === 'video') {
      this.#keyframe = this.#settled() ? frame.timestamp : null;
    } else if (this.#keyframe !== null && rtmpTimestampDelta(this.#keyframe, frame.timestamp) >= URGENT_MS) {
      this.#hold(frame);
      return;
    }
    this.flush();
    this.#deliver(frame);
  }

  flush(): void {
    if (this.#frames.length === 0) return;
    const frames = this.#frames;
    // What is delivered may end the stream, which flushes once more.
    this.#frames = [];
    this.#bytes = 0;
    for (const frame of frames) {
      this.#deliver(frame);
      slabs.release(frame.data);
    }
  }

  #hold(frame: Frame): void {
    slabs.hold(frame.data);
    this.#frames.push(frame);
    this.#bytes += frame.data.length + FRAME_OVERHEAD_BYTES;
    const span = Math.abs(rtmpTimestampDelta(this.#frames[0]?.timestamp ?? 0, frame.timestamp));
    if (span >= HELD_MS || this.#bytes >= HELD_BYTES) this.flush();
  }
}
