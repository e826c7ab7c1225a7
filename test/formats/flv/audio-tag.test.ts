import { describe, expect, it } from 'vitest';
import { failure, hex } from '../amf/support.ts';
import { aacTag, audioParts, fourCc, modEx, u24 } from './support.ts';

const PAYLOAD = hex('01020304');

describe('legacy audio', () => {
  it.each([
    [0, 'pcm'],
    [1, 'adpcm'],
    [2, 'mp3'],
    [3, 'pcm'],
    [4, 'nellymoser'],
    [5, 'nellymoser'],
    [6, 'nellymoser'],
    [7, 'g711a'],
    [8, 'g711u'],
    [11, 'speex'],
    [14, 'mp3'],
  ])('sound format %i is %s', (id, codec) => {
    const base = { trackNumber: 0, codec, content: 'frame', nanoseconds: 0, body: PAYLOAD };
    for (const flvHeader of [id << 4, (id << 4) | 0x0f]) {
      expect(audioParts(Buffer.from([flvHeader, ...PAYLOAD]))).toEqual([{ ...base, flvHeader }]);
    }
  });

  it('AAC has a packet type', () => {
    expect(audioParts(aacTag(0, PAYLOAD))).toMatchObject([
      { codec: 'aac', content: 'config', body: PAYLOAD },
    ]);
    expect(audioParts(aacTag(1, PAYLOAD))).toMatchObject([{ codec: 'aac', content: 'frame', body: PAYLOAD }]);
    expect(audioParts(aacTag(1, Buffer.alloc(0)))).toMatchObject([
      { content: 'frame', body: Buffer.alloc(0) },
    ]);
  });

  it('passes over silence and what has no codec', () => {
    expect(audioParts(Buffer.alloc(0))).toEqual([]);
    for (const id of [12, 13, 15]) expect(audioParts(Buffer.from([id << 4, 1]))).toEqual([]);
  });

  it('AAC without a packet type is cut short', () => {
    expect(failure(() => audioParts(hex('af')))).toBe('SLUICE_FLV_MALFORMED');
  });
});

describe.each([
  ['mp4a', 'aac'],
  ['.mp3', 'mp3'],
  ['Opus', 'opus'],
  ['fLaC', 'flac'],
  ['ac-3', 'ac3'],
  ['ec-3', 'eac3'],
])('Enhanced RTMP %s', (code, codec) => {
  const message = (type: number, ...rest: Uint8Array[]) =>
    Buffer.concat([Uint8Array.of(0x90 | type), fourCc(code), ...rest]);

  it('sequence start and coded frames', () => {
    const base = { trackNumber: 0, codec, nanoseconds: 0, flvHeader: null, body: PAYLOAD };
    expect(audioParts(message(0, PAYLOAD))).toEqual([{ ...base, content: 'config' }]);
    expect(audioParts(message(1, PAYLOAD))).toEqual([{ ...base, content: 'frame' }]);
  });

  it.each([2, 3, 4, 6, 8, 15])('packet type %i is passed over', (type) => {
    expect(audioParts(message(type, PAYLOAD))).toEqual([]);
  });

  it('is cut short in its FourCC', () => {
    for (let length = 1; length < 5; length++) {
      expect(failure(() => audioParts(message(1).subarray(0, length)))).toBe('SLUICE_FLV_MALFORMED');
    }
  });

  it('ModEx and all kinds of multitrack', () => {
    const sized = (id: number, payload: Uint8Array) => [Uint8Array.of(id), u24(payload.length), payload];
    const nano = Buffer.concat([Uint8Array.of(0x97), modEx(u24(250_000), 0, 1), fourCc(code), PAYLOAD]);
    expect(audioParts(nano)).toMatchObject([{ codec, nanoseconds: 250_000, body: PAYLOAD }]);
    const one = Buffer.concat([Uint8Array.of(0x95, 0x01), fourCc(code), Uint8Array.of(2), PAYLOAD]);
    expect(audioParts(one)).toMatchObject([{ codec, trackNumber: 2, body: PAYLOAD }]);
    const many = Buffer.concat([
      Uint8Array.of(0x95, 0x10),
      fourCc(code),
      ...sized(1, PAYLOAD),
      ...sized(0, hex('ff')),
    ]);
    expect(audioParts(many)).toMatchObject([
      { codec, trackNumber: 1, content: 'config', body: PAYLOAD },
      { codec, trackNumber: 0, content: 'config', body: hex('ff') },
    ]);
    const codecs = Buffer.concat([
      Uint8Array.of(0x95, 0x21),
      fourCc('Opus'),
      ...sized(9, hex('aa')),
      fourCc(code),
      ...sized(0, PAYLOAD),
    ]);
    expect(audioParts(codecs)).toMatchObject([
      { codec: 'opus', trackNumber: 9 },
      { codec, trackNumber: 0, content: 'frame', body: PAYLOAD },
    ]);
  });
});

it('an unknown FourCC is passed over', () => {
  expect(audioParts(Buffer.concat([Uint8Array.of(0x91), fourCc('abcd'), PAYLOAD]))).toEqual([]);
});
