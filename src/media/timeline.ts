import { AudioClock } from './audio-clock.ts';
import type { Clock } from './clock.ts';
import { type DropCounts, EpochGate, type EpochSink } from './epoch-gate.ts';
import type { AnnouncedMedia, Frame } from './frame.ts';
import { IngestClock } from './ingest-clock.ts';
import { Interleaver } from './interleaver.ts';
import type { EpochReason, Packet } from './packet.ts';
import { PerTrack } from './per-track.ts';
import { slabs } from './slab-pool.ts';
import { type Ticks, ticksFromMs, ticksFromSamples, ticksFromSeconds } from './time.ts';

/** A composition offset beyond this is garbage, not a reordering depth. */
const MAX_COMPOSITION_OFFSET_MS = 10_000;
/** Decode times are lowered by at most this for encoders that send negative composition offsets. */
const MAX_DECODE_LEAD = ticksFromSeconds(1);

export interface TimelineOptions {
  readonly clock: Clock;
  /** Tick of the first frame: 10 s for a new stream (room below for offsets), its last end for one that continues. */
  readonly origin: Ticks;
  readonly reason: Extract<EpochReason, 'start' | 'reconnect'>;
  /** Where drops are counted; beyond this publisher when its owner keeps them. */
  readonly drops?: DropCounts;
}

/**
 * One publish session's way from demuxed frames to the stream's timeline: unwrapped and smoothed clocks, decode
 * order across tracks, and epochs wherever the media is interrupted. Synchronous and without timers.
 */
export class Timeline {
  readonly #ingestClock: IngestClock;
  readonly #interleaver: Interleaver;
  readonly #gate: EpochGate;
  readonly #audioClocks = new PerTrack<AudioClock>();
  readonly #videoClocks = new PerTrack<VideoClock>();

  constructor(sink: EpochSink, options: TimelineOptions) {
    const drops = options.drops ?? { beforeKeyframe: 0, undeclaredTrack: 0 };
    this.#gate = new EpochGate(sink, options.clock, options.reason, drops);
    this.#interleaver = new Interleaver((item) => this.#gate.push(item));
    this.#ingestClock = new IngestClock(options.origin, (frame, dts, jumped) =>
      this.#interleaver.push(this.#stamp(frame, dts), jumped),
    );
  }

  /** What is held back to order the tracks and to find all of them. */
  get queuedBytes(): number {
    return this.#interleaver.queuedBytes + this.#gate.heldBytes;
  }

  /** What the publisher says it will send; shortens or lengthens the wait for the first frames of each kind. */
  announce(media: AnnouncedMedia): void {
    this.#gate.announce(media);
  }

  push(frame: Frame): void {
    // Until it has passed the gate.
    slabs.hold(frame.data);
    this.#ingestClock.push(frame);
  }

  /** The publisher is gone: everything held back goes out, then the sink's `end`. */
  end(): void {
    this.#ingestClock.flush();
    this.#interleaver.flush();
    this.#gate.end();
  }

  #stamp(frame: Frame, dts: Ticks): Packet {
    const { track, keyframe, data } = frame;
    if (track.kind === 'video') {
      let clock = this.#videoClocks.get(track.id);
      if (clock === undefined) {
        clock = new VideoClock();
        this.#videoClocks.set(track.id, clock);
      }
      return clock.stamp(frame, dts);
    }
    if (track.samplesPerFrame === 0 || track.sampleRate === 0)
      return { track, dts, pts: dts, keyframe, data };
    let clock = this.#audioClocks.get(track.id);
    if (clock === undefined) {
      clock = new AudioClock();
      this.#audioClocks.set(track.id, clock);
    }
    const time = clock.next(dts, ticksFromSamples(track.samplesPerFrame, track.sampleRate));
    return { track, dts: time, pts: time, keyframe, data };
  }
}

/**
 * Presentation times of one video track. Presentation is what viewers see and stays as sent; where it would come
 * before the decode time (phone SDKs stamp presentation order), the decode times are lowered instead.
 */
class VideoClock {
  #lead: Ticks = 0;
  #lastDts: Ticks = Number.NEGATIVE_INFINITY;

  stamp({ track, compositionOffset, nanoseconds, keyframe, data }: Frame, stamped: Ticks): Packet {
    const offset = Math.abs(compositionOffset) > MAX_COMPOSITION_OFFSET_MS ? 0 : compositionOffset;
    const wanted = stamped + ticksFromMs(offset + nanoseconds / 1e6);
    this.#lead = Math.min(MAX_DECODE_LEAD, Math.max(this.#lead, stamped - wanted));
    const dts = Math.max(stamped - this.#lead, this.#lastDts + 1);
    this.#lastDts = dts;
    return { track, dts, pts: Math.max(wanted, dts), keyframe, data };
  }
}
