import type { Packet } from '../media/packet.ts';
import type { Ticks } from '../media/time.ts';
import type { Track } from '../media/track.ts';

/** Rooms grow in these steps, so that keyframes of nearly the same size share one. */
const STEP_BYTES = 16 * 1024;

/** The newest keyframe of a track, in memory of its own that the next one overwrites. */
export class KeyframeCopy {
  #packet: Packet;
  #room = new Uint8Array(0);

  constructor(packet: Packet) {
    this.#packet = packet;
    this.replace(packet);
  }

  get track(): Track {
    return this.#packet.track;
  }

  get dts(): Ticks {
    return this.#packet.dts;
  }

  /** How long before it is shown it has to be decoded. */
  get delay(): Ticks {
    return this.#packet.pts - this.#packet.dts;
  }

  replace(packet: Packet): void {
    const { data } = packet;
    if (data.length > this.#room.length) {
      this.#room = new Uint8Array(Math.ceil(data.length / STEP_BYTES) * STEP_BYTES);
    }
    this.#room.set(data);
    this.#packet = { ...packet, data: this.#room.subarray(0, data.length) };
  }

  /** A copy of it for good. */
  take(): Packet {
    return { ...this.#packet, data: this.#packet.data.slice() };
  }
}
