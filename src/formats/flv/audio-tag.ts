import { SluiceError } from '../../media/errors.ts';
import type { AudioCodec } from '../../media/track.ts';
import { forEachTrack, readModEx } from './enhanced.ts';

export interface AudioPart {
  readonly trackNumber: number;
  readonly codec: AudioCodec;
  readonly content: 'config' | 'frame';
  readonly nanoseconds: number;
  /** See `Track.flvHeader`; null for Enhanced RTMP. */
  readonly flvHeader: number | null;
  readonly body: Buffer;
}

/** SoundFormat of legacy audio tags. */
const LEGACY_CODECS: Readonly<Record<number, AudioCodec>> = {
  0: 'pcm',
  1: 'adpcm',
  2: 'mp3',
  3: 'pcm',
  4: 'nellymoser',
  5: 'nellymoser',
  6: 'nellymoser',
  7: 'g711a',
  8: 'g711u',
  10: 'aac',
  11: 'speex',
  14: 'mp3',
};
const SOUND_FORMAT_ENHANCED = 9;

const FOUR_CC_CODECS: Readonly<Record<string, AudioCodec>> = {
  mp4a: 'aac',
  '.mp3': 'mp3',
  Opus: 'opus',
  fLaC: 'flac',
  'ac-3': 'ac3',
  'ec-3': 'eac3',
};

const AAC_SEQUENCE_HEADER = 0;
const PACKET = { SEQUENCE_START: 0, CODED_FRAMES: 1, MULTITRACK: 5, MOD_EX: 7 } as const;

/**
 * Reads the header of an audio message, legacy or Enhanced RTMP, and calls `visit` for each track part in it.
 * An empty message means silence and has no parts.
 *
 * @throws SluiceError SLUICE_FLV_MALFORMED
 */
export function parseAudioTag(body: Buffer, visit: (part: AudioPart) => void): void {
  const first = body[0];
  if (first === undefined) return;
  // soundFormat(4) rate(2) size(1) type(1); the last three are often wrong and never used
  const soundFormat = first >> 4;
  if (soundFormat === SOUND_FORMAT_ENHANCED) {
    parseEnhanced(body, first & 0x0f, visit);
    return;
  }
  const codec = LEGACY_CODECS[soundFormat];
  if (codec === undefined) return;
  if (codec !== 'aac') {
    visit({
      trackNumber: 0,
      codec,
      content: 'frame',
      nanoseconds: 0,
      flvHeader: first,
      body: body.subarray(1),
    });
    return;
  }
  if (body.length < 2) throw new SluiceError('SLUICE_FLV_MALFORMED', 'AAC audio tag is cut short');
  const content = body.readUInt8(1) === AAC_SEQUENCE_HEADER ? 'config' : 'frame';
  visit({ trackNumber: 0, codec, content, nanoseconds: 0, flvHeader: first, body: body.subarray(2) });
}

/** ExAudioTagHeader (Enhanced RTMP v2). MultichannelConfig only refines what the codec's own header says. */
function parseEnhanced(body: Buffer, firstType: number, visit: (part: AudioPart) => void): void {
  const { packetType, nanoseconds, position } = readModEx(body, 1, firstType, PACKET.MOD_EX);
  forEachTrack(body, position, packetType, PACKET.MULTITRACK, (realType, fourCc, trackNumber, payload) => {
    const codec = FOUR_CC_CODECS[fourCc];
    if (codec === undefined) return;
    if (realType === PACKET.SEQUENCE_START)
      visit({ trackNumber, codec, content: 'config', nanoseconds, flvHeader: null, body: payload });
    if (realType === PACKET.CODED_FRAMES)
      visit({ trackNumber, codec, content: 'frame', nanoseconds, flvHeader: null, body: payload });
  });
}
