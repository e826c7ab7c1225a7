import type { Packet } from '../media/packet.ts';
import { slabs } from '../media/slab-pool.ts';
import type { Ticks } from '../media/time.ts';
import type { Track } from '../media/track.ts';
import { KeyframeCopy } from './keyframe-copy.ts';

/** The end of one track, as far as it was delivered. */
export interface TrackTail {
  readonly track: Track;
  /** Decode time of the newest packet. */
  newest: Ticks;
  /** The newest frame of sound, held; null for pictures. */
  sound: Uint8Array | null;
  /** The newest picture that decodes alone; null before the first, and for sound. */
  keyframe: KeyframeCopy | null;
  /** Presentation time of the picture that is shown last. */
  latest: Ticks;
}

/** Where the tracks of an epoch end: what is needed to go on without a publisher. */
export class TrackTails {
  /** A handful: looked through for each packet, which an array makes cheap. */
  #tails: TrackTail[] = [];

  /** In the order of their first packets. */
  get list(): readonly TrackTail[] {
    return this.#tails;
  }

  /** A new epoch begins. */
  reset(): void {
    for (const { sound } of this.#tails) if (sound !== null) slabs.release(sound);
    this.#tails = [];
  }

  /** @returns the tail of its track */
  packet(packet: Packet): TrackTail {
    const { track, dts, pts, keyframe, data } = packet;
    const tail = this.#tailOf(track);
    tail.newest = dts;
    tail.latest = Math.max(tail.latest, pts);
    if (track.kind === 'audio') tail.sound = instead(tail.sound, data);
    else if (keyframe && tail.keyframe === null) tail.keyframe = new KeyframeCopy(packet);
    else if (keyframe) tail.keyframe?.replace(packet);
    return tail;
  }

  #tailOf(track: Track): TrackTail {
    for (const tail of this.#tails) if (tail.track === track) return tail;
    const tail = { track, newest: 0, sound: null, keyframe: null, latest: Number.NEGATIVE_INFINITY };
    this.#tails.push(tail);
    return tail;
  }
}

function instead(held: Uint8Array | null, data: Uint8Array): Uint8Array {
  slabs.hold(data);
  if (held !== null) slabs.release(held);
  return data;
}
