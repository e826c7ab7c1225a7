import type { Clock } from './clock.ts';
import type { AnnouncedMedia } from './frame.ts';
import type { InterleavedPacket } from './interleaver.ts';
import { type EpochReason, type MediaSink, PACKET_OVERHEAD_BYTES, type Packet } from './packet.ts';
import { PerTrack } from './per-track.ts';
import { slabs } from './slab-pool.ts';
import { msFromTicks, type Ticks, ticksFromMs, ticksFromSeconds } from './time.ts';
import type { Track } from './track.ts';

/** Media time to look for further tracks when everything announced is there already. */
const SETTLE = ticksFromMs(250);
/** … when nothing was announced and one kind is missing. */
const PATIENCE = ticksFromSeconds(1);
/** … when the missing kind was promised by onMetaData. */
const PROMISED_PATIENCE = ticksFromSeconds(3);
/** Never hold more than this, whatever was promised. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
/** A source that changes all the time gets a discontinuity this often, not at each frame. */
const SHORTEST_EPOCH = ticksFromSeconds(1);
/** A track silent for this long is not part of the next epoch. */
const TRACK_EXPIRY = ticksFromSeconds(10);

/** Packets that were dropped since the stream began, by why. */
export interface DropCounts {
  /** Their track could not be decoded yet. */
  beforeKeyframe: number;
  /** Their track is new or changed, and the epoch that declares it begins with the next keyframe. */
  undeclaredTrack: number;
}

/** What one publisher delivers; it never closes the stream. */
export type EpochSink = Omit<MediaSink, 'close'>;

/**
 * Decides where epochs begin. Before the first it holds packets until the tracks are known; afterwards a new or
 * changed track, or a timestamp jump, opens the next one at the leading video track's next keyframe (at once where
 * there is no video), because every epoch must be decodable from its first packet.
 *
 * The data of packets that come is held, and released here once they are handed on or dropped.
 */
export class EpochGate {
  readonly #sink: EpochSink;
  readonly #clock: Clock;
  readonly #drops: DropCounts;
  #announced: AnnouncedMedia | null = null;
  /** Packets held until the tracks are known; null once the first epoch is open. */
  #held: Packet[] | null = [];
  #heldBytes = 0;
  #tracks: readonly Track[] = [];
  readonly #seen = new PerTrack<{ track: Track; last: Ticks }>();
  #pending: EpochReason | null;
  #openedAt: Ticks = Number.NEGATIVE_INFINITY;
  #newest: Ticks = Number.NEGATIVE_INFINITY;

  constructor(sink: EpochSink, clock: Clock, reason: EpochReason, drops: DropCounts) {
    this.#sink = sink;
    this.#clock = clock;
    this.#pending = reason;
    this.#drops = drops;
  }

  /** What is held before the first epoch. */
  get heldBytes(): number {
    return this.#held === null ? 0 : this.#heldBytes;
  }

  announce(media: AnnouncedMedia): void {
    this.#announced = media;
  }

  push({ packet, jumped }: InterleavedPacket): void {
    this.#newest = Math.max(this.#newest, packet.dts);
    // A track exists once it can be decoded.
    const known = this.#seen.get(packet.track.id);
    if (known?.track === packet.track) known.last = packet.dts;
    else if (packet.keyframe) this.#seen.set(packet.track.id, { track: packet.track, last: packet.dts });
    if (this.#held !== null) {
      // Before its first keyframe a track cannot be decoded, now or later.
      if (known !== undefined || packet.keyframe) this.#hold(packet);
      else this.#dropBeforeKeyframe([packet]);
      return;
    }
    if (jumped) this.#pending ??= 'timestamp-jump';
    if (packet.keyframe && !this.#tracks.includes(packet.track)) this.#pending ??= 'config-change';
    if (this.#pending !== null && this.#isSettled(packet) && this.#canStartWith(packet))
      this.#open(packet.dts);
    this.#pass(packet);
  }

  end(): void {
    if (this.#held !== null && this.#held.length > 0) this.#openHeld();
    this.#sink.end();
  }

  #hold(packet: Packet): void {
    const held = this.#held ?? [];
    held.push(packet);
    this.#heldBytes += packet.data.length + PACKET_OVERHEAD_BYTES;
    if (this.#tracksAreKnown(held)) this.#openHeld();
  }

  #tracksAreKnown(held: readonly Packet[]): boolean {
    const first = held[0];
    if (first === undefined) return false;
    if (this.#heldBytes > MAX_HELD_BYTES) return true;
    let video = false;
    let audio = false;
    for (const { track } of this.#seen.values()) {
      if (track.kind === 'video') video = true;
      else audio = true;
    }
    if (!video && !audio) return false;
    const waited = this.#newest - first.dts;
    const missing =
      (!video && this.#announced?.video !== false) || (!audio && this.#announced?.audio !== false);
    if (!missing) return waited >= SETTLE;
    return waited >= (this.#announced === null ? PATIENCE : PROMISED_PATIENCE);
  }

  #openHeld(): void {
    const held = this.#held ?? [];
    this.#held = null;
    const start = held.findIndex((packet) => this.#canStartWith(packet));
    const first = held[start];
    this.#dropBeforeKeyframe(first === undefined ? held : held.slice(0, start));
    if (first === undefined) return;
    this.#open(first.dts);
    for (const packet of held.slice(start)) this.#pass(packet);
  }

  /** A track that the open epoch does not declare cannot be decoded: it waits for the next epoch. */
  #pass(packet: Packet): void {
    if (this.#tracks.includes(packet.track)) this.#sink.packet(packet);
    else this.#drops.undeclaredTrack++;
    slabs.release(packet.data);
  }

  #dropBeforeKeyframe(packets: readonly Packet[]): void {
    this.#drops.beforeKeyframe += packets.length;
    for (const { data } of packets) slabs.release(data);
  }

  /** The leading track is the first video track that can be decoded; without one, any audio frame will do. */
  #canStartWith(packet: Packet): boolean {
    if (!packet.keyframe) return false;
    const leading = this.#liveTracks().find((track) => track.kind === 'video');
    return leading === undefined || leading.id === packet.track.id;
  }

  /** A track that was not there before is worth an epoch at once; there are only so many. */
  #isSettled({ track, dts }: Packet): boolean {
    return dts - this.#openedAt >= SHORTEST_EPOCH || !this.#tracks.some(({ id }) => id === track.id);
  }

  #liveTracks(): Track[] {
    const tracks: Track[] = [];
    for (const { track, last } of this.#seen.values()) {
      if (this.#newest - last <= TRACK_EXPIRY) tracks.push(track);
    }
    return tracks.sort(byKindThenNumber);
  }

  #open(start: Ticks): void {
    this.#tracks = this.#liveTracks();
    // The newest packet arrived just now, so the epoch's first one is that much older.
    const startedAt = this.#clock.now() - Math.max(0, msFromTicks(this.#newest - start));
    this.#sink.epoch({ reason: this.#pending ?? 'config-change', tracks: this.#tracks, start, startedAt });
    this.#pending = null;
    this.#openedAt = start;
  }
}

function byKindThenNumber(a: Track, b: Track): number {
  if (a.kind !== b.kind) return a.kind === 'video' ? -1 : 1;
  return Number(a.id.slice(1)) - Number(b.id.slice(1));
}
