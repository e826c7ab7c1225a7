import type { EpochMs, Ticks } from './time.ts';
import type { Track } from './track.ts';

/** One access unit or one audio frame on the stream's timeline. */
export interface Packet {
  /** The very object that decodes this packet. */
  readonly track: Track;
  /** Decode time; strictly increasing per track inside an epoch. */
  readonly dts: Ticks;
  /** Presentation time, never before `dts`. */
  readonly pts: Ticks;
  /** Video: decoding can start here. Always true for audio. */
  readonly keyframe: boolean;
  /**
   * Length-prefixed NAL units, or one raw frame. Exact size. Unchanged during the call that hands it on; who needs it longer
   * has to tell `slabs` (slab-pool.ts) in that call.
   */
  readonly data: Uint8Array;
}

/**
 * What a waiting packet costs besides its data, roughly. Queues that count only data would let a peer fill the memory
 * with packets of one byte.
 */
export const PACKET_OVERHEAD_BYTES = 512;

export type EpochReason = 'start' | 'reconnect' | 'config-change' | 'timestamp-jump';

/**
 * An interval without interruption: one set of tracks on one unbroken timeline. Whatever breaks either opens a new
 * epoch, so a discontinuity is always an event and never a guess.
 */
export interface Epoch {
  readonly reason: EpochReason;
  /** The complete set, video first, each kind in order of track number. */
  readonly tracks: readonly Track[];
  /** Decode time of the first packet. */
  readonly start: Ticks;
  /** Wall clock at `start`; the anchor of EXT-X-PROGRAM-DATE-TIME. */
  readonly startedAt: EpochMs;
}

/** Receives a stream's media, synchronously. Packets always belong to the last epoch announced. */
export interface MediaSink {
  epoch(epoch: Epoch): void;
  packet(packet: Packet): void;
  /** The publisher is gone. Another epoch may follow. */
  end(): void;
  /** The stream is over. Nothing follows. */
  close(): void;
}
