import type { AudioTrack } from '../media/track.ts';

export interface Mp3Header {
  /** 1 for MPEG-1, 2 for MPEG-2 and 2.5 (low sampling frequencies). */
  readonly mpegVersion: 1 | 2;
  readonly sampleRate: number;
  readonly channels: number;
  readonly samplesPerFrame: number;
  /** Bytes including the header. */
  readonly frameSize: number;
}

/** kb/s for Layer III by bitrate_index (ISO 11172-3 2.4.2.3, ISO 13818-3). */
const BITRATES_MPEG1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITRATES_MPEG2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const SAMPLE_RATES_MPEG1 = [44100, 48000, 32000];

/** Parses the four-byte header of a Layer III frame; null where there is none (or free format, which TS cannot time). */
export function parseMp3Header(bytes: Uint8Array, at = 0): Mp3Header | null {
  const [b0, b1, b2, b3] = bytes.subarray(at, at + 4);
  if (b0 !== 0xff || b1 === undefined || b2 === undefined || b3 === undefined) return null;
  if ((b1 & 0xe0) !== 0xe0) return null;
  const versionBits = (b1 >> 3) & 3; // 0 = MPEG-2.5, 2 = MPEG-2, 3 = MPEG-1
  const layer = (b1 >> 1) & 3; // 1 = Layer III
  if (versionBits === 1 || layer !== 1) return null;
  const mpeg1 = versionBits === 3;
  const bitrate = (mpeg1 ? BITRATES_MPEG1 : BITRATES_MPEG2)[b2 >> 4];
  const baseRate = SAMPLE_RATES_MPEG1[(b2 >> 2) & 3];
  if (bitrate === undefined || bitrate === 0 || baseRate === undefined) return null;
  const sampleRate = mpeg1 ? baseRate : versionBits === 2 ? baseRate / 2 : baseRate / 4;
  const padding = (b2 >> 1) & 1;
  const samplesPerFrame = mpeg1 ? 1152 : 576;
  return {
    mpegVersion: mpeg1 ? 1 : 2,
    sampleRate,
    channels: b3 >> 6 === 3 ? 1 : 2,
    samplesPerFrame,
    frameSize: Math.floor((samplesPerFrame * bitrate * 125) / sampleRate) + padding,
  };
}

export function mp3Track(id: string, header: Mp3Header): AudioTrack {
  return {
    id,
    kind: 'audio',
    codec: 'mp3',
    config: new Uint8Array(0),
    // 0x6B is MPEG-1, 0x69 MPEG-2 audio, but Apple lists only this form for HLS.
    codecString: 'mp4a.40.34',
    flvHeader: null,
    sampleRate: header.sampleRate,
    channels: header.channels,
    samplesPerFrame: header.samplesPerFrame,
    adts: null,
  };
}
