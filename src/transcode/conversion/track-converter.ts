import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import { PACKET_OVERHEAD_BYTES, type Packet } from '../../media/packet.ts';
import { secondsFromTicks, type Ticks, ticksFromSeconds } from '../../media/time.ts';
import type { Track } from '../../media/track.ts';
import type { Ffmpeg } from '../ffmpeg/ffmpeg.ts';
import type { JobLimit } from '../job-limit.ts';
import type { AudioOutput, startTrackEncoder, TrackEncoder, VideoOutput } from '../track-encoder.ts';

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;
/** An encoder that worked for this long begins with the shortest delay again. */
const PROVEN_MS = 10_000;
/** What may be kept for an encoder that is not there yet. */
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024;
/** An encoder that is this far behind gets nothing until it has caught up … */
const TOO_FAR_BEHIND = ticksFromSeconds(5);
/** … unless the publisher sends faster than real time: then it may take its time. */
const TOO_LONG_BEHIND_MS = 5000;
const CAUGHT_UP = ticksFromSeconds(1);

/**
 * - `waiting`: for ffmpeg to be found, for room among `transcode.maxJobs`, for a keyframe, or for the first output
 * - `running`: converted media comes out
 * - `failed`: it ended, and is started again after a while
 */
export type ConverterState = 'waiting' | 'running' | 'failed';

export interface TrackConverterOptions {
  readonly clock: Clock;
  readonly jobs: JobLimit;
  readonly startEncoder: typeof startTrackEncoder;
  readonly input: Track;
  readonly niceness: number;
  readonly threads: number;
  /** A converted packet, in decode order. */
  readonly onPacket: (packet: Packet) => void;
  readonly onState: () => void;
  /** Called once after `finish` or `stop`, perhaps inside that call: nothing comes any more. */
  readonly onClosed: () => void;
}

interface Target {
  readonly ffmpeg: Ffmpeg;
  readonly output: VideoOutput | AudioOutput;
}

/** Room for one process; `granted` once there is. */
interface Room {
  granted: boolean;
  /** Or withdraws the request. */
  giveBack: () => void;
}

/** One encoder from its start to its exit. */
interface Run {
  readonly encoder: TrackEncoder;
}

/** Keeps an encoder for one track running: waits for room, starts it, and starts it again when it dies. */
export class TrackConverter {
  readonly #options: TrackConverterOptions;
  #state: ConverterState = 'waiting';
  #error: SluiceError | null = null;
  #dropped = 0;
  #target: Target | null = null;
  /** What is running, and not merely ending. */
  #run: Run | null = null;
  /** Asked for, and not taken by a run yet. */
  #room: Room | null = null;
  #cancelRetry: (() => void) | null = null;
  #retryMs = FIRST_RETRY_MS;
  /** All that came since the first keyframe, until there is output: a first start that fails loses nothing. */
  #backlog: Packet[] | null = [];
  #backlogBytes = 0;
  #closing = false;
  #closed = false;
  #newestIn: Ticks = Number.NEGATIVE_INFINITY;
  #newestOut: Ticks = Number.NEGATIVE_INFINITY;
  #firstOutAt: number | null = null;
  #behindSince: number | null = null;
  /** Input is left out until a keyframe. */
  #skipping = false;

  constructor(options: TrackConverterOptions) {
    this.#options = options;
  }

  get state(): ConverterState {
    return this.#state;
  }

  /** The last thing that went wrong. */
  get error(): SluiceError | null {
    return this.#error;
  }

  /** Packets of the source that were never encoded, and converted ones that were of no use. */
  get dropped(): number {
    return this.#dropped;
  }

  /** A converted packet could not be handed on. */
  outputLost(): void {
    this.#dropped++;
  }

  /** Input that ffmpeg has not taken yet. */
  get queuedBytes(): number {
    return this.#backlogBytes + (this.#run?.encoder.queuedBytes ?? 0);
  }

  /** There is an ffmpeg that can do it. */
  begin(ffmpeg: Ffmpeg, output: VideoOutput | AudioOutput): void {
    if (this.#closed || this.#target !== null) return;
    this.#target = { ffmpeg, output };
    this.#askForRoom();
  }

  /** @param full the caller holds too much already: this must not make it more */
  write(packet: Packet, full: boolean): void {
    if (this.#closed || this.#closing) return;
    if (this.#run === null) this.#writeToNobody(packet, full);
    else if (this.#mayTake(packet, full)) this.#feed(this.#run.encoder, packet);
    else this.#dropped++;
  }

  /** What was kept for the start is too old to be of use. */
  forgetBacklog(): void {
    if (this.#backlog !== null && this.#run === null) this.#dropped += this.#backlog.length;
    this.#backlog = null;
    this.#backlogBytes = 0;
  }

  /** Nothing more goes in; what is in comes out. */
  finish(): void {
    if (this.#closed || this.#closing) return;
    this.#closing = true;
    if (this.#run !== null) this.#run.encoder.finish();
    // What never got its turn may still get it.
    else if (this.#backlogBytes === 0) this.#close();
  }

  /** At once; what is in is lost. */
  stop(): void {
    if (!this.#closed) this.#close();
  }

  #writeToNobody(packet: Packet, full: boolean): void {
    if (this.#backlog !== null) {
      this.#keep(packet, full);
    } else if (this.#room?.granted !== true || !packet.keyframe) {
      this.#dropped++;
      return;
    }
    if (this.#room?.granted === true) this.#start(packet);
  }

  /** Keeps a packet for the start, if anything can be done with it. */
  #keep(packet: Packet, full: boolean): void {
    const backlog = this.#backlog;
    if (backlog === null) return;
    if (backlog.length === 0 && !packet.keyframe) {
      if (this.#run === null) this.#dropped++;
      return;
    }
    const cost = packet.data.length + PACKET_OVERHEAD_BYTES;
    if (full || this.#backlogBytes + cost > MAX_BACKLOG_BYTES) {
      this.forgetBacklog();
      if (this.#run === null) this.#dropped++;
      return;
    }
    backlog.push(packet);
    this.#backlogBytes += cost;
  }

  #askForRoom(): void {
    const room: Room = { granted: false, giveBack: () => {} };
    let asking = true;
    this.#room = room;
    room.giveBack = this.#options.jobs.acquire('conversion', () => {
      room.granted = true;
      if (!asking) this.#start(null);
    });
    asking = false;
    if (room.granted) {
      this.#start(null);
      return;
    }
    this.#error ??= new SluiceError('SLUICE_TRANSCODE_LIMIT', 'waiting for other ffmpeg jobs to end');
    this.#options.onState();
  }

  /** @param keyframe where to begin when nothing was kept */
  #start(keyframe: Packet | null): void {
    const [target, room] = [this.#target, this.#room];
    const first = this.#backlog ?? (keyframe === null ? [] : [keyframe]);
    if (target === null || room === null || first.length === 0) return;
    this.#room = null;
    this.#newestIn = Number.NEGATIVE_INFINITY;
    this.#newestOut = first[0]?.dts ?? 0;
    this.#firstOutAt = null;
    this.#behindSince = null;
    this.#skipping = false;
    const run = this.#startRun(target, room);
    if (run === null) return;
    this.#run = run;
    for (const packet of first) this.#write(run.encoder, packet);
    if (this.#closing) run.encoder.finish();
  }

  #startRun({ ffmpeg, output }: Target, room: Room): Run | null {
    const { clock, input, niceness, threads, startEncoder } = this.#options;
    // What a run that was given up still says counts for nothing.
    let run: Run | null = null;
    let exit: { readonly error: SluiceError | null } | null = null;
    const isCurrent = () => run !== null && run === this.#run;
    try {
      const encoder = startEncoder({
        ...{ ffmpeg, input, niceness, threads, clock, outputs: [output] },
        onPacket: (_, packet) => {
          if (isCurrent()) this.#converted(packet);
        },
        onExit: ({ error }) => {
          exit = { error };
          room.giveBack();
          if (isCurrent()) this.#exited(error);
        },
      });
      run = { encoder };
    } catch (error) {
      exit = { error: asFailure(error) };
      room.giveBack();
    }
    if (exit === null) return run;
    this.#exited((exit as { readonly error: SluiceError | null }).error);
    return null;
  }

  #feed(encoder: TrackEncoder, packet: Packet): void {
    if (this.#backlog !== null) this.#keep(packet, false);
    this.#write(encoder, packet);
  }

  #write(encoder: TrackEncoder, packet: Packet): void {
    this.#newestIn = Math.max(this.#newestIn, packet.dts);
    encoder.write(packet);
  }

  /** Frames are only left out from somewhere up to a keyframe. */
  #mayTake(packet: Packet, full: boolean): boolean {
    const now = this.#options.clock.now();
    const behind = this.#newestIn - this.#newestOut;
    if (behind <= CAUGHT_UP) this.#behindSince = null;
    else this.#behindSince ??= now;
    if (this.#skipping) {
      this.#skipping = !packet.keyframe || full || behind > CAUGHT_UP;
      return !this.#skipping;
    }
    const tooSlow =
      behind > TOO_FAR_BEHIND && this.#behindSince !== null && now - this.#behindSince > TOO_LONG_BEHIND_MS;
    if (!full && !tooSlow) return true;
    this.#skipping = true;
    this.#error = new SluiceError(
      'SLUICE_TRANSCODE_SLOW',
      `encoding is ${secondsFromTicks(behind).toFixed(1)} s behind, so frames are left out`,
    );
    this.#options.onState();
    return false;
  }

  #converted(packet: Packet): void {
    const { clock, onPacket, onState } = this.#options;
    this.#newestOut = Math.max(this.#newestOut, packet.dts);
    this.#backlog = null;
    this.#backlogBytes = 0;
    if (this.#firstOutAt === null) {
      this.#firstOutAt = clock.now();
      this.#state = 'running';
      onState();
    }
    onPacket(packet);
  }

  #exited(error: SluiceError | null): void {
    this.#run = null;
    if (this.#closing && (error === null || this.#backlogBytes === 0)) {
      this.#error = error ?? this.#error;
      this.#close();
      return;
    }
    this.#failed(error ?? new SluiceError('SLUICE_TRANSCODE_FAILED', 'ffmpeg ended before the stream did'));
  }

  #failed(error: SluiceError): void {
    const { clock, onState } = this.#options;
    this.#error = error;
    this.#state = 'failed';
    if (this.#firstOutAt !== null && clock.now() - this.#firstOutAt >= PROVEN_MS) {
      this.#retryMs = FIRST_RETRY_MS;
    }
    this.#cancelRetry = clock.after(this.#retryMs, () => this.#askForRoom());
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    onState();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closing = true;
    this.#closed = true;
    this.#cancelRetry?.();
    this.#room?.giveBack();
    this.#room = null;
    this.forgetBacklog();
    const run = this.#run;
    this.#run = null;
    run?.encoder.stop();
    this.#options.onClosed();
  }
}

function asFailure(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new SluiceError('SLUICE_TRANSCODE_FAILED', text, { cause: error });
}
