import { SluiceError } from '../../media/errors.ts';
import type { VideoCodec } from '../../media/track.ts';
import { forEachTrack, readModEx } from './enhanced.ts';

/** One track's part of an audio or video message, as the header describes it. */
export interface VideoPart {
  readonly trackNumber: number;
  readonly codec: VideoCodec;
  readonly content: 'config' | 'frame';
  readonly keyframe: boolean;
  /** Signed ms. */
  readonly compositionOffset: number;
  readonly nanoseconds: number;
  /** See `Track.flvHeader`; null for Enhanced RTMP. */
  readonly flvHeader: number | null;
  readonly body: Buffer;
}

/** CodecID of legacy video tags. 12 is the HEVC extension of Chinese CDNs, laid out like AVC. */
const LEGACY_CODECS: Readonly<Record<number, VideoCodec>> = {
  2: 'h263',
  3: 'screen',
  4: 'vp6',
  5: 'vp6',
  6: 'screen',
  7: 'h264',
  8: 'h263',
  9: 'mpeg4',
  12: 'hevc',
};

const FOUR_CC_CODECS: Readonly<Record<string, VideoCodec>> = {
  avc1: 'h264',
  hvc1: 'hevc',
  vvc1: 'vvc',
  av01: 'av1',
  vp09: 'vp9',
  vp08: 'vp8',
};

const FRAME_TYPE_KEY = 1;
const FRAME_TYPE_COMMAND = 5;
const AVC_PACKET = { SEQUENCE_HEADER: 0, NAL_UNITS: 1 } as const;
const PACKET = {
  SEQUENCE_START: 0,
  CODED_FRAMES: 1,
  SEQUENCE_END: 2,
  CODED_FRAMES_X: 3,
  METADATA: 4,
  MPEG2TS_SEQUENCE_START: 5,
  MULTITRACK: 6,
  MOD_EX: 7,
} as const;

/**
 * Reads the header of a video message, legacy or Enhanced RTMP, and calls `visit` for each track part in it.
 * Parts without media (sequence end, metadata, seek commands, reserved types) are passed over.
 *
 * @throws SluiceError SLUICE_FLV_MALFORMED
 */
export function parseVideoTag(body: Buffer, visit: (part: VideoPart) => void): void {
  const first = body[0];
  if (first === undefined) return;
  const frameType = (first >> 4) & 0x07;
  const keyframe = frameType === FRAME_TYPE_KEY;
  if (first & 0x80) {
    parseEnhanced(body, first & 0x0f, frameType, visit);
    return;
  }
  // Legacy: frameType(4) codecId(4), for AVC and HEVC then packetType u8, compositionOffset SI24
  if (frameType === FRAME_TYPE_COMMAND) return;
  const codec = LEGACY_CODECS[first & 0x0f];
  if (codec === undefined) return;
  if (codec !== 'h264' && codec !== 'hevc') {
    visit({
      trackNumber: 0,
      codec,
      content: 'frame',
      keyframe,
      compositionOffset: 0,
      nanoseconds: 0,
      flvHeader: first & 0x0f,
      body: body.subarray(1),
    });
    return;
  }
  if (body.length < 5) throw new SluiceError('SLUICE_FLV_MALFORMED', 'AVC video tag is cut short');
  const packetType = body.readUInt8(1);
  if (packetType > AVC_PACKET.NAL_UNITS) return;
  visit({
    trackNumber: 0,
    codec,
    content: packetType === AVC_PACKET.SEQUENCE_HEADER ? 'config' : 'frame',
    keyframe,
    compositionOffset: body.readIntBE(2, 3),
    nanoseconds: 0,
    flvHeader: null,
    body: body.subarray(5),
  });
}

/** ExVideoTagHeader (Enhanced RTMP v2). */
function parseEnhanced(
  body: Buffer,
  firstType: number,
  frameType: number,
  visit: (part: VideoPart) => void,
): void {
  const { packetType, nanoseconds, position } = readModEx(body, 1, firstType, PACKET.MOD_EX);
  if (frameType === FRAME_TYPE_COMMAND && packetType !== PACKET.METADATA) return;
  forEachTrack(body, position, packetType, PACKET.MULTITRACK, (realType, fourCc, trackNumber, payload) => {
    const codec = FOUR_CC_CODECS[fourCc];
    if (codec === undefined) return;
    const keyframe = frameType === FRAME_TYPE_KEY;
    const part = { trackNumber, codec, keyframe, nanoseconds, flvHeader: null };
    if (realType === PACKET.SEQUENCE_START) {
      visit({ ...part, content: 'config', compositionOffset: 0, body: payload });
    } else if (realType === PACKET.CODED_FRAMES_X) {
      visit({ ...part, content: 'frame', compositionOffset: 0, body: payload });
    } else if (realType === PACKET.CODED_FRAMES) {
      // Only codecs with reordering carry the composition offset.
      const offsetSize = codec === 'h264' || codec === 'hevc' || codec === 'vvc' ? 3 : 0;
      if (payload.length < offsetSize)
        throw new SluiceError('SLUICE_FLV_MALFORMED', 'coded frame is cut short');
      const compositionOffset = offsetSize === 0 ? 0 : payload.readIntBE(0, 3);
      visit({ ...part, content: 'frame', compositionOffset, body: payload.subarray(offsetSize) });
    }
  });
}
