/** Codecs that can arrive over RTMP, by the names used all over Sluice. Not all of them can leave as HLS. */
export const VIDEO_CODECS = [
  'h264',
  'hevc',
  'vvc',
  'av1',
  'vp9',
  'vp8',
  'h263',
  'vp6',
  'screen',
  'mpeg4',
] as const;
export const AUDIO_CODECS = [
  'aac',
  'mp3',
  'opus',
  'flac',
  'ac3',
  'eac3',
  'speex',
  'nellymoser',
  'g711a',
  'g711u',
  'adpcm',
  'pcm',
] as const;
export type VideoCodec = (typeof VIDEO_CODECS)[number];
export type AudioCodec = (typeof AUDIO_CODECS)[number];

interface TrackBase {
  /** Unique in a publication: `v0`, `a0`, and for Enhanced RTMP multitrack `v1`, `a1`, … */
  readonly id: string;
  /** The decoder configuration record as received (avcC, AudioSpecificConfig, …); empty where the codec has none. */
  readonly config: Uint8Array;
  /** RFC 6381 text for CODECS, or null where none is defined or known. */
  readonly codecString: string | null;
  /**
   * The first byte of its FLV tags, which says more of old codecs than their name: for video CodecID, for audio format,
   * rate, size and type. Null where the name and `config` say everything.
   */
  readonly flvHeader: number | null;
}

export interface VideoTrack extends TrackBase {
  readonly kind: 'video';
  readonly codec: VideoCodec;
  /** Picture size in pixels after cropping; 0 where the configuration does not tell. */
  readonly width: number;
  readonly height: number;
  /** Frames per second promised by the bitstream, or null (the real one is measured). */
  readonly frameRate: number | null;
  /** H.264 only: what has to be written before each IDR. */
  readonly h264: H264Parameters | null;
}

export interface H264Parameters {
  /** Bytes of the length before each NAL unit in `Packet.data`: 1, 2 or 4 (3 is forbidden but parses). */
  readonly nalLengthSize: number;
  readonly sps: readonly Uint8Array[];
  readonly pps: readonly Uint8Array[];
}

export interface AudioTrack extends TrackBase {
  readonly kind: 'audio';
  readonly codec: AudioCodec;
  /** Samples per second on the wire: for HE-AAC the core rate, half of what the listener hears. 0 when unknown. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Samples per frame at `sampleRate`; 0 where frames vary (Opus, FLAC) or are unknown. */
  readonly samplesPerFrame: number;
  /** AAC only: the three fields an ADTS header repeats. */
  readonly adts: AdtsParameters | null;
}

export interface AdtsParameters {
  /** Audio object type of the core layer, 1…4. */
  readonly objectType: number;
  readonly frequencyIndex: number;
  readonly channelConfiguration: number;
}

/** What decodes a packet. Immutable: a changed configuration is a new Track with the same id. */
export type Track = VideoTrack | AudioTrack;
