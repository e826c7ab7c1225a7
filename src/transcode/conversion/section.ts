import { reasonNotInTs } from '../../formats/mpegts/muxer.ts';
import type { Clock } from '../../media/clock.ts';
import { type Epoch, type EpochReason, PACKET_OVERHEAD_BYTES, type Packet } from '../../media/packet.ts';
import { msFromTicks, type Ticks, ticksFromMs } from '../../media/time.ts';
import type { Track } from '../../media/track.ts';
import type { TrackConverter } from './track-converter.ts';

/** How long the beginning of an epoch waits for the converted tracks to show what they are. */
const OPENING_MS = 3000;
/** Media time that a late track is waited for. */
const PATIENCE = ticksFromMs(1500);
/** One that comes, but later, is waited for longer: sound far ahead of its pictures is of no use to a player. */
const LONGEST_PATIENCE = ticksFromMs(4000);
const MARGIN = ticksFromMs(250);
/** What is still inside the encoders when the epoch is over gets this long to come out. */
const DRAIN_MS = 5000;

/** What a converter needs of whoever merges its output. */
export interface ConverterCallbacks {
  readonly onPacket: (packet: Packet) => void;
  readonly onClosed: () => void;
}

export interface SectionOptions {
  readonly clock: Clock;
  /** The epoch as it came. */
  readonly epoch: Epoch;
  /** Receives what is merged, while the section is active. */
  readonly output: { epoch(epoch: Epoch): void; packet(packet: Packet): void };
  /** Runs what is called from outside of a delivery, and deals with what it throws. */
  readonly guarded: (run: () => void) => void;
  /** Nothing is converted (any more), and all that was held has been handed on: packets may go past this. */
  readonly onPlain: () => void;
  /** After `finish`: the last packet has been handed on. */
  readonly onDone: () => void;
}

interface Lane {
  readonly source: Track;
  readonly converter: TrackConverter;
  readonly queue: Packet[];
  /** The track of the newest packets, with the id of the source. */
  current: Track | null;
  /** `current` before it got that id, as the encoder gives it. */
  raw: Track | null;
  /** As it was announced; null when it was not. */
  declared: Track | null;
  /** False after its silence held up the others once; true again with its next packet. */
  awaited: boolean;
  closed: boolean;
  /** Decode time of the last packet handed on. */
  last: Ticks;
}

/**
 * One epoch, of which some tracks are converted: puts together again what the encoders and the source deliver, and
 * announces it once it is known what that is.
 */
export class Section {
  readonly #options: SectionOptions;
  readonly #lanes: Lane[] = [];
  /** Packets that need no conversion. They came in decode order, so nobody ever waits for one of them. */
  readonly #remuxed: Packet[] = [];
  /** Packets until it is decided what to do with them. */
  #undecided: Packet[] | null = [];
  #kept: readonly Track[] = [];
  #heldBytes = 0;
  #newest: Ticks = Number.NEGATIVE_INFINITY;
  #patience = PATIENCE;
  #state: 'queued' | 'opening' | 'open' | 'over' = 'queued';
  #finishing = false;
  /** Nobody is waited for any more. */
  #hurried = false;
  #cancelTimer: (() => void) | null;
  #openingIsOver = false;
  /** A track is another one than was announced. */
  #changed = false;

  constructor(options: SectionOptions) {
    this.#options = options;
    this.#cancelTimer = options.clock.after(OPENING_MS, () =>
      options.guarded(() => {
        this.#openingIsOver = true;
        this.#release();
      }),
    );
  }

  /** Bytes that wait here or for an encoder. */
  get heldBytes(): number {
    let bytes = this.#heldBytes;
    for (const { converter } of this.#lanes) bytes += converter.queuedBytes;
    return bytes;
  }

  /**
   * What becomes of each track is decided.
   *
   * @param kept the tracks that are announced, as they came
   * @param convert makes a converter for those that are converted, else null
   */
  decide(
    kept: readonly Track[],
    convert: (track: Track, callbacks: ConverterCallbacks) => TrackConverter | null,
  ): void {
    const undecided = this.#undecided;
    if (undecided === null) return;
    this.#kept = kept;
    for (const source of kept) {
      const converter = convert(source, {
        onPacket: (packet) => this.#options.guarded(() => this.#converted(source, packet)),
        onClosed: () => this.#options.guarded(() => this.#closed(source)),
      });
      if (converter !== null) this.#lanes.push(newLane(source, converter));
    }
    this.#undecided = null;
    this.#heldBytes = 0;
    for (const packet of undecided) this.#take(packet, false);
    if (this.#finishing) this.#finishLanes();
    this.#release();
  }

  /** Everything before this has been handed on. */
  activate(): void {
    if (this.#state !== 'queued') return;
    this.#state = 'opening';
    this.#release();
  }

  /** @param full too much is held already */
  packet(packet: Packet, full: boolean): void {
    if (this.#undecided !== null) {
      if (full) return;
      this.#undecided.push(packet);
      this.#heldBytes += cost(packet);
      return;
    }
    this.#take(packet, full);
    this.#release();
  }

  /** Nothing more comes from the source. */
  finish(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    const { clock, guarded } = this.#options;
    this.#cancelTimer?.();
    this.#cancelTimer = clock.after(DRAIN_MS, () => guarded(() => this.hurry()));
    if (this.#undecided !== null) return;
    this.#finishLanes();
    this.#release();
  }

  /** Waits for nobody any more; what was to end ends now. */
  hurry(): void {
    this.#hurried = true;
    this.#openingIsOver = true;
    if (this.#finishing) {
      // Undecided is as good as dropped then.
      if (this.#undecided !== null) this.decide(this.#options.epoch.tracks, () => null);
      for (const { converter } of this.#lanes) converter.stop();
    }
    this.#release();
    this.#hurried = this.#finishing;
  }

  /** At once, and nothing is handed on any more. */
  abort(): void {
    this.#state = 'over';
    this.#cancelTimer?.();
    for (const { converter } of this.#lanes) converter.stop();
  }

  #finishLanes(): void {
    for (const lane of this.#lanes) {
      lane.awaited = true;
      lane.converter.finish();
    }
  }

  #take(packet: Packet, full: boolean): void {
    this.#newest = Math.max(this.#newest, packet.dts);
    const lane = this.#laneOf(packet.track);
    if (lane !== undefined) {
      lane.converter.write(packet, full);
      return;
    }
    this.#remuxed.push(packet);
    this.#heldBytes += cost(packet);
  }

  #laneOf(source: Track): Lane | undefined {
    for (const lane of this.#lanes) if (lane.source === source) return lane;
    return undefined;
  }

  #converted(source: Track, packet: Packet): void {
    const lane = this.#laneOf(source);
    if (lane === undefined || this.#state === 'over') return;
    const adopted = adopt(lane, packet);
    const lag = this.#newest - packet.dts;
    // Late for its start is not late for good.
    if (lane.queue.length === 0 && this.#state === 'open' && lag > this.#patience) {
      this.#patience = Math.min(lag + MARGIN, LONGEST_PATIENCE);
    }
    lane.awaited = true;
    lane.queue.push(adopted);
    this.#heldBytes += cost(adopted);
    this.#release();
  }

  #closed(source: Track): void {
    const lane = this.#laneOf(source);
    if (lane === undefined) return;
    lane.closed = true;
    this.#release();
  }

  #release(): void {
    if (this.#undecided !== null) return;
    if (this.#state === 'opening') {
      if (!this.#mayOpen()) return;
      this.#open();
    }
    if (this.#state !== 'open') return;
    for (let packet = this.#next(); packet !== null; packet = this.#next()) this.#handOn(packet);
    if (!this.#lanes.every(({ closed }) => closed)) return;
    // A throw above leaves the rest to whoever caught it.
    this.#state = 'over';
    this.#cancelTimer?.();
    if (this.#finishing) this.#options.onDone();
    else this.#options.onPlain();
  }

  #mayOpen(): boolean {
    if (this.#openingIsOver) return true;
    return this.#lanes.every(({ queue, closed }) => closed || queue.length > 0);
  }

  #open(): void {
    this.#state = 'open';
    if (!this.#finishing) this.#cancelTimer?.();
    for (const lane of this.#lanes) {
      lane.declared = lane.queue[0]?.track ?? null;
      if (lane.declared !== null) continue;
      lane.awaited = this.#finishing;
      lane.converter.forgetBacklog();
    }
    this.#announce(this.#options.epoch);
  }

  #announce({ reason, start, startedAt }: Omit<Epoch, 'tracks'>): void {
    const tracks = this.#kept.flatMap((track) => {
      const lane = this.#laneOf(track);
      if (lane === undefined) return [track];
      // One that could be carried must not be announced when its packets do not come.
      return lane.declared ?? (reasonNotInTs(track) === null ? [] : [track]);
    });
    this.#options.output.epoch({ reason, start, startedAt, tracks });
  }

  /** Takes out the earliest packet, unless an earlier one may still come. */
  #next(): Packet | null {
    let first: Packet[] | null = null;
    let earliest = Number.POSITIVE_INFINITY;
    for (const { queue, source } of this.#lanes) {
      const dts = queue[0]?.dts;
      if (dts === undefined || dts > earliest) continue;
      // At equal times video goes first: its keyframe decides the cut.
      if (dts === earliest && source.kind === 'audio') continue;
      first = queue;
      earliest = dts;
    }
    const remuxed = this.#remuxed[0];
    if (
      remuxed !== undefined &&
      (remuxed.dts < earliest || (remuxed.dts === earliest && remuxed.track.kind === 'video'))
    ) {
      first = this.#remuxed;
      earliest = remuxed.dts;
    }
    if (first === null) return null;
    if (this.#isSomebodyMissing() && !this.#hurried) {
      if (this.#finishing || this.#newest - earliest <= this.#patience) return null;
      for (const lane of this.#lanes) if (lane.queue.length === 0) lane.awaited = false;
    }
    const packet = first.shift() ?? null;
    if (packet !== null) this.#heldBytes -= cost(packet);
    return packet;
  }

  #isSomebodyMissing(): boolean {
    for (const { awaited, closed, queue, converter } of this.#lanes) {
      if (awaited && !closed && queue.length === 0 && converter.state !== 'failed') return true;
    }
    return false;
  }

  #handOn(packet: Packet): void {
    const { output } = this.#options;
    const lane = this.#lanes.find(({ source }) => source.id === packet.track.id);
    if (lane !== undefined && packet.keyframe && packet.track !== lane.declared) this.#changed = true;
    if (this.#changed && this.#canBegin(packet, lane)) this.#begin(packet, lane);
    if (lane === undefined) {
      output.packet(packet);
      return;
    }
    // An encoder that was started again may begin where the last one ended.
    const dts = Math.max(packet.dts, lane.last + 1);
    if (packet.track !== lane.declared || dts > packet.pts) {
      lane.converter.outputLost();
      return;
    }
    lane.last = dts;
    output.packet(dts === packet.dts ? packet : { ...packet, dts });
  }

  /** As everywhere an epoch begins with a keyframe of the leading video, or where there is none with anything. */
  #canBegin(packet: Packet, lane: Lane | undefined): boolean {
    if (!packet.keyframe) return false;
    const leading = this.#kept.find((track) => {
      if (track.kind !== 'video') return false;
      const own = this.#laneOf(track);
      if (own === undefined) return reasonNotInTs(track) === null;
      return own.declared !== null || own === lane;
    });
    return leading === undefined || leading.id === packet.track.id;
  }

  #begin(packet: Packet, from: Lane | undefined): void {
    const { epoch } = this.#options;
    for (const lane of this.#lanes) {
      // The newest form that it had: packets of an older one that still wait are dropped.
      const next = lane === from ? packet.track : (lane.queue[0]?.track ?? lane.current);
      lane.declared = next;
    }
    this.#changed = false;
    const reason: EpochReason = 'config-change';
    const startedAt = epoch.startedAt + msFromTicks(packet.dts - epoch.start);
    this.#announce({ reason, start: packet.dts, startedAt });
  }
}

function newLane(source: Track, converter: TrackConverter): Lane {
  return {
    ...{ source, converter, queue: [], current: null, raw: null, declared: null },
    ...{ awaited: true, closed: false, last: Number.NEGATIVE_INFINITY },
  };
}

/** Gives a packet the Track object that stands for its parameters, with the id that the source has. */
function adopt(lane: Lane, packet: Packet): Packet {
  if (packet.track !== lane.raw) {
    lane.raw = packet.track;
    const { current, source } = lane;
    if (current === null || !isSame(current, packet.track)) {
      lane.current = { ...packet.track, id: source.id };
    }
  }
  const track = lane.current ?? packet.track;
  return packet.track === track ? packet : { ...packet, track };
}

function isSame(a: Track, b: Track): boolean {
  return a.codec === b.codec && a.flvHeader === b.flvHeader && Buffer.compare(a.config, b.config) === 0;
}

function cost(packet: Packet): number {
  return packet.data.length + PACKET_OVERHEAD_BYTES;
}
