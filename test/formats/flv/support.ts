import { type AudioPart, parseAudioTag } from '../../../src/formats/flv/audio-tag.ts';
import { parseVideoTag, type VideoPart } from '../../../src/formats/flv/video-tag.ts';

export function u24(value: number): Buffer {
  const bytes = Buffer.alloc(3);
  bytes.writeUIntBE(value & 0xffffff, 0, 3);
  return bytes;
}

export function fourCc(code: string): Buffer {
  return Buffer.from(code, 'latin1');
}

/** Legacy AVC (or, with codecId 12, HEVC) video message. */
export function avcTag(
  packetType: number,
  payload: Uint8Array,
  { key = true, cts = 0, codecId = 7 } = {},
): Buffer {
  return Buffer.concat([Uint8Array.of((key ? 0x10 : 0x20) | codecId, packetType), u24(cts), payload]);
}

/** Legacy AAC audio message. */
export function aacTag(packetType: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(0xaf, packetType), payload]);
}

export function videoParts(body: Buffer): VideoPart[] {
  const parts: VideoPart[] = [];
  parseVideoTag(body, (part) => parts.push(part));
  return parts;
}

export function audioParts(body: Buffer): AudioPart[] {
  const parts: AudioPart[] = [];
  parseAudioTag(body, (part) => parts.push(part));
  return parts;
}

/** A ModEx prefix: data with its size, then modExType and the real packet type. */
export function modEx(data: Uint8Array, modExType: number, nextType: number): Buffer {
  const size =
    data.length <= 255
      ? Uint8Array.of(data.length - 1)
      : Uint8Array.of(255, (data.length - 1) >> 8, (data.length - 1) & 0xff);
  return Buffer.concat([size, data, Uint8Array.of((modExType << 4) | nextType)]);
}
