import { PACKET_OVERHEAD_BYTES, type Packet } from './packet.ts';
import { type Ticks, ticksFromMs } from './time.ts';
import type { Track } from './track.ts';

/** How long a track is waited for. Encoders interleave within 200…500 ms, busy ones do worse. */
const PATIENCE = ticksFromMs(1000);
/** A track that keeps arriving further behind the others is waited for longer, but never longer than this. */
const LONGEST_PATIENCE = ticksFromMs(3000);
const MARGIN = ticksFromMs(250);
/** Timestamps may stand still while bytes do not: nobody is waited for beyond this. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;

export interface InterleavedPacket {
  readonly packet: Packet;
  /** First packet after a timestamp jump. */
  readonly jumped: boolean;
}

interface Lane {
  readonly trackId: string;
  readonly queue: InterleavedPacket[];
  /** False after its silence held up the others once; true again with its next packet. */
  awaited: boolean;
  readonly video: boolean;
}

/**
 * Merges the tracks into decode order. RTMP sends audio and video on one clock but not strictly in order, and a cut
 * is only clean when everything before it has arrived. A packet leaves as soon as every awaited track has something
 * newer queued; a track that stays silent stops being awaited.
 */
export class Interleaver {
  /** A handful; looked through several times per packet, which an array makes cheap. */
  readonly #lanes: Lane[] = [];
  readonly #emit: (item: InterleavedPacket) => void;
  #newest: Ticks = Number.NEGATIVE_INFINITY;
  #patience = PATIENCE;
  #queuedBytes = 0;

  constructor(emit: (item: InterleavedPacket) => void) {
    this.#emit = emit;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  push(packet: Packet, jumped: boolean): void {
    const lane = this.#laneOf(packet.track);
    lane.awaited = true;
    lane.queue.push({ packet, jumped });
    this.#queuedBytes += cost(packet);
    const lag = this.#newest - packet.dts;
    if (lag > 0) this.#patience = Math.min(LONGEST_PATIENCE, Math.max(this.#patience, lag + MARGIN));
    this.#newest = Math.max(this.#newest, packet.dts);
    this.#release();
  }

  flush(): void {
    for (let lane = this.#first(); lane !== null; lane = this.#first()) this.#emitFrom(lane);
  }

  #release(): void {
    for (let lane = this.#first(); lane !== null; lane = this.#first()) {
      const head = lane.queue[0];
      if (head === undefined) return;
      if (this.#somebodyIsMissing()) {
        const patient = this.#newest - head.packet.dts <= this.#patience;
        if (patient && this.#queuedBytes <= MAX_QUEUED_BYTES) return;
        for (const other of this.#lanes) if (other.queue.length === 0) other.awaited = false;
      }
      this.#emitFrom(lane);
    }
  }

  #laneOf({ id, kind }: Track): Lane {
    for (const lane of this.#lanes) if (lane.trackId === id) return lane;
    const lane = { trackId: id, queue: [], awaited: true, video: kind === 'video' };
    this.#lanes.push(lane);
    return lane;
  }

  #somebodyIsMissing(): boolean {
    for (const lane of this.#lanes) if (lane.awaited && lane.queue.length === 0) return true;
    return false;
  }

  /** The lane with the earliest packet. At equal times video goes first: its keyframe decides the cut. */
  #first(): Lane | null {
    let first: Lane | null = null;
    let earliest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) {
      const dts = lane.queue[0]?.packet.dts;
      if (dts === undefined) continue;
      if (dts < earliest || (dts === earliest && lane.video && first?.video === false)) {
        first = lane;
        earliest = dts;
      }
    }
    return first;
  }

  #emitFrom(lane: Lane): void {
    const item = lane.queue.shift();
    if (item === undefined) return;
    this.#queuedBytes -= cost(item.packet);
    this.#emit(item);
  }
}

function cost(packet: Packet): number {
  return packet.data.length + PACKET_OVERHEAD_BYTES;
}
