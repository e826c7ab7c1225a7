import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';
import type { Packet } from '../media/packet.ts';
import type { Ticks } from '../media/time.ts';
import type { Track } from '../media/track.ts';
import { type ChildExit, startChild } from '../processes/child.ts';
import { trackArguments } from './ffmpeg/arguments.ts';
import { makeEncodedOutput } from './ffmpeg/encoded-output.ts';
import { makeFeed } from './ffmpeg/feed.ts';
import type { Ffmpeg } from './ffmpeg/ffmpeg.ts';
import { lastWords } from './ffmpeg/last-words.ts';
import type { TrackOutput } from './ffmpeg/outputs.ts';
import { SourceTimes } from './ffmpeg/source-times.ts';

export type { AudioOutput, TrackOutput, VideoOutput } from './ffmpeg/outputs.ts';

export interface TrackEncoderOptions {
  readonly ffmpeg: Ffmpeg;
  /** What the packets are decoded with; another one needs another encoder. */
  readonly input: Track;
  readonly outputs: readonly TrackOutput[];
  /** 0 … 19. */
  readonly niceness: number;
  /** Of each encoder; 0 leaves it to a default. */
  readonly threads: number;
  readonly clock: Clock;
  /**
   * A packet of output n. Video: `pts` and `keyframe` are exactly those of the source frame it was made from, and
   * `dts` is earlier by what it was at the first keyframe of the source.
   */
  readonly onPacket: (output: number, packet: Packet) => void;
  /** Called once, whatever happened, and nothing after it. */
  readonly onExit: (exit: TrackEncoderExit) => void;
}

export interface TrackEncoderExit {
  /** Null when it ended because of `finish` or `stop`. SLUICE_TRANSCODE_FAILED. */
  readonly error: SluiceError | null;
  /** The end of what ffmpeg wrote there. */
  readonly stderr: string;
}

/** One ffmpeg that decodes one track and encodes it any number of times. */
export interface TrackEncoder {
  /** Never throws and never waits; what ffmpeg does not take yet is kept. The first packet should be a keyframe. */
  write(packet: Packet): void;
  /** Nothing more is written: the rest comes out, then `onExit`. Ended by force when that takes longer than 5 s. */
  finish(): void;
  /** Ends it now; no packet comes after this. */
  stop(): void;
  /** Bytes that were written here and not taken by ffmpeg yet. The caller decides how much is too much. */
  readonly queuedBytes: number;
  readonly pid: number | null;
}

const FINISH_MS = 5000;
/** How often the watchdog looks, and how many looks without anything new it bears while there is work. */
const LOOK_MS = 1000;
const MAX_IDLE_LOOKS = 10;
/** Frames that decoder and encoder may keep because they need the ones after them. */
const MAX_HELD_FRAMES = 40;

/** Starts ffmpeg for a track. Never throws: what goes wrong is told by `onExit`. */
export function startTrackEncoder(options: TrackEncoderOptions): TrackEncoder {
  const { ffmpeg, input, outputs, clock } = options;
  const times = new SourceTimes();
  const feed = makeFeed(input, times);
  const frameRate = input.kind === 'video' ? input.frameRate : null;
  const context = { version: ffmpeg.version, threads: options.threads, frameRate };
  const child = startChild({
    command: ffmpeg.path,
    args: trackArguments(feed.format, input, outputs, context),
    extraOutputs: outputs.length - 1,
    niceness: options.niceness,
  });
  const lead: Ticks | null = null;
  /** Why there is nothing more to be done for it: it failed here, or was told to end. */
  let ending: { readonly error: SluiceError | null } | null = null;
  const finishing = false;
  const cancelFinish = () => {};
  const idle = { looks: 0, written: 0, writtenBefore: 0, packets: outputs.map(() => 0) };

  const readers = outputs.map((output) => makeEncodedOutput({ output, times, lead: () => lead ?? 0 }));
  child.outputs.forEach((pipe, index) => {
    pipe.on('data', (chunk: Buffer) => receive(index, chunk));
  });

  function receive(index: number, chunk: Buffer): void {
    const reader = readers[index];
    if (ending !== null || reader === undefined) return;
    let packets: readonly Packet[];
    try {
      packets = reader.push(chunk);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      end(error);
      return;
    }
  }

  function end(error: SluiceError | null): void {
    ending ??= { error };
    void child.stop();
  }
}
