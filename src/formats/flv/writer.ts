import { SluiceError } from '../../media/errors.ts';
import type { AudioTrack, Track, VideoTrack } from '../../media/track.ts';
import { TAG_TYPE } from './tags.ts';

/** One access unit or audio frame for `flvTag`. */
export interface FlvFrame {
  /** Decode time in whole ms; only its lower 32 bits fit. */
  readonly timestampMs: number;
  /** Presentation time minus decode time in whole ms, signed. Only H.264 tags have room for it. */
  readonly compositionOffsetMs: number;
  readonly keyframe: boolean;
  /** As in `Packet.data`. */
  readonly data: Uint8Array;
}

const FLAG = { VIDEO: 1, AUDIO: 4 } as const;
const TAG_HEADER_SIZE = 11;
const MAX_BODY = 0xff_ffff;
const PREVIOUS_TAG_SIZE = 4;

const FRAME_TYPE = { KEY: 1, INTER: 2 } as const;
const CODEC_ID_AVC = 7;
const PACKET = { CONFIG: 0, FRAME: 1 } as const;
const MAX_COMPOSITION_OFFSET = 0x7f_ffff;

/** AAC, 44.1 kHz, 16 bits, stereo: what the specification wants for all AAC. The AudioSpecificConfig has the truth. */
const AAC_HEADER = 0xaf;
const SOUND_FORMAT_MP3 = 2;

/** The nine bytes a file begins with and the size of the tag before the first, which is 0. */
export function flvFileHeader(hasVideo: boolean, hasAudio: boolean): Buffer {
  const flags = (hasVideo ? FLAG.VIDEO : 0) | (hasAudio ? FLAG.AUDIO : 0);
  //  0 "FLV"  3 version  4 flags  5 size of this header u32  9 PreviousTagSize0 u32
  return Buffer.from([0x46, 0x4c, 0x56, 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
}

/**
 * The tag with the track's decoder configuration, to be written before its first frame; null for codecs that have none.
 */
export function flvConfigTag(track: Track, timestampMs: number): Buffer | null {
  const hasConfig = track.flvHeader === null && (track.codec === 'h264' || track.codec === 'aac');
  return hasConfig
    ? tag(track, timestampMs, tagBodyHeader(track, PACKET.CONFIG, true, 0), track.config)
    : null;
}

/**
 * One frame as a tag every reader of FLV understands: nothing of Enhanced RTMP is used.
 *
 * @throws SluiceError SLUICE_INTERNAL for a codec that classic FLV does not have, SLUICE_FLV_MALFORMED for a frame of
 *   16 MiB or more
 */
export function flvTag(track: Track, frame: FlvFrame): Buffer {
  const header = tagBodyHeader(track, PACKET.FRAME, frame.keyframe, frame.compositionOffsetMs);
  return tag(track, frame.timestampMs, header, frame.data);
}

/** What stands between tag header and payload. */
function tagBodyHeader(
  track: Track,
  packetType: number,
  keyframe: boolean,
  compositionOffsetMs: number,
): readonly number[] {
  return track.kind === 'video'
    ? videoHeader(track, packetType, keyframe, compositionOffsetMs)
    : audioHeader(track, packetType);
}

function videoHeader(
  { codec, flvHeader }: VideoTrack,
  packetType: number,
  keyframe: boolean,
  compositionOffsetMs: number,
): readonly number[] {
  // frameType(4) codecId(4), for AVC then packetType u8, compositionOffset SI24
  const frameType = (keyframe ? FRAME_TYPE.KEY : FRAME_TYPE.INTER) << 4;
  if (flvHeader !== null) return [frameType | flvHeader];
  if (codec !== 'h264') notInFlv(codec);
  const offset = Math.max(-MAX_COMPOSITION_OFFSET, Math.min(compositionOffsetMs, MAX_COMPOSITION_OFFSET));
  return [frameType | CODEC_ID_AVC, packetType, (offset >> 16) & 0xff, (offset >> 8) & 0xff, offset & 0xff];
}

function audioHeader(track: AudioTrack, packetType: number): readonly number[] {
  if (track.flvHeader !== null) return [track.flvHeader];
  switch (track.codec) {
    case 'aac':
      return [AAC_HEADER, packetType];
    case 'mp3':
      return [mp3Header(track)];
    default:
      return notInFlv(track.codec);
  }
}

/** soundFormat(4) rate(2) size(1) type(1). Readers take rate and channels from the frames; this is the nearest there is. */
function mp3Header({ sampleRate, channels }: AudioTrack): number {
  const rate = sampleRate >= 44_100 ? 3 : sampleRate >= 22_050 ? 2 : 1;
  return (SOUND_FORMAT_MP3 << 4) | (rate << 2) | 0b10 | (channels === 1 ? 0 : 1);
}

function notInFlv(codec: string): never {
  throw new SluiceError('SLUICE_INTERNAL', `${codec} does not go into FLV`);
}

function tag(track: Track, timestampMs: number, header: readonly number[], payload: Uint8Array): Buffer {
  const bodySize = header.length + payload.length;
  if (bodySize > MAX_BODY)
    throw new SluiceError('SLUICE_FLV_MALFORMED', `a frame of ${payload.length} bytes does not fit into FLV`);
  const time = timestampMs >>> 0;
  //  0 type  1 dataSize(3)  4 timestamp(3)  7 timestampExtended, the upper 8 bits  8 streamId(3)  11 data  PreviousTagSize(4)
  const bytes = Buffer.allocUnsafe(TAG_HEADER_SIZE + bodySize + PREVIOUS_TAG_SIZE);
  bytes.writeUInt8(track.kind === 'video' ? TAG_TYPE.VIDEO : TAG_TYPE.AUDIO, 0);
  bytes.writeUIntBE(bodySize, 1, 3);
  bytes.writeUIntBE(time & 0xff_ffff, 4, 3);
  bytes.writeUInt8(time >>> 24, 7);
  bytes.writeUIntBE(0, 8, 3);
  bytes.set(header, TAG_HEADER_SIZE);
  bytes.set(payload, TAG_HEADER_SIZE + header.length);
  bytes.writeUInt32BE(TAG_HEADER_SIZE + bodySize, TAG_HEADER_SIZE + bodySize);
  return bytes;
}
