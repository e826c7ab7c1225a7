import type { Stream } from '../live/stream.ts';
import type { Clock } from '../media/clock.ts';
import type { SluiceError } from '../media/errors.ts';
import type { MediaSink } from '../media/packet.ts';
import type { PreparingSink } from '../packaging/hls-outputs.ts';
import type { HlsPackager } from '../packaging/hls-packager.ts';
import type { CodecPolicies } from './conversion/codec-policy.ts';
import {
  type Conversion,
  type ConversionSettings,
  makeConversion,
  type TrackConversion,
} from './conversion/conversion.ts';
import { chooseH264Encoder } from './ffmpeg/choose-encoder.ts';
import type { FfmpegFinder } from './ffmpeg/finder.ts';
import { makeJobLimit } from './job-limit.ts';
import { Ladder } from './ladder/ladder.ts';
import type { LadderEvent } from './ladder/ladder-options.ts';
import type { RungView } from './ladder/rung-view.ts';
import type { RungEntry } from './ladder/rungs.ts';
import { startTrackEncoder } from './track-encoder.ts';

/** What an application's configuration says of transcoding. */
export interface TranscodeSettings {
  readonly ladder: readonly RungEntry[];
  readonly transcode: {
    readonly when: 'watched' | 'always';
    /** Seconds. */
    readonly idle: number;
    readonly encoder: string;
    readonly preset: string;
    readonly niceness: number;
    readonly threads: number;
    readonly maxJobs: number;
    /** Kilobits per second. */
    readonly audioBitrate: number;
    readonly codecs: CodecPolicies;
  };
  readonly hls: { readonly silentAudio: boolean };
}

export interface TranscodingOptions {
  readonly clock: Clock;
  readonly ffmpeg: FfmpegFinder;
  /** By application; null for what holds for all. */
  readonly settings: (app: string | null) => TranscodeSettings;
  readonly onLadder: (stream: Stream, event: LadderEvent) => void;
  readonly onConversion: (stream: Stream, track: TrackConversion) => void;
  /** The configuration refuses a codec of the stream: it is to be closed. */
  readonly onReject: (stream: Stream, error: SluiceError) => void;
  /** The packager threw outside of a delivery of the stream. */
  readonly onFault: (stream: Stream, error: unknown) => void;
}

/** Totals since the start, and what runs now. */
export interface TranscodingFigures {
  readonly running: number;
  readonly waiting: number;
  readonly started: number;
  readonly failed: number;
  readonly shed: number;
}

/** Everything that ffmpeg does for streams. */
export class Transcoding {
  readonly #options: TranscodingOptions;
  readonly #jobs;
  readonly #ladders = new Map<Stream, Ladder>();
  readonly #conversions = new Map<Stream, Conversion>();
  #started = 0;
  #failed = 0;
  #shed = 0;

  constructor(options: TranscodingOptions) {
    this.#options = options;
    this.#jobs = makeJobLimit(() => options.settings(null).transcode.maxJobs);
  }

  get figures(): TranscodingFigures {
    const { running, waiting } = this.#jobs;
    return { running, waiting, started: this.#started, failed: this.#failed, shed: this.#shed };
  }

  /** What stands between a stream and its packager, for as long as there is the stream. */
  prepare(stream: Stream, packager: HlsPackager): PreparingSink {
    const { clock, ffmpeg, settings } = this.#options;
    let known: { readonly from: TranscodeSettings; readonly as: ReturnType<typeof ladderSettings> } | null =
      null;
    const ladder = new Ladder({
      clock,
      packager,
      ffmpeg,
      jobs: this.#jobs,
      settings: () => {
        const from = settings(stream.app);
        if (known?.from !== from) known = { from, as: ladderSettings(from) };
        return known.as;
      },
      startEncoder: startTrackEncoder,
      resolveEncoder: async (found, name) =>
        name === 'auto' ? (await chooseH264Encoder(found, clock)).encoder : name,
      frameRate: () => stream.stats.frameRate,
      onEvent: (event) => {
        this.#count(event);
        this.#options.onLadder(stream, event);
      },
    });
    const downstream = fanOut(packager, ladder);
    const conversion = makeConversion({
      clock,
      downstream,
      ffmpeg,
      jobs: this.#jobs,
      settings: () => conversionSettings(settings(stream.app)),
      chooseEncoder: async (found) => (await chooseH264Encoder(found, clock)).encoder,
      startEncoder: startTrackEncoder,
      onState: (track) => this.#options.onConversion(stream, track),
      onReject: (error) => this.#options.onReject(stream, error),
      onFault: (error) => this.#options.onFault(stream, error),
    });
    this.#ladders.set(stream, ladder);
    this.#conversions.set(stream, conversion);
    return {
      epoch: (epoch) => conversion.epoch(epoch),
      packet: (packet) => conversion.packet(packet),
      end: () => conversion.end(),
      close: () => conversion.close(),
      settled: async () => {
        await conversion.settled();
        // One that was refused or failed has told nobody.
        downstream.close();
        await ladder.settled();
      },
    };
  }

  /** Resolves when all is encoded as far as the streams go, once those have lost their publishers. */
  async finished(): Promise<void> {
    // What is converted goes on into ladders.
    await Promise.all([...this.#conversions.values()].map((conversion) => conversion.finished()));
    await Promise.all([...this.#ladders.values()].map((ladder) => ladder.finished()));
  }

  /** At once, and without what is being encoded: another process goes on. */
  stop(): void {
    for (const conversion of this.#conversions.values()) conversion.stop();
    for (const ladder of this.#ladders.values()) ladder.stop();
  }

  /** The stream is no longer to be seen. */
  forget(stream: Stream): void {
    this.#ladders.delete(stream);
    this.#conversions.delete(stream);
  }

  /** Somebody wants to choose between the stream's renditions, or one of them. @returns whether there will be that one */
  wanted(stream: Stream, rendition: string | null): boolean {
    return this.#ladders.get(stream)?.wanted(rendition) ?? false;
  }

  /** What happens to each track that the publisher sends now. */
  conversions(stream: Stream): readonly TrackConversion[] {
    return this.#conversions.get(stream)?.state() ?? [];
  }

  renditions(stream: Stream): RungView[] {
    return this.#ladders.get(stream)?.views() ?? [];
  }

  /** To be called when other settings hold. */
  settingsChanged(): void {
    this.#jobs.changed();
  }

  #count({ kind }: LadderEvent): void {
    if (kind === 'started') this.#started++;
    if (kind === 'failed') this.#failed++;
    if (kind === 'shed') this.#shed++;
  }
}

/** The packager cuts first: what follows it is told where. */
function fanOut(packager: HlsPackager, ladder: Ladder): MediaSink {
  let closed = false;
  return {
    epoch: (epoch) => {
      packager.epoch(epoch);
      ladder.epoch(epoch);
    },
    packet: (packet) => {
      packager.packet(packet);
      ladder.packet(packet);
    },
    end: () => {
      packager.end();
      ladder.end();
    },
    close: () => {
      if (closed) return;
      closed = true;
      packager.close();
      ladder.close();
    },
  };
}

function ladderSettings({ ladder, transcode }: TranscodeSettings) {
  const { when, idle, encoder, preset, niceness, threads } = transcode;
  return { entries: ladder, when, idleMs: idle * 1000, encoder, preset, niceness, threads };
}

function conversionSettings({ transcode, hls }: TranscodeSettings): ConversionSettings {
  return { ...transcode, silentAudio: hls.silentAudio };
}
