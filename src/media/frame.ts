import type { Track } from './track.ts';

/** What a demuxer hands to the timeline: still on the publisher's own wrapping millisecond clock. */
export interface Frame {
  readonly track: Track;
  /** Unsigned 32-bit decode time in ms, any origin. */
  readonly timestamp: number;
  /** Signed composition offset in ms; presentation time minus decode time. */
  readonly compositionOffset: number;
  /** 0…999999, added to the presentation time (Enhanced RTMP ModEx). */
  readonly nanoseconds: number;
  readonly keyframe: boolean;
  /** See `Packet.data`. */
  readonly data: Uint8Array;
}

/** What the publisher announced in onMetaData; hints only, the bitstream is believed over it. */
export interface AnnouncedMedia {
  readonly video: boolean;
  readonly audio: boolean;
}
