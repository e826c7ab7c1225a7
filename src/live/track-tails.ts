import type { Packet } from '../media/packet.ts';
import type { Ticks } from '../media/time.ts';
import type { Track } from '../media/track.ts';

/** The end of one track, as far as it was delivered. */
export interface TrackTail {
  readonly track: Track;
  newest: Packet;
  /** The newest packet that decodes alone; null before the first. */
  keyframe: Packet | null;
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
    this.#tails = [];
  }

  packet(packet: Packet): void {
    const keyframe = packet.keyframe ? packet : null;
    for (const tail of this.#tails) {
      if (tail.track !== packet.track) continue;
      tail.newest = packet;
      tail.keyframe = keyframe ?? tail.keyframe;
      tail.latest = Math.max(tail.latest, packet.pts);
      return;
    }
    this.#tails.push({ track: packet.track, newest: packet, keyframe, latest: packet.pts });
  }
}
