import type { Track } from '../../media/track.ts';
import { matroskaCodec } from './codecs.ts';
import { element, endless, float, SIZE_BYTES, text, unsigned, writeSize } from './ebml.ts';

/** One access unit or audio frame for `matroskaFrame`. */
export interface MatroskaFrame {
  /** Presentation time in whole ms, 0 or more. Frames come in decode order, so it may go back. */
  readonly timestampMs: number;
  readonly keyframe: boolean;
  /** As in `Packet.data`. */
  readonly data: Uint8Array;
}

/** RFC 9559, section 5. */
const ID = {
  EBML: 0x1a45dfa3,
  EBML_VERSION: 0x4286,
  EBML_READ_VERSION: 0x42f7,
  EBML_MAX_ID_LENGTH: 0x42f2,
  EBML_MAX_SIZE_LENGTH: 0x42f3,
  DOC_TYPE: 0x4282,
  DOC_TYPE_VERSION: 0x4287,
  DOC_TYPE_READ_VERSION: 0x4285,
  SEGMENT: 0x18538067,
  INFO: 0x1549a966,
  TIMESTAMP_SCALE: 0x2ad7b1,
  MUXING_APP: 0x4d80,
  WRITING_APP: 0x5741,
  TRACKS: 0x1654ae6b,
  TRACK_ENTRY: 0xae,
  TRACK_NUMBER: 0xd7,
  TRACK_UID: 0x73c5,
  TRACK_TYPE: 0x83,
  FLAG_LACING: 0x9c,
  CODEC_ID: 0x86,
  CODEC_PRIVATE: 0x63a2,
  VIDEO: 0xe0,
  PIXEL_WIDTH: 0xb0,
  PIXEL_HEIGHT: 0xba,
  AUDIO: 0xe1,
  SAMPLING_FREQUENCY: 0xb5,
  CHANNELS: 0x9f,
  CLUSTER: 0x1f43b675,
  TIMESTAMP: 0xe7,
  SIMPLE_BLOCK: 0xa3,
} as const;

const TRACK_TYPE = { video: 1, audio: 2 } as const;
const NANOSECONDS_PER_MS = 1_000_000;
/** Matroska wants a size before anybody has looked into the stream; decoders believe the stream. */
const UNKNOWN_PICTURE_SIZE = 16;
const KEYFRAME = 0x80;

/** Cluster id(4) size(4), Timestamp id(1) size(1) value(8), SimpleBlock id(1) size(4) track(1) timestamp(2) flags(1). */
const BLOCK_HEADER_SIZE = 4;
const CLUSTER_CONTENT_OFFSET = 4 + SIZE_BYTES;
const BLOCK_OFFSET = CLUSTER_CONTENT_OFFSET + 10;
const FRAME_OVERHEAD = BLOCK_OFFSET + 1 + SIZE_BYTES + BLOCK_HEADER_SIZE;

/**
 * Everything before the first frame of a file without an end that has this one track.
 *
 * @throws SluiceError SLUICE_INTERNAL for a codec of old FLV
 */
export function matroskaHeader(track: Track): Buffer {
  const codec = matroskaCodec(track);
  return Buffer.concat([
    element(
      ID.EBML,
      unsigned(ID.EBML_VERSION, 1),
      unsigned(ID.EBML_READ_VERSION, 1),
      unsigned(ID.EBML_MAX_ID_LENGTH, 4),
      unsigned(ID.EBML_MAX_SIZE_LENGTH, 8),
      text(ID.DOC_TYPE, 'matroska'),
      unsigned(ID.DOC_TYPE_VERSION, 4),
      unsigned(ID.DOC_TYPE_READ_VERSION, 2),
    ),
    endless(ID.SEGMENT),
    element(
      ID.INFO,
      unsigned(ID.TIMESTAMP_SCALE, NANOSECONDS_PER_MS),
      text(ID.MUXING_APP, 'Sluice'),
      text(ID.WRITING_APP, 'Sluice'),
    ),
    element(
      ID.TRACKS,
      element(
        ID.TRACK_ENTRY,
        unsigned(ID.TRACK_NUMBER, 1),
        unsigned(ID.TRACK_UID, 1),
        unsigned(ID.TRACK_TYPE, TRACK_TYPE[track.kind]),
        unsigned(ID.FLAG_LACING, 0),
        text(ID.CODEC_ID, codec.id),
        ...(codec.private.length > 0 ? [element(ID.CODEC_PRIVATE, codec.private)] : []),
        format(track),
      ),
    ),
  ]);
}

function format(track: Track): Buffer {
  if (track.kind === 'video') {
    return element(
      ID.VIDEO,
      unsigned(ID.PIXEL_WIDTH, track.width || UNKNOWN_PICTURE_SIZE),
      unsigned(ID.PIXEL_HEIGHT, track.height || UNKNOWN_PICTURE_SIZE),
    );
  }
  // Left out, they mean 8 kHz and mono to a reader; it corrects both with the first frame as it would any other value.
  return element(
    ID.AUDIO,
    ...(track.sampleRate > 0 ? [float(ID.SAMPLING_FREQUENCY, track.sampleRate)] : []),
    ...(track.channels > 0 ? [unsigned(ID.CHANNELS, track.channels)] : []),
  );
}

/**
 * One frame in a cluster of its own: the cluster's timestamp has 64 bits, a block's only 16. A reader has the whole frame
 * with the last byte. `track` is the one of the header.
 *
 * @throws RangeError for a time that is negative or no whole number, and for a frame of 256 MiB
 */
export function matroskaFrame(_track: Track, { timestampMs, keyframe, data }: MatroskaFrame): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_OVERHEAD + data.length);
  let at = bytes.writeUInt32BE(ID.CLUSTER, 0);
  at = writeSize(bytes, bytes.length - CLUSTER_CONTENT_OFFSET, at);
  at = bytes.writeUInt8(ID.TIMESTAMP, at);
  at = bytes.writeUInt8(0x88, at); // a size of 8
  at = bytes.writeBigUInt64BE(BigInt(timestampMs), at);
  at = bytes.writeUInt8(ID.SIMPLE_BLOCK, at);
  at = writeSize(bytes, BLOCK_HEADER_SIZE + data.length, at);
  at = bytes.writeUInt8(0x81, at); // track number 1
  at = bytes.writeInt16BE(0, at); // after the cluster's timestamp
  at = bytes.writeUInt8(keyframe ? KEYFRAME : 0, at);
  bytes.set(data, at);
  return bytes;
}
