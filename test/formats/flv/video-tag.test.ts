import { describe, expect, it } from 'vitest';
import { failure, hex } from '../amf/support.ts';
import { avcTag, fourCc, modEx, u24, videoParts } from './support.ts';

const PAYLOAD = hex('01020304');

describe('legacy video', () => {
  it.each([
    [2, 'h263'],
    [3, 'screen'],
    [4, 'vp6'],
    [5, 'vp6'],
    [6, 'screen'],
    [8, 'h263'],
    [9, 'mpeg4'],
  ])('codec id %i is %s and has no further header', (id, codec) => {
    expect(videoParts(Buffer.from([0x10 | id, ...PAYLOAD]))).toEqual([
      {
        trackNumber: 0,
        codec,
        content: 'frame',
        keyframe: true,
        compositionOffset: 0,
        nanoseconds: 0,
        flvHeader: id,
        body: PAYLOAD,
      },
    ]);
    expect(videoParts(Buffer.from([0x20 | id, ...PAYLOAD]))).toMatchObject([
      { keyframe: false, flvHeader: id },
    ]);
  });

  it.each([
    [7, 'h264'],
    [12, 'hevc'],
  ])('codec id %i is %s with packet type and composition offset', (codecId, codec) => {
    expect(videoParts(avcTag(0, PAYLOAD, { codecId }))).toMatchObject([
      { codec, content: 'config', flvHeader: null, body: PAYLOAD },
    ]);
    expect(videoParts(avcTag(1, PAYLOAD, { codecId, key: false, cts: 80 }))).toMatchObject([
      { codec, content: 'frame', keyframe: false, compositionOffset: 80, flvHeader: null, body: PAYLOAD },
    ]);
  });

  it.each([
    ['000042', 0x42],
    ['ffffff', -1],
    ['ffffbe', -66],
    ['800000', -0x800000],
    ['7fffff', 0x7fffff],
  ])('composition offset %s is signed', (bytes, expected) => {
    expect(videoParts(hex(`2701 ${bytes} 00`))[0]?.compositionOffset).toBe(expected);
  });

  it.each([
    ['an empty message', ''],
    ['AVC end of sequence', '1702000000'],
    ['a reserved AVC packet type', '1703000000'],
    ['a seek command', '5700'],
    ['codec id 1, JPEG', '1100'],
    ['codec id 13', '1d00000000'],
    ['codec id 0', '1000'],
  ])('passes over %s', (_name, bytes) => {
    expect(videoParts(hex(bytes))).toEqual([]);
  });

  it.each(['17', '1701', '17010000', '1c00'])('%s is cut short', (bytes) => {
    expect(failure(() => videoParts(hex(bytes)))).toBe('SLUICE_FLV_MALFORMED');
  });

  it('an AVC frame without a body is a frame without a body', () => {
    expect(videoParts(hex('2701000000'))).toMatchObject([{ content: 'frame', body: Buffer.alloc(0) }]);
  });
});

const CODECS = [
  ['avc1', 'h264', true],
  ['hvc1', 'hevc', true],
  ['vvc1', 'vvc', true],
  ['av01', 'av1', false],
  ['vp09', 'vp9', false],
  ['vp08', 'vp8', false],
] as const;

describe.each(CODECS)('Enhanced RTMP %s', (code, codec, hasOffset) => {
  const message = (type: number, ...rest: Uint8Array[]) =>
    Buffer.concat([Uint8Array.of(0x90 | type), fourCc(code), ...rest]);
  const base = { trackNumber: 0, codec, keyframe: true, nanoseconds: 0, flvHeader: null };

  it('sequence start', () => {
    expect(videoParts(message(0, PAYLOAD))).toEqual([
      { ...base, content: 'config', compositionOffset: 0, body: PAYLOAD },
    ]);
  });

  it('coded frames carry a composition offset only where frames are reordered', () => {
    const offset = hasOffset ? u24(-66) : Buffer.alloc(0);
    expect(videoParts(message(1, offset, PAYLOAD))).toEqual([
      { ...base, content: 'frame', compositionOffset: hasOffset ? -66 : 0, body: PAYLOAD },
    ]);
  });

  it('coded frames X have none', () => {
    expect(videoParts(message(3, PAYLOAD))).toEqual([
      { ...base, content: 'frame', compositionOffset: 0, body: PAYLOAD },
    ]);
  });

  it.each([2, 4, 5, 8, 9, 15])('packet type %i is passed over', (type) => {
    expect(videoParts(message(type, PAYLOAD))).toEqual([]);
  });

  it('a command frame has no FourCC and is passed over', () => {
    expect(videoParts(hex('d1 00'))).toEqual([]);
  });

  it('is cut short anywhere in the header', () => {
    const whole = message(1, u24(5));
    const headerSize = hasOffset ? 8 : 5;
    for (let length = 1; length < headerSize; length++) {
      expect(failure(() => videoParts(whole.subarray(0, length)))).toBe('SLUICE_FLV_MALFORMED');
    }
    expect(failure(() => videoParts(whole.subarray(0, headerSize)))).toBeUndefined();
  });

  it.each([1, 3, 4, 255, 256, 300, 65536])('a ModEx of %i bytes in front', (size) => {
    const data = Buffer.alloc(size, 0);
    if (size >= 3) data.set(u24(654_321));
    const body = Buffer.concat([Uint8Array.of(0xa7), modEx(data, 0, 3), fourCc(code), PAYLOAD]);
    expect(videoParts(body)).toEqual([
      {
        ...base,
        keyframe: false,
        nanoseconds: size >= 3 ? 654_321 : 0,
        content: 'frame',
        compositionOffset: 0,
        body: PAYLOAD,
      },
    ]);
  });
});

describe('ModEx', () => {
  const tail = Buffer.concat([fourCc('av01'), PAYLOAD]);

  it('chains; unknown kinds are skipped and the nano offset is capped below a millisecond', () => {
    const body = Buffer.concat([
      Uint8Array.of(0x97),
      modEx(hex('aabbccdd'), 9, 7),
      modEx(u24(0xffffff), 0, 7),
      modEx(hex('00'), 3, 1),
      tail,
    ]);
    expect(videoParts(body)).toMatchObject([{ codec: 'av1', nanoseconds: 999_999, body: PAYLOAD }]);
  });

  it('is cut short anywhere', () => {
    const whole = Buffer.concat([Uint8Array.of(0x97), modEx(Buffer.alloc(300), 0, 1), tail.subarray(0, 4)]);
    for (let length = 1; length < whole.length; length++) {
      expect(failure(() => videoParts(whole.subarray(0, length)))).toBe('SLUICE_FLV_MALFORMED');
    }
    expect(videoParts(whole)).toHaveLength(1);
  });
});

describe('multitrack video', () => {
  const sized = (id: number, payload: Uint8Array) => [Uint8Array.of(id), u24(payload.length), payload];

  it('OneTrack', () => {
    const body = Buffer.concat([
      Uint8Array.of(0x96, 0x01),
      fourCc('avc1'),
      Uint8Array.of(3),
      u24(40),
      PAYLOAD,
    ]);
    expect(videoParts(body)).toMatchObject([
      {
        trackNumber: 3,
        codec: 'h264',
        content: 'frame',
        keyframe: true,
        compositionOffset: 40,
        body: PAYLOAD,
      },
    ]);
  });

  it('ManyTracks, ids in any order, sizes counting the composition offset', () => {
    const body = Buffer.concat([
      Uint8Array.of(0xa6, 0x11),
      fourCc('hvc1'),
      ...sized(7, Buffer.concat([u24(-1), hex('aa')])),
      ...sized(0, Buffer.concat([u24(0), hex('bbcc')])),
      ...sized(1, u24(9)),
    ]);
    expect(
      videoParts(body).map((p) => [p.trackNumber, p.codec, p.compositionOffset, p.body.toString('hex')]),
    ).toEqual([
      [7, 'hevc', -1, 'aa'],
      [0, 'hevc', 0, 'bbcc'],
      [1, 'hevc', 9, ''],
    ]);
  });

  it('ManyTracksManyCodecs, unknown codecs left out', () => {
    const body = Buffer.concat([
      Uint8Array.of(0x96, 0x20),
      fourCc('avc1'),
      ...sized(0, PAYLOAD),
      fourCc('xxxx'),
      ...sized(1, PAYLOAD),
      fourCc('av01'),
      ...sized(2, hex('ee')),
    ]);
    expect(videoParts(body)).toMatchObject([
      { trackNumber: 0, codec: 'h264', content: 'config', body: PAYLOAD },
      { trackNumber: 2, codec: 'av1', content: 'config', body: hex('ee') },
    ]);
  });

  it('behind a ModEx', () => {
    const body = Buffer.concat([
      Uint8Array.of(0x97),
      modEx(u24(5), 0, 6),
      Uint8Array.of(0x03),
      fourCc('vp09'),
      Uint8Array.of(1),
      PAYLOAD,
    ]);
    expect(videoParts(body)).toMatchObject([{ trackNumber: 1, codec: 'vp9', nanoseconds: 5, body: PAYLOAD }]);
  });

  it('multitrack inside multitrack and reserved kinds are passed over', () => {
    expect(videoParts(Buffer.concat([Uint8Array.of(0x96, 0x06), fourCc('avc1'), Uint8Array.of(0)]))).toEqual(
      [],
    );
    expect(videoParts(Buffer.concat([Uint8Array.of(0x96, 0x31), fourCc('avc1'), Uint8Array.of(0)]))).toEqual(
      [],
    );
  });

  it('a size that points past the end is malformed', () => {
    const body = Buffer.concat([
      Uint8Array.of(0x96, 0x11),
      fourCc('av01'),
      Uint8Array.of(0),
      u24(5),
      PAYLOAD,
    ]);
    expect(failure(() => videoParts(body))).toBe('SLUICE_FLV_MALFORMED');
    for (const length of [1, 2, 5, 6, 7, 9]) {
      expect(failure(() => videoParts(body.subarray(0, length)))).toBe('SLUICE_FLV_MALFORMED');
    }
  });
});
