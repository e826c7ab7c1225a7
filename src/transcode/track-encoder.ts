import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';
import type { Packet } from '../media/packet.ts';
import type { Ticks } from '../media/time.ts';
import type { Track } from '../media/track.ts';
import { type ChildExit, startChild } from '../processes/child.ts';
import { inability } from './ffmpeg/abilities.ts';
import { trackArguments } from './ffmpeg/arguments.ts';
import { makeEncodedOutput } from './ffmpeg/encoded-output.ts';
import { makeFeed } from './ffmpeg/feed.ts';
import type { Ffmpeg } from './ffmpeg/ffmpeg.ts';
import { lastWords } from './ffmpeg/last-words.ts';
import type { TrackOutput } from './ffmpeg/outputs.ts';
import { SourceTimes } from './ffmpeg/source-times.ts';
import { watchForStall } from './ffmpeg/stall-watch.ts';

export type { AudioOutput, TrackOutput, VideoOutput } from './ffmpeg/outputs.ts';

export interface TrackEncoderOptions {
  readonly ffmpeg: Ffmpeg;
  /** What the packets are decoded with; another one needs another encoder. */
  readonly input: Track;
  /** One at least. */
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
  /** SLUICE_TRANSCODE_FAILED, or SLUICE_FFMPEG_UNABLE before it was started; null when it ended because of `finish` or `stop`. */
  readonly error: SluiceError | null;
  /** The end of what ffmpeg wrote there. */
  readonly stderr: string;
}

/** One ffmpeg that decodes one track and encodes it any number of times. */
export interface TrackEncoder {
  /** Never throws and never waits; what ffmpeg does not take yet is kept. Pictures before the first keyframe are left out. */
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
/** Packets that decoder and encoder may keep because they need those after them. */
const MAX_HELD_PACKETS = 40;

/** Starts ffmpeg for a track. Never throws: what goes wrong is told by `onExit`. */
export function startTrackEncoder(options: TrackEncoderOptions): TrackEncoder {
  const unable = inability(options.ffmpeg, options.input, options.outputs);
  return unable === null ? runEncoder(options) : unstarted(unable, options);
}

/** Has its end told as every other one is: later, and only when nobody has stopped it. */
function unstarted(error: SluiceError, { onExit }: TrackEncoderOptions): TrackEncoder {
  let stopped = false;
  queueMicrotask(() => onExit({ error: stopped ? null : error, stderr: '' }));
  return {
    write: () => {},
    finish: () => {},
    stop: () => {
      stopped = true;
    },
    queuedBytes: 0,
    pid: null,
  };
}

function runEncoder(options: TrackEncoderOptions): TrackEncoder {
  const { ffmpeg, input, outputs, clock } = options;
  const times = new SourceTimes();
  const feed = makeFeed(input, times);
  const frameRate = input.kind === 'video' ? input.frameRate : null;
  const child = startChild({
    command: ffmpeg.path,
    args: trackArguments(feed.format, input, outputs, {
      version: ffmpeg.version,
      threads: options.threads,
      frameRate,
    }),
    extraOutputs: outputs.length - 1,
    niceness: options.niceness,
  });

  let lead: Ticks | null = null;
  let finishing = false;
  /** Set when it was told to end, by the caller or for what it did wrong. */
  let ended: { readonly error: SluiceError | null } | null = null;
  let written = 0;
  let writtenAtLook = 0;
  /** Packets that came out, of each output, and how many had been written at the last one. */
  const received = outputs.map(() => 0);
  const writtenAtOutput = outputs.map(() => 0);

  const readers = outputs.map((output) => makeEncodedOutput({ output, times, lead: () => lead ?? 0 }));
  readers.forEach((_, index) => {
    child.outputs[index]?.on('data', (chunk: Buffer) => receive(index, chunk));
  });

  function receive(index: number, chunk: Buffer): void {
    const reader = readers[index];
    if (ended !== null || reader === undefined) return;
    let packets: readonly Packet[];
    try {
      packets = reader.push(chunk);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      end(error);
      return;
    }
    if (packets.length > 0) writtenAtOutput[index] = written;
    received[index] = (received[index] ?? 0) + packets.length;
    times.forget(Math.min(...readers.map(({ newestMs }) => newestMs)));
    for (const packet of packets) {
      // The callback may have ended it.
      if (ended === null) options.onPacket(index, packet);
    }
  }

  function end(error: SluiceError | null): void {
    ended ??= { error };
    void child.stop();
  }

  /** For one that had its time, and would not listen. */
  function force(error: SluiceError | null): void {
    ended ??= { error };
    void child.kill();
  }

  const endWatch = watchForStall({
    clock,
    busy: () => {
      const fed = written > writtenAtLook;
      writtenAtLook = written;
      return (
        child.stdin.writableLength > 0 || (fed && written - Math.min(...writtenAtOutput) > MAX_HELD_PACKETS)
      );
    },
    progress: () => [...received],
    onStall: (seconds) => force(failure(`no output for ${seconds} s`, child.stderr)),
  });
  let cancelFinish = () => {};

  void child.exited.then((exit) => {
    endWatch();
    cancelFinish();
    const error = ended === null ? errorOf(exit, child.stderr, finishing) : ended.error;
    // Nothing is given out any more.
    ended ??= { error };
    options.onExit({ error, stderr: child.stderr });
  });

  child.stdin.write(feed.header);
  return {
    write: (packet) => {
      if (finishing || ended !== null || (lead === null && !packet.keyframe)) return;
      lead ??= packet.pts - packet.dts;
      written++;
      const ms = packet.track.kind === 'video' ? times.add(packet) : times.ms(packet.pts);
      try {
        child.stdin.write(feed.packet(packet, ms));
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        end(failure(`it cannot be fed: ${error.message}`, ''));
      }
    },
    finish: () => {
      if (finishing || ended !== null) return;
      finishing = true;
      child.stdin.end();
      cancelFinish = clock.after(FINISH_MS, () => force(null));
    },
    stop: () => end(null),
    get queuedBytes() {
      return child.stdin.writableLength;
    },
    pid: child.pid,
  };
}

function errorOf(exit: ChildExit, stderr: string, finishing: boolean): SluiceError | null {
  if (exit.error !== null) return failure(`it could not be started: ${exit.error.message}`, '');
  if (exit.signal !== null) return failure(`it was ended by ${exit.signal}`, stderr);
  if (exit.code !== 0) return failure(`it ended with code ${exit.code}`, stderr);
  return finishing ? null : failure('it ended by itself', stderr);
}

function failure(what: string, stderr: string): SluiceError {
  const words = lastWords(stderr);
  return new SluiceError('SLUICE_TRANSCODE_FAILED', `ffmpeg: ${what}${words === null ? '' : ` (${words})`}`);
}
