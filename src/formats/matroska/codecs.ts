import { SluiceError } from '../../media/errors.ts';
import type { AudioCodec, AudioTrack, Track, VideoCodec } from '../../media/track.ts';

/** What a TrackEntry says about the codec. */
export interface MatroskaCodec {
  readonly id: string;
  /** Empty where the codec has none, or none is known. */
  readonly private: Uint8Array;
}

const IDS: Readonly<Partial<Record<VideoCodec | AudioCodec, string>>> = {
  h264: 'V_MPEG4/ISO/AVC',
  hevc: 'V_MPEGH/ISO/HEVC',
  vvc: 'V_MPEGI/ISO/VVC',
  av1: 'V_AV1',
  vp9: 'V_VP9',
  vp8: 'V_VP8',
  aac: 'A_AAC',
  mp3: 'A_MPEG/L3',
  opus: 'A_OPUS',
  flac: 'A_FLAC',
  ac3: 'A_AC3',
  eac3: 'A_EAC3',
};

const NONE = new Uint8Array(0);
const OPUS_HEAD_SIZE = 19;
const STREAMINFO_SIZE = 34;

/** @throws SluiceError SLUICE_INTERNAL for old codecs, which go into FLV as they came out of it */
export function matroskaCodec(track: Track): MatroskaCodec {
  const id = IDS[track.codec];
  if (id === undefined || track.flvHeader !== null)
    throw new SluiceError('SLUICE_INTERNAL', `${track.codec} does not go into Matroska`);
  return { id, private: codecPrivate(track) };
}

function codecPrivate(track: Track): Uint8Array {
  switch (track.codec) {
    // avcC, hvcC, vvcC, av1C, AudioSpecificConfig: the same record in both worlds.
    case 'h264':
    case 'hevc':
    case 'vvc':
    case 'av1':
    case 'aac':
      return track.config;
    case 'opus':
      return opusHead(track);
    case 'flac':
      return flacHeader(track.config);
    // VP9 has a record in MP4 and Enhanced RTMP, but another one here that nobody needs; the others have none.
    default:
      return NONE;
  }
}

/**
 * OpusHead (RFC 7845 5.1); made when the publisher sent none, for mono or stereo, which is all that can be decoded without.
 * Pre-skip is 0: a live stream is joined in the middle, and every packet shall come out with all its samples at its time.
 */
function opusHead({ config, channels }: AudioTrack): Uint8Array {
  //  0 "OpusHead"  8 version  9 channels  10 preSkip u16le  12 inputSampleRate u32le  16 gain i16le  18 mappingFamily …
  const sent = config.length >= OPUS_HEAD_SIZE && startsWith(config, 'OpusHead');
  const head = sent ? Buffer.from(config) : Buffer.alloc(OPUS_HEAD_SIZE);
  if (!sent) {
    head.write('OpusHead', 'latin1');
    head.writeUInt8(1, 8);
    head.writeUInt8(channels === 1 ? 1 : 2, 9);
    head.writeUInt32LE(48_000, 12);
  }
  head.writeUInt16LE(0, 10);
  return head;
}

/** "fLaC" and STREAMINFO as the last metadata block; what else the publisher sent (tags, pictures) is left out. */
function flacHeader(config: Uint8Array): Uint8Array {
  const start = startsWith(config, 'fLaC') ? 8 : 0;
  const info = config.subarray(start, start + STREAMINFO_SIZE);
  if (info.length < STREAMINFO_SIZE) return NONE;
  return Buffer.concat([Buffer.from('fLaC', 'latin1'), Uint8Array.of(0x80, 0, 0, STREAMINFO_SIZE), info]);
}

function startsWith(bytes: Uint8Array, magic: string): boolean {
  return Buffer.from(bytes.subarray(0, magic.length)).toString('latin1') === magic;
}
