import type { Clock } from '../../media/clock.ts';
import type { Epoch, Packet } from '../../media/packet.ts';
import { type EpochMs, TICKS_PER_SECOND, type Ticks, ticksFromSeconds } from '../../media/time.ts';
import type { AudioTrack } from '../../media/track.ts';
import type { Warning } from '../../media/warning.ts';
import { AudioGaps } from './audio-gaps.ts';
import { ClockDrift } from './clock-drift.ts';
import { FindingMemory } from './finding-memory.ts';
import { FrameSpacing } from './frame-spacing.ts';
import { KeyframeSpacing } from './keyframe-spacing.ts';
import { Pace, stalled } from './pace.ts';
import { Reordering } from './reordering.ts';
import { formatWarnings } from './track-format.ts';

/** Frames are judged over so many seconds of media. */
const WINDOW_SECONDS = 10;
/** A publisher without audio may only be late with it. */
const AUDIO_PATIENCE = ticksFromSeconds(5);

/**
 * What one publisher should change, in plain words. It sees every packet and does little more than count; it judges
 * and looks at the clock once per second of media. A new publisher gets a new doctor.
 */
export class IngestDoctor {
  readonly #clock: Clock;
  readonly #memory = new FindingMemory();
  readonly #keyframes = new KeyframeSpacing();
  readonly #frames = new FrameSpacing();
  readonly #reordering = new Reordering();
  readonly #audioGaps = new AudioGaps();
  readonly #pace = new Pace();
  readonly #drift = new ClockDrift();
  #epoch: Epoch | null = null;
  /** Findings in the tracks' headers: they stay as long as the tracks. */
  #format: readonly Warning[] = [];
  #video: string | null = null;
  #audio: AudioTrack | null = null;
  #bytes = 0;
  #newest: Ticks = Number.NEGATIVE_INFINITY;
  #nextSecond: Ticks = Number.NEGATIVE_INFINITY;
  #seconds = 0;
  /** When media arrived last, to a second of media; null when nobody is connected. */
  #arrivedAt: EpochMs | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  epoch(epoch: Epoch): void {
    const { tracks, reason } = epoch;
    this.#epoch = epoch;
    this.#format = formatWarnings(tracks);
    this.#video = tracks.find((track) => track.kind === 'video')?.id ?? null;
    this.#audio = tracks.find((track) => track.kind === 'audio') ?? null;
    this.#keyframes.interrupt();
    this.#frames.interrupt();
    this.#reordering.interrupt();
    this.#audioGaps.begin(this.#audio);
    // A change of tracks does not stop the publisher's clock.
    if (reason === 'config-change') return;
    this.#pace.interrupt();
    this.#drift.interrupt();
  }

  packet({ track, dts, pts, keyframe, data }: Packet): void {
    this.#bytes += data.length;
    if (track.id === this.#video) {
      this.#frames.frame(dts);
      this.#reordering.frame(pts);
      if (keyframe) this.#see(this.#keyframes.keyframe(dts));
    } else if (track === this.#audio) {
      this.#see(this.#audioGaps.frame(dts));
    }
    if (dts > this.#newest) this.#newest = dts;
    if (dts >= this.#nextSecond) this.#second(dts);
  }

  /** The publisher is gone: silence means nothing any more. */
  end(): void {
    this.#arrivedAt = null;
  }

  findings(): Warning[] {
    const now = this.#clock.now();
    const stall = this.#arrivedAt === null ? null : stalled(this.#arrivedAt, now);
    return [
      ...(stall === null ? [] : [stall]),
      ...this.#format,
      ...this.#missingAudio(),
      ...this.#memory.current(now),
    ];
  }

  #second(dts: Ticks): void {
    this.#nextSecond = dts + TICKS_PER_SECOND;
    const now = this.#clock.now();
    this.#arrivedAt = now;
    const sample = { wall: now, media: dts, bytes: this.#bytes };
    this.#see(this.#pace.sample(sample));
    this.#see(this.#drift.sample(sample));
    if (this.#video !== null) this.#see(this.#audioGaps.silence(dts));
    if (++this.#seconds % WINDOW_SECONDS !== 0) return;
    this.#see(this.#frames.judge());
    this.#see(this.#reordering.judge(this.#frames.usualMs));
  }

  #see(warning: Warning | null): void {
    if (warning !== null) this.#memory.see(warning, this.#clock.now());
  }

  #missingAudio(): Warning[] {
    if (this.#epoch === null || this.#video === null || this.#audio !== null) return [];
    if (this.#newest - this.#epoch.start < AUDIO_PATIENCE) return [];
    return [
      {
        code: 'audio-missing',
        severity: 'notice',
        message: 'There is no audio; some players and services expect a stream to have it.',
        fix: 'Send silence at least. In OBS: Settings > Audio > Global Audio Devices. With ffmpeg: -f lavfi -i anullsrc.',
      },
    ];
  }
}
