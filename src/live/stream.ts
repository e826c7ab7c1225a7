import type { Clock } from '../media/clock.ts';
import type { ErrorCode } from '../media/errors.ts';
import type { AnnouncedMedia, Frame } from '../media/frame.ts';
import type { Epoch, MediaSink, Packet } from '../media/packet.ts';
import { type EpochMs, type Ticks, ticksFromMs, ticksFromSeconds } from '../media/time.ts';
import { Timeline } from '../media/timeline.ts';
import type { Warning } from '../media/warning.ts';
import { FrameBatch } from './frame-batch.ts';
import { IngestDoctor } from './ingest-doctor/ingest-doctor.ts';
import { IngestStats } from './ingest-stats.ts';
import type { KeyframeCopy } from './keyframe-copy.ts';
import { type Slate, type SlateChoice, startSlate } from './slate.ts';
import { TrackTails } from './track-tails.ts';

/** Where a stream's timeline begins: room below for negative offsets and for clock references that run ahead. */
const ORIGIN = ticksFromSeconds(10);
const NOMINAL_FRAME = ticksFromMs(40);

/**
 * - `idle`: nobody has published yet
 * - `live`: a publisher is connected
 * - `grace`: it is gone, and the stream waits for it to come back
 * - `closed`: over for good; the same name begins a new Stream
 */
export type StreamState = 'idle' | 'live' | 'grace' | 'closed';

/** What a publisher has sent of itself besides media. Unchecked, and without its stream key. */
export interface PublisherClaims {
  /** What stood behind `?` in the application or the stream key; may hold secrets. */
  readonly query: string;
  readonly tcUrl: string | null;
  readonly swfUrl: string | null;
  readonly pageUrl: string | null;
}

export interface Publisher {
  /** For logs and the API, never a key. */
  readonly address: string;
  /** What the encoder calls itself, as far as it says. */
  readonly encoder: string | null;
  /** Absent for publishers that are no connection. */
  readonly claims?: PublisherClaims;
  /** Cuts the publisher off, telling it why: a newer one took over, or the stream is closed. */
  readonly dismiss: (reason: ErrorCode) => void;
}

export interface StreamOptions {
  readonly clock: Clock;
  /** How long `grace` lasts, by application. */
  readonly graceMs: (app: string) => number;
  /** What is seen in `grace`; null, or no function, for nothing. */
  readonly slate?: (stream: Stream) => SlateChoice | null;
  /** Also called with `live` again when a publisher takes over from another. */
  readonly onState: (stream: Stream, state: StreamState) => void;
  readonly onEpoch: (stream: Stream, epoch: Epoch) => void;
  /**
   * A sink threw; it gets nothing any more. The stream and the other sinks go on until the owner decides otherwise.
   * Called in the middle of a delivery: closing the stream has to wait until that is over.
   */
  readonly onSinkFault: (stream: Stream, error: unknown) => void;
}

/** A stream as it was before a restart. */
export interface StreamResume {
  readonly startedAt: EpochMs;
  /** End of the newest media; the next publisher continues here. */
  readonly end: Ticks;
  /** It was closed already. */
  readonly closed: boolean;
}

/** One publisher's hold on a stream. After `end` or a takeover its calls do nothing. */
export interface Publication {
  readonly stream: Stream;
  announce(media: AnnouncedMedia): void;
  /** What is delivered may be a fraction of a second behind. The frame's data may be in a slab that the caller holds. */
  push(frame: Frame): void;
  /** Delivers what was pushed; to be called about once a second, for publishers that send nothing more. */
  flush(): void;
  end(): void;
}

/** One app/name: at most one publisher, any number of sinks, and the patience to wait for a publisher that dropped. */
export class Stream {
  readonly app: string;
  readonly name: string;
  readonly stats = new IngestStats();
  readonly #options: StreamOptions;
  readonly #sinks = new Set<MediaSink>();
  #state: StreamState = 'idle';
  #publisher: Publisher | null = null;
  #address: string | null = null;
  #doctor: IngestDoctor | null = null;
  #timeline: Timeline | null = null;
  #batch: FrameBatch | null = null;
  #epoch: Epoch | null = null;
  /** There is something to see already. */
  #shown = false;
  #startedAt: EpochMs | null = null;
  /** End of the newest media; the next publisher continues from here. */
  #end: Ticks = ORIGIN;
  #cancelGrace: (() => void) | null = null;
  readonly #tails = new TrackTails();
  /** Shown from when a publisher is gone until the first frame of the next. */
  #slate: Slate | null = null;
  /** The sinks have an epoch that was not ended. */
  #open = false;
  #newestKeyframe: KeyframeCopy | null = null;

  /** @param resume goes on with what an earlier process had */
  constructor(app: string, name: string, options: StreamOptions, resume: StreamResume | null = null) {
    this.app = app;
    this.name = name;
    this.#options = options;
    if (resume === null) return;
    this.#end = resume.end;
    this.#startedAt = resume.startedAt;
    this.#shown = true;
    if (resume.closed) this.#state = 'closed';
  }

  /** Begins the grace of a resumed stream; its owner has to know it before. */
  awaitPublisher(): void {
    const { clock, graceMs } = this.#options;
    this.#setState('grace');
    this.#cancelGrace = clock.after(graceMs(this.app), () => this.close());
  }

  /** `app/name`, for logs. */
  get path(): string {
    return `${this.app}/${this.name}`;
  }

  get state(): StreamState {
    return this.#state;
  }

  get publisher(): Publisher | null {
    return this.#publisher;
  }

  /** Where its publisher is, or the last one was; null when an earlier process had it. */
  get address(): string | null {
    return this.#address;
  }

  /** The last epoch announced; null before the first media. */
  get epoch(): Epoch | null {
    return this.#epoch;
  }

  /** When the stream began; reconnects do not move it. */
  get startedAt(): EpochMs | null {
    return this.#startedAt;
  }

  /** End of the newest media. */
  get end(): Ticks {
    return this.#end;
  }

  /** The newest picture that can be decoded alone; null before the first, and for sound. */
  get newestKeyframe(): KeyframeCopy | null {
    return this.#newestKeyframe;
  }

  /** A slate is shown in place of a publisher. */
  get showsSlate(): boolean {
    return this.#slate !== null;
  }

  /** What the publisher should change. */
  findings(): Warning[] {
    return this.#doctor?.findings() ?? [];
  }

  /** Media of the publisher that waits to be delivered. */
  get queuedBytes(): number {
    return (this.#timeline?.queuedBytes ?? 0) + (this.#batch?.bytes ?? 0);
  }

  addSink(sink: MediaSink): void {
    if (this.#state === 'closed') {
      sink.close();
      return;
    }
    this.#sinks.add(sink);
    const goesOn = this.#state === 'live' || this.#slate !== null;
    if (this.#epoch !== null && goesOn) sink.epoch(this.#epoch);
  }

  /** Takes the stream over from whoever publishes it now. Must not be called on a closed stream. */
  publish(publisher: Publisher): Publication {
    const previous = this.#publisher;
    if (previous !== null) {
      this.#endTimeline();
      if (this.#slate === null) this.#endEpoch();
      previous.dismiss('SLUICE_RTMP_REPLACED');
    }
    this.#cancelGrace?.();
    this.#cancelGrace = null;
    this.#publisher = publisher;
    this.#address = publisher.address;
    this.#doctor = new IngestDoctor(this.#options.clock);
    this.#startedAt ??= this.#options.clock.now();
    let timeline = this.#beginTimeline();
    let announced: AnnouncedMedia | null = null;
    this.#setState('live');
    const active = () => this.#timeline === timeline;
    const batch = new FrameBatch(
      (frame) => {
        if (!active()) return;
        if (this.#slate !== null) {
          // The end has moved since; nothing was pushed yet.
          this.stopSlate();
          timeline = this.#beginTimeline();
          if (announced !== null) timeline.announce(announced);
        }
        timeline.push(frame);
      },
      () => this.#open,
    );
    this.#batch = batch;
    return {
      stream: this,
      announce: (media) => {
        if (!active()) return;
        batch.flush();
        announced = media;
        timeline.announce(media);
      },
      push: (frame) => {
        if (active()) batch.push(frame);
      },
      flush: () => batch.flush(),
      end: () => active() && this.#publisherLeft(),
    };
  }

  #beginTimeline(): Timeline {
    const timeline = new Timeline(
      {
        epoch: (epoch) => this.#announceEpoch(epoch),
        packet: (packet) => this.#deliver(packet),
        // Whether the sinks learn it depends on what comes next.
        end: () => {},
      },
      {
        clock: this.#options.clock,
        origin: this.#end,
        reason: this.#shown ? 'reconnect' : 'start',
        drops: this.stats.drops,
      },
    );
    this.#timeline = timeline;
    return timeline;
  }

  /**
   * Ends the stream at once, without grace.
   *
   * @param reason what the publisher is told, if there is one
   */
  close(reason: ErrorCode = 'SLUICE_SHUTTING_DOWN'): void {
    if (this.#state === 'closed') return;
    this.#cancelGrace?.();
    this.#cancelGrace = null;
    this.#endTimeline();
    this.stopSlate();
    this.#endEpoch();
    const publisher = this.#publisher;
    this.#publisher = null;
    this.#forEachSink((sink) => sink.close());
    this.#setState('closed');
    publisher?.dismiss(reason);
  }

  /** The stream does not end for want of a publisher: somebody else goes on with it. */
  stopWaiting(): void {
    this.#cancelGrace?.();
    this.#cancelGrace = null;
  }

  /** Nothing is shown any more until there is a publisher; the stream waits for it as long as it would have. */
  stopSlate(): void {
    if (this.#slate === null) return;
    this.#slate.stop();
    this.#slate = null;
    this.#endEpoch();
  }

  #publisherLeft(): void {
    this.#endTimeline();
    this.#publisher = null;
    // Nothing was ever shown, so there is nobody to wait with.
    if (!this.#shown || this.#options.graceMs(this.app) === 0) {
      this.close();
      return;
    }
    this.#startSlate();
    if (this.#slate === null) this.#endEpoch();
    this.awaitPublisher();
  }

  #startSlate(): void {
    // A publisher that sent nothing leaves the slate, or its absence, as it was.
    if (this.#slate !== null || !this.#open) return;
    const choice = this.#options.slate?.(this) ?? null;
    if (choice === null) return;
    this.#slate = startSlate({
      clock: this.#options.clock,
      tails: this.#tails.list,
      choice,
      keyframeInterval: this.stats.keyframeInterval,
      frameRate: this.stats.frameRate,
      bitrate: this.stats.bitrate,
      deliver: (packet) => this.#handOn(packet),
    });
  }

  #endEpoch(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#forEachSink((sink) => sink.end());
  }

  #endTimeline(): void {
    if (this.#timeline === null) return;
    const batch = this.#batch;
    this.#batch = null;
    try {
      batch?.flush();
      this.#timeline?.end();
    } finally {
      this.#timeline = null;
      this.#doctor?.end();
    }
  }

  #announceEpoch(epoch: Epoch): void {
    this.#epoch = epoch;
    this.#shown = true;
    this.#open = true;
    this.#tails.reset();
    this.stats.reset(epoch.tracks.find((track) => track.kind === 'video')?.id ?? null);
    this.#doctor?.epoch(epoch);
    this.#forEachSink((sink) => sink.epoch(epoch));
    this.#options.onEpoch(this, epoch);
  }

  #deliver(packet: Packet): void {
    const { keyframe } = this.#tails.packet(packet);
    if (packet.keyframe && keyframe !== null) this.#newestKeyframe = keyframe;
    this.stats.packet(packet);
    this.#doctor?.packet(packet);
    this.#handOn(packet);
  }

  #handOn(packet: Packet): void {
    this.#end = Math.max(this.#end, packet.pts + NOMINAL_FRAME);
    for (const sink of this.#sinks) {
      try {
        sink.packet(packet);
      } catch (error) {
        this.#detach(sink, error);
      }
    }
  }

  #forEachSink(call: (sink: MediaSink) => void): void {
    for (const sink of this.#sinks) {
      try {
        call(sink);
      } catch (error) {
        this.#detach(sink, error);
      }
    }
  }

  #detach(sink: MediaSink, error: unknown): void {
    this.#sinks.delete(sink);
    this.#options.onSinkFault(this, error);
  }

  #setState(state: StreamState): void {
    this.#state = state;
    this.#options.onState(this, state);
  }
}
