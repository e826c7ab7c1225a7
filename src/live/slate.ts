import { makeStill, type Still } from '../codecs/h264-still.ts';
import { silentFrame } from '../codecs/silent-audio.ts';
import type { Clock } from '../media/clock.ts';
import type { Packet } from '../media/packet.ts';
import {
  secondsFromTicks,
  TICKS_PER_SECOND,
  type Ticks,
  ticksFromMs,
  ticksFromSamples,
  ticksFromSeconds,
} from '../media/time.ts';
import type { VideoTrack } from '../media/track.ts';
import type { TrackTail } from './track-tails.ts';

/** How often what is due goes out; far below the length of a segment. */
const INTERVAL_MS = 100;
/** A process that stood still makes good for this much; beyond it the slate is late for the rest of its life. */
const MAX_CATCH_UP = ticksFromSeconds(5);
/** A track that ended this long before the others is continued from where they are. */
const MAX_FILL = ticksFromSeconds(2);
/** Keyframes come as they came from the publisher, within these bounds: its segments were cut at them. */
const SHORTEST_GOP = ticksFromSeconds(0.5);
const LONGEST_GOP = ticksFromSeconds(2);
const MIN_FRAME_RATE = 5;
const MAX_FRAME_RATE = 60;
const USUAL_FRAME_RATE = 25;
/** A frame of sound where the track does not tell. */
const USUAL_SOUND = ticksFromMs(20);
/** Pictures per second where each is a whole keyframe. */
const MAX_KEYFRAME_RATE = 4;

/** What an application wants to be seen while nobody publishes. */
export interface SlateChoice {
  /**
   * A keyframe for this track, in its own codec, with parameter sets of its own: instead of the last picture, which is
   * taken when this is null.
   */
  readonly picture: (track: VideoTrack) => Uint8Array | null;
}

export interface SlateOptions {
  readonly clock: Clock;
  /** Where the publisher's tracks ended. */
  readonly tails: readonly TrackTail[];
  readonly choice: SlateChoice;
  /** Seconds between the publisher's keyframes; null when it is not known. */
  readonly keyframeInterval: number | null;
  /** Frames per second of the publisher; 0 or null when it is not known. */
  readonly frameRate: number | null;
  /** Bits per second of the publisher, which keyframes alone do not exceed; 0 when it is not known. */
  readonly bitrate: number;
  /** Decode times rise in each track. */
  readonly deliver: (packet: Packet) => void;
}

/** Stands in for a publisher that is gone, until it is stopped. */
export interface Slate {
  /** What is due by now goes out first. */
  stop(): void;
}

/** Endless packets of one track. */
interface Lane {
  readonly video: boolean;
  /** Decode time of the next one. */
  readonly next: Ticks;
  take(): Packet;
}

/**
 * Goes on where a publisher left: a still picture and silence on the same tracks and the same timeline, at the pace of
 * the clock, so that players notice nothing but that.
 *
 * @returns null when there is nothing that could be shown
 */
export function startSlate(options: SlateOptions): Slate | null {
  const { clock, tails, deliver } = options;
  const frame = frameDuration(options);
  const start = Math.max(...tails.map((tail) => nextOf(tail, frame)));
  const lanes: Lane[] = [];
  for (const tail of tails) {
    const next = nextOf(tail, frame);
    const first = start - next > MAX_FILL ? start : next;
    const lane = tail.track.kind === 'video' ? videoLane(tail, first, options) : audioLane(tail, first);
    if (lane !== null) lanes.push(lane);
    // Sound alone would look like a stream that hangs.
    else if (tail.track.kind === 'video') return null;
  }
  if (lanes.length === 0) return null;
  // At equal times pictures go first: their keyframes decide the cuts.
  lanes.sort((a, b) => Number(b.video) - Number(a.video));

  // The publisher's newest frame came just now. What follows may be further away than a frame, where pictures were
  // reordered: it has to wait until then, or every drop would move the stream ahead of the clock.
  let reached = Math.max(...tails.map(({ newest }) => newest));
  /** Media time now is this much more than the clock's. */
  let offset = reached - ticksFromMs(clock.now());
  const advance = () => {
    const due = ticksFromMs(clock.now()) + offset;
    const late = due - reached - MAX_CATCH_UP;
    if (late > 0) offset -= late;
    reached = Math.max(reached, late > 0 ? due - late : due);
    for (let lane = earliest(lanes); lane.next <= reached; lane = earliest(lanes)) deliver(lane.take());
  };
  let cancel = () => {};
  const tick = () => {
    cancel = clock.after(INTERVAL_MS, tick);
    advance();
  };
  tick();
  return {
    stop: () => {
      cancel();
      advance();
    },
  };
}

function frameDuration({ frameRate, tails }: SlateOptions): number {
  const announced = tails.map(({ track }) => (track.kind === 'video' ? track.frameRate : null));
  const rate = frameRate || announced.find((value) => value !== null) || USUAL_FRAME_RATE;
  return TICKS_PER_SECOND / Math.min(MAX_FRAME_RATE, Math.max(MIN_FRAME_RATE, rate));
}

/** Decode time at which a track goes on. */
function nextOf({ track, newest, keyframe, latest }: TrackTail, frame: number): number {
  if (track.kind === 'audio') {
    const { samplesPerFrame: samples, sampleRate } = track;
    return newest + (samples > 0 && sampleRate > 0 ? ticksFromSamples(samples, sampleRate) : USUAL_SOUND);
  }
  // Shown after everything that was reordered, and decoded as long before as keyframes are.
  return Math.max(newest + 1, latest + frame - (keyframe?.delay ?? 0));
}

function earliest(lanes: readonly Lane[]): Lane {
  return lanes.reduce((first, lane) => (lane.next < first.next ? lane : first));
}

/**
 * A keyframe at once, because the picture changes, and then keyframes where the publisher's next ones would have been: only
 * those are announced as such, so that segments become as long as they were. In between the picture is repeated.
 */
function videoLane(tail: TrackTail, first: number, options: SlateOptions): Lane | null {
  const { track, keyframe } = tail;
  if (track.kind !== 'video' || keyframe === null) return null;
  const still = stillOf(track, keyframe.take().data, options.choice);
  if (still === null) return null;
  const { repeat } = still;
  const usual = ticksFromSeconds(options.keyframeInterval ?? Number.POSITIVE_INFINITY);
  const gop = Math.min(LONGEST_GOP, Math.max(SHORTEST_GOP, usual));
  const size = still.keyframe(0).length;
  const frame = frameDuration(options);
  const spacing = repeat === null ? keyframeSpacing(size, gop, options.bitrate) : frame;
  const { delay } = keyframe;
  let next = first;
  // In the past when it is overdue: then the first picture is announced, or the segment would last until another.
  let nextKeyframe = keyframe.dts + gop;
  let last = Number.NEGATIVE_INFINITY;
  let turn = 1;
  let sinceKeyframe = 0;
  let begun = false;
  return {
    video: true,
    get next() {
      return Math.round(next);
    },
    take: () => {
      const announced = nextKeyframe - next < frame / 2;
      const whole = announced || !begun || repeat === null;
      const dts = Math.max(Math.round(next), last + 1);
      sinceKeyframe = whole ? 0 : sinceKeyframe + 1;
      const data = repeat === null || whole ? still.keyframe(turn++) : repeat(sinceKeyframe);
      while (nextKeyframe - next < frame / 2) nextKeyframe += gop;
      begun = true;
      last = dts;
      next += spacing;
      // Never two pictures close together, and never a keyframe too late.
      if (nextKeyframe - next < spacing / 2) next = nextKeyframe;
      return { track, dts, pts: dts + delay, keyframe: announced, data };
    },
  };
}

/** As many as fit into the bit rate, and evenly between those that are announced. */
function keyframeSpacing(bytes: number, gop: Ticks, bitrate: number): Ticks {
  const affordable = (bitrate * secondsFromTicks(gop)) / (8 * bytes);
  const useful = MAX_KEYFRAME_RATE * secondsFromTicks(gop);
  return gop / Math.max(1, Math.floor(Math.min(affordable, useful)));
}

function stillOf(track: VideoTrack, keyframe: Uint8Array, choice: SlateChoice): Still | null {
  const picture = choice.picture(track);
  // Other codecs have nothing that tells two keyframes in a row apart, and nobody minds.
  if (track.h264 === null) return repeated(picture ?? keyframe);
  const chosen = picture === null ? null : makeStill(picture, track.h264);
  return chosen ?? makeStill(keyframe, track.h264);
}

function repeated(data: Uint8Array): Still {
  return { keyframe: () => data, repeat: null };
}

function audioLane({ track, sound }: TrackTail, first: number): Lane | null {
  if (track.kind !== 'audio' || sound === null) return null;
  const silence = silentFrame(track, sound);
  if (silence === null) return null;
  const duration = ticksFromSamples(silence.samples, silence.sampleRate);
  let next = first;
  return {
    video: false,
    get next() {
      return Math.round(next);
    },
    take: () => {
      const dts = Math.round(next);
      next += duration;
      return { track, dts, pts: dts, keyframe: true, data: silence.data };
    },
  };
}
