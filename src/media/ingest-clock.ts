import type { Frame } from './frame.ts';
import { PerTrack } from './per-track.ts';
import { msFromTicks, rtmpTimestampDelta, type Ticks, ticksFromMs, ticksFromSeconds } from './time.ts';

/** A step back of up to this much is reordering or a second clock in the encoder, not a new timeline. */
const REORDER_MS = 500;
/** A silence longer than the limit is a new timeline; the limit follows the frame interval between these bounds. */
const SHORTEST_JUMP_MS = 2_000;
const LONGEST_JUMP_MS = 10_000;
/** How far behind the newest timestamp another track may resume and still belong to the same timeline. */
const RESUME_SKEW_MS = 1_000;
/** This many frames that agree on a new base make it real; fewer are stray values. */
const FRAMES_TO_BELIEVE = 3;
const DEFAULT_INTERVAL_TICKS = ticksFromMs(40);

interface TrackClock {
  /** Last accepted timestamp and the tick it maps to. */
  raw: number;
  mapped: Ticks;
  /** Last decode time handed out; never decreases. */
  emitted: Ticks;
  /** Last plausible distance between two frames. */
  interval: Ticks;
  /** Slowly falling maximum of the distance, for streams with a frame every few seconds. */
  longestInterval: Ticks;
}

/**
 * Turns a publisher's wrapping, jumping, reordering millisecond timestamps into one unwrapped clock on which every
 * track keeps its distance to the others. A jump (device sleep, clock step, restarted encoder) does not appear on the
 * output: time continues one frame after the last, and the first frame after it is flagged.
 */
export class IngestClock {
  readonly #tracks = new PerTrack<TrackClock>();
  readonly #emit: (frame: Frame, dts: Ticks, jumped: boolean) => void;
  readonly #origin: Ticks;
  /** Newest accepted timestamp of any track: what a new or resuming track is placed against. */
  #reference: { raw: number; mapped: Ticks } | null = null;
  /** Frames that contradict the timeline, until it is clear whether they are strays or a new timeline. */
  #suspects: Frame[] = [];

  /** @param origin tick of the first frame; later ones may lie up to a second before it. */
  constructor(origin: Ticks, emit: (frame: Frame, dts: Ticks, jumped: boolean) => void) {
    this.#origin = origin;
    this.#emit = emit;
  }

  push(frame: Frame): void {
    const reference = this.#reference;
    if (reference === null) {
      this.#accept(frame, this.#origin, false);
      return;
    }
    const track = this.#tracks.get(frame.track.id);
    if (track === undefined) {
      const skew = rtmpTimestampDelta(reference.raw, frame.timestamp);
      const plausible = Math.abs(skew) <= LONGEST_JUMP_MS;
      this.#accept(frame, reference.mapped + (plausible ? ticksFromMs(skew) : 0), false);
      return;
    }
    const limit = jumpLimitMs(track);
    const delta = rtmpTimestampDelta(track.raw, frame.timestamp);
    if (delta >= -REORDER_MS && delta <= limit) {
      this.#dismissSuspects(frame.track.id);
      this.#accept(frame, track.mapped + ticksFromMs(delta), false);
      return;
    }
    // A track that paused while another went on, or one that follows the other over a jump.
    const skew = rtmpTimestampDelta(reference.raw, frame.timestamp);
    if (skew >= -RESUME_SKEW_MS && skew <= limit) {
      this.#accept(frame, reference.mapped + ticksFromMs(skew), false);
      return;
    }
    this.#suspect(frame);
  }

  /** The publisher is gone: nothing will confirm the suspects any more, so they keep their place in line. */
  flush(): void {
    this.#dismissSuspects(null);
  }

  #suspect(frame: Frame): void {
    const last = this.#suspects.at(-1);
    if (last !== undefined) {
      // A still screen may send a frame every few seconds, so the next one may be that far away and still agree.
      const step = rtmpTimestampDelta(last.timestamp, frame.timestamp);
      if (step < -SHORTEST_JUMP_MS || step > LONGEST_JUMP_MS) this.#dismissSuspects(null);
    }
    this.#suspects.push(frame);
    if (this.#suspects.length >= FRAMES_TO_BELIEVE) this.#startNewBase();
  }

  #startNewBase(): void {
    const suspects = this.#suspects;
    this.#suspects = [];
    const first = suspects[0];
    if (first === undefined) return;
    let base = this.#origin;
    for (const track of this.#tracks.values()) base = Math.max(base, track.emitted + track.interval);
    suspects.forEach((frame, index) => {
      const offset = ticksFromMs(rtmpTimestampDelta(first.timestamp, frame.timestamp));
      this.#accept(frame, base + offset, index === 0);
    });
  }

  /** Strays are real pictures with a wrong time: they get the next one in line. */
  #dismissSuspects(trackId: string | null): void {
    if (this.#suspects.length === 0) return;
    if (trackId !== null && !this.#suspects.some((frame) => frame.track.id === trackId)) return;
    const suspects = this.#suspects;
    this.#suspects = [];
    for (const frame of suspects) {
      const track = this.#tracks.get(frame.track.id);
      if (track === undefined) continue;
      track.emitted += track.interval;
      this.#emit(frame, track.emitted, false);
    }
  }

  #accept(frame: Frame, mapped: Ticks, jumped: boolean): void {
    let track = this.#tracks.get(frame.track.id);
    if (track === undefined) {
      track = {
        raw: frame.timestamp,
        mapped,
        emitted: mapped,
        interval: DEFAULT_INTERVAL_TICKS,
        longestInterval: 0,
      };
      this.#tracks.set(frame.track.id, track);
    } else {
      const interval = mapped - track.mapped;
      if (interval > 0 && !jumped) {
        track.longestInterval = Math.max(interval, track.longestInterval * 0.9);
        if (interval < ticksFromSeconds(1)) track.interval = interval;
      }
      track.raw = frame.timestamp;
      track.mapped = mapped;
      // Decode times must rise; a repeated or reordered one becomes the smallest step forward.
      track.emitted = Math.max(mapped, track.emitted + 1);
    }
    const reference = this.#reference;
    if (reference === null) this.#reference = { raw: frame.timestamp, mapped };
    else if (jumped || mapped >= reference.mapped) {
      reference.raw = frame.timestamp;
      reference.mapped = mapped;
    }
    this.#emit(frame, track.emitted, jumped);
  }
}

function jumpLimitMs(track: TrackClock): number {
  const usual = msFromTicks(4 * track.longestInterval);
  return Math.min(LONGEST_JUMP_MS, Math.max(SHORTEST_JUMP_MS, usual));
}
