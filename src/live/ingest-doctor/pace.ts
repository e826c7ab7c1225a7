import { type EpochMs, msFromTicks, type Ticks } from '../../media/time.ts';
import type { Warning } from '../../media/warning.ts';

/** Encoders begin with what they had buffered, and tracks are waited for. */
const SETTLE_MS = 5_000;
/** Long enough that a keyframe more or less does not matter. */
const WINDOW_MS = 10_000;
/** Players run dry at any pace below 1; this far below, a buffer of 6 s is gone in two minutes. */
const SLOW = 0.95;
const FAST = 1.05;
/** After one slow window the encoder may catch up: a stall and not a trend. */
const WINDOWS_TO_BELIEVE = 2;
/** Catching up after a stall is fast too, but never gets ahead of the clock by this much. */
const AHEAD_MS = 10_000;
/** No picture stands still for longer between two frames; the RTMP server by default waits three times as long. */
const STALL_MS = 10_000;

const SLOW_UPLINK_FIX =
  'In OBS: lower Settings > Output > Streaming > Bitrate, and switch on Settings > Advanced > Network > Dynamically change bitrate to manage congestion.';

/** How far media was when. */
export interface PaceSample {
  readonly wall: EpochMs;
  readonly media: Ticks;
  /** Payload since the publisher began. */
  readonly bytes: number;
}

/** How much later than `from` the media of `to` is for its time, in ms; negative when it is early. */
export function lateness(from: PaceSample, to: PaceSample): number {
  return to.wall - from.wall - msFromTicks(to.media - from.media);
}

/** Whether media arrives as fast as it plays. Network delay alone never lasts over windows; a slow uplink does. */
export class Pace {
  #began: EpochMs | null = null;
  #first: PaceSample | null = null;
  #window: PaceSample | null = null;
  /** Where the run of slow or fast windows began. */
  #run: { start: PaceSample; windows: number; slow: boolean } | null = null;

  /** Media time was interrupted: what came before cannot be compared. */
  interrupt(): void {
    this.#began = null;
    this.#first = null;
    this.#window = null;
    this.#run = null;
  }

  sample(sample: PaceSample): Warning | null {
    this.#began ??= sample.wall;
    if (sample.wall - this.#began < SETTLE_MS) return null;
    this.#first ??= sample;
    this.#window ??= sample;
    if (sample.wall - this.#window.wall < WINDOW_MS) return null;
    const start = this.#window;
    this.#window = sample;
    const pace = paceOf(start, sample);
    if (pace >= SLOW && pace <= FAST) {
      this.#run = null;
      return null;
    }
    const slow = pace < SLOW;
    if (this.#run?.slow !== slow) this.#run = { start, windows: 0, slow };
    this.#run.windows++;
    if (this.#run.windows < WINDOWS_TO_BELIEVE) return null;
    if (slow) return uploadBehind(this.#run.start, sample);
    return -lateness(this.#first, sample) > AHEAD_MS ? fasterThanRealTime(this.#run.start, sample) : null;
  }
}

/** @param arrivedAt when media arrived last */
export function stalled(arrivedAt: EpochMs, now: EpochMs): Warning | null {
  if (now - arrivedAt < STALL_MS) return null;
  return {
    code: 'upload-stalled',
    severity: 'problem',
    message: `The encoder is connected, but nothing has arrived for ${Math.round((now - arrivedAt) / 1000)} s.`,
    fix: `Check the network of the encoder. ${SLOW_UPLINK_FIX}`,
  };
}

/** What to say of media that arrived too slowly all the time in between. */
export function uploadBehind(from: PaceSample, to: PaceSample): Warning {
  const seconds = (to.wall - from.wall) / 1000;
  const megabits = ((to.bytes - from.bytes) * 8) / seconds / 1e6;
  return {
    code: 'upload-behind',
    severity: 'problem',
    message: `The upload falls behind: over ${seconds.toFixed(0)} s media arrived at ${(paceOf(from, to) * 100).toFixed(0)} % of its speed (${megabits.toFixed(1)} Mb/s), so players run dry.`,
    fix: `Send less than the uplink carries. ${SLOW_UPLINK_FIX} If the encoder's computer is overloaded (View > Stats), choose a hardware Video Encoder.`,
  };
}

function fasterThanRealTime(from: PaceSample, to: PaceSample): Warning {
  return {
    code: 'faster-than-real-time',
    severity: 'warning',
    message: `Media arrives ${paceOf(from, to).toFixed(1)} times as fast as it plays, so viewers miss most of it.`,
    fix: 'Send in real time. With ffmpeg: -re before -i.',
  };
}

function paceOf(from: PaceSample, to: PaceSample): number {
  return msFromTicks(to.media - from.media) / (to.wall - from.wall);
}
