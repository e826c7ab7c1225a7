import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ACCESS_UNIT,
  buildAvcC,
  h264CodecString,
  h264Track,
  parameterSetsIn,
  parseAvcC,
  parseSps,
  removeEmulationPrevention,
  scanAccessUnit,
} from '../../src/codecs/h264.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { addEmulationPrevention, lengthPrefixed, makeSps, type SpsShape } from './support.ts';

const CLIP_AVCC = hex(
  '0164001effe100196764001eacb405017fcb80880000030008000003019078b17501000468ef3cb0fdf8f800',
);

const nal = (type: number, ...rest: number[]) => Uint8Array.of(0x60 | type, ...rest);
const nalUnit = fc
  .tuple(fc.integer({ min: 1, max: 23 }), fc.uint8Array({ maxLength: 40 }))
  .map(([type, rest]) => Uint8Array.of(0x60 | type, ...rest));

describe('avcC', () => {
  it('parses the record of a real encoder, with the High profile fields after it', () => {
    const { nalLengthSize, sps, pps } = parseAvcC(CLIP_AVCC);
    expect(nalLengthSize).toBe(4);
    expect(sps.map((set) => Buffer.from(set).toString('hex'))).toEqual([
      '6764001eacb405017fcb80880000030008000003019078b175',
    ]);
    expect(pps.map((set) => Buffer.from(set).toString('hex'))).toEqual(['68ef3cb0']);
  });

  it('builds what it parses', () => {
    const set = fc.uint8Array({ minLength: 4, maxLength: 60 });
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4),
        fc.array(set, { minLength: 1, maxLength: 31 }),
        fc.array(set, { minLength: 1, maxLength: 40 }),
        (nalLengthSize, sps, pps) => {
          const record = buildAvcC({ nalLengthSize, sps, pps });
          expect(parseAvcC(record)).toEqual({
            nalLengthSize,
            sps: sps.map((s) => new Uint8Array(s)),
            pps: pps.map((s) => new Uint8Array(s)),
          });
          expect([...record.subarray(0, 4)]).toEqual([1, ...(sps[0]?.subarray(1, 4) ?? [])]);
        },
      ),
    );
  });

  it.each([
    [0xfc, 1],
    [0xfd, 2],
    [0xff, 4],
  ])('reads lengthSizeMinusOne of %i as %i bytes', (byte, size) => {
    const record = Buffer.from(CLIP_AVCC);
    record[4] = byte;
    expect(parseAvcC(record).nalLengthSize).toBe(size);
  });

  it('fails at every length that cuts a parameter set', () => {
    const needed = 6 + 2 + 25 + 1 + 2 + 4;
    for (let length = 0; length < needed; length++) {
      expect(failure(() => parseAvcC(CLIP_AVCC.subarray(0, length)))).toBe('SLUICE_CODEC_MALFORMED');
    }
    // What stands after the sets is optional in practice.
    expect(failure(() => parseAvcC(CLIP_AVCC.subarray(0, needed)))).toBeUndefined();
  });

  it('refuses other versions', () => {
    expect(failure(() => parseAvcC(Buffer.from([0, ...CLIP_AVCC.subarray(1)])))).toBe(
      'SLUICE_CODEC_MALFORMED',
    );
  });

  it('keeps copies, not views into the message', () => {
    const record = Buffer.from(CLIP_AVCC);
    const { sps } = parseAvcC(record);
    record.fill(0);
    expect(sps[0]?.[0]).toBe(0x67);
  });

  it('makes a track only with both kinds of parameter sets', () => {
    const { sps, pps } = parseAvcC(CLIP_AVCC);
    const track = h264Track('v0', CLIP_AVCC, parseAvcC(CLIP_AVCC));
    expect(track).toMatchObject({
      id: 'v0',
      codec: 'h264',
      codecString: 'avc1.64001e',
      width: 640,
      height: 360,
      frameRate: 25,
    });
    for (const parameters of [
      { nalLengthSize: 4, sps: [], pps },
      { nalLengthSize: 4, sps, pps: [] },
    ]) {
      expect(failure(() => h264Track('v0', CLIP_AVCC, parameters))).toBe('SLUICE_CODEC_MALFORMED');
    }
  });
});

describe('parseSps', () => {
  const cases: [string, SpsShape, { width: number; height: number; frameRate: number | null }][] = [
    ['no cropping, no VUI', { mbWidth: 40, mapHeight: 22 }, { width: 640, height: 352, frameRate: null }],
    [
      '1080p by cropping 8 lines',
      { mbWidth: 120, mapHeight: 68, crop: [0, 0, 0, 4], timing: { unitsInTick: 1, timeScale: 60 } },
      { width: 1920, height: 1080, frameRate: 30 },
    ],
    [
      'cropping on all four sides',
      { mbWidth: 20, mapHeight: 12, crop: [1, 2, 3, 4] },
      { width: 320 - 6, height: 192 - 14, frameRate: null },
    ],
    [
      '1080i: map units are field pairs, cropping counts by four',
      {
        mbWidth: 120,
        mapHeight: 34,
        frameMbsOnly: false,
        crop: [0, 0, 0, 2],
        timing: { unitsInTick: 1, timeScale: 50 },
      },
      { width: 1920, height: 1080, frameRate: 25 },
    ],
    [
      'NTSC rate',
      { mbWidth: 45, mapHeight: 30, timing: { unitsInTick: 1001, timeScale: 60_000 } },
      { width: 720, height: 480, frameRate: 30_000 / 1001 },
    ],
    [
      'High with scaling lists, one of them ending early',
      {
        profile: 100,
        mbWidth: 80,
        mapHeight: 45,
        // A delta of -8 makes the next scale 0 and ends the list.
        scalingLists: [
          Array(16).fill(1),
          null,
          [-8],
          null,
          null,
          null,
          Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 1 : -1)),
          null,
        ],
      },
      { width: 1280, height: 720, frameRate: null },
    ],
    [
      '4:4:4 with twelve scaling lists crops single pixels',
      {
        profile: 244,
        mbWidth: 20,
        mapHeight: 12,
        chromaFormat: 3,
        crop: [1, 0, 0, 1],
        scalingLists: Array(12).fill(null),
      },
      { width: 319, height: 191, frameRate: null },
    ],
    [
      '4:2:2 crops two columns and single lines',
      { profile: 122, mbWidth: 20, mapHeight: 12, chromaFormat: 2, crop: [0, 1, 0, 1] },
      { width: 318, height: 191, frameRate: null },
    ],
    [
      'monochrome crops single pixels',
      { profile: 100, mbWidth: 20, mapHeight: 12, chromaFormat: 0, crop: [0, 1, 0, 1] },
      { width: 319, height: 191, frameRate: null },
    ],
    [
      'picture order count type 1',
      { mbWidth: 20, mapHeight: 12, pocType: 1 },
      { width: 320, height: 192, frameRate: null },
    ],
    [
      'picture order count type 2',
      { mbWidth: 20, mapHeight: 12, pocType: 2 },
      { width: 320, height: 192, frameRate: null },
    ],
    [
      'everything in the VUI',
      { mbWidth: 20, mapHeight: 12, fullVui: true, timing: { unitsInTick: 1, timeScale: 120 } },
      { width: 320, height: 192, frameRate: 60 },
    ],
    [
      'VUI without timing',
      { mbWidth: 20, mapHeight: 12, fullVui: true },
      { width: 320, height: 192, frameRate: null },
    ],
    [
      'an absurd rate is no rate',
      { mbWidth: 20, mapHeight: 12, timing: { unitsInTick: 1, timeScale: 180_000 } },
      { width: 320, height: 192, frameRate: null },
    ],
  ];

  it.each(cases)('%s', (_name, shape, expected) => {
    expect(parseSps(makeSps(shape))).toEqual({
      profile: shape.profile ?? 77,
      level: 31,
      interlaced: shape.frameMbsOnly === false,
      ...expected,
    });
  });

  it('a VUI cut short only costs the frame rate', () => {
    const sps = makeSps({ mbWidth: 20, mapHeight: 12, timing: { unitsInTick: 1, timeScale: 50 } });
    expect(parseSps(sps.subarray(0, sps.length - 4))).toMatchObject({
      width: 320,
      height: 192,
      frameRate: null,
    });
  });

  it('refuses impossible sizes and cut parameter sets', () => {
    const bad = [
      makeSps({ mbWidth: 2000, mapHeight: 12 }),
      makeSps({ mbWidth: 1, mapHeight: 1, crop: [4, 4, 0, 0] }),
      makeSps({ mbWidth: 20, mapHeight: 12 }).subarray(0, 6),
      Buffer.alloc(0),
    ];
    expect(bad.map((sps) => failure(() => parseSps(sps)))).toEqual(bad.map(() => 'SLUICE_CODEC_MALFORMED'));
  });

  it('gives the codec string of the first three bytes after the header', () => {
    expect(
      h264CodecString(makeSps({ profile: 0x42, constraints: 0xc0, level: 0x1e, mbWidth: 1, mapHeight: 1 })),
    ).toBe('avc1.42c01e');
  });
});

describe('emulation prevention', () => {
  it('is removed exactly', () => {
    expect([...removeEmulationPrevention(hex('000003000003 01 000003 03 0003'))]).toEqual([
      ...hex('0000 0000 01 0000 03 0003'),
    ]);
    const likely = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 4), { maxLength: 60 });
    fc.assert(
      fc.property(likely, (bytes) => {
        expect([...removeEmulationPrevention(addEmulationPrevention(Uint8Array.from(bytes)))]).toEqual(bytes);
      }),
    );
  });
});

describe('scanAccessUnit', () => {
  const { SLICE, IDR, SPS, DAMAGED } = ACCESS_UNIT;

  it.each([1, 2, 4])('looks at every NAL unit with lengths of %i bytes', (size) => {
    const scan = (...nals: Uint8Array[]) => scanAccessUnit(lengthPrefixed(nals, size), size);
    expect(scan(nal(9, 0xf0), nal(1, 1, 2))).toBe(SLICE);
    expect(scan(nal(7, 1), nal(8, 1), nal(5, 1))).toBe(SLICE | IDR | SPS);
    expect(scan(nal(6, 5, 1, 0))).toBe(0);
    expect(scan()).toBe(0);
    expect(scan(new Uint8Array(0), nal(2, 1))).toBe(SLICE);
  });

  it('says so when a length points past the end, and counts what came before', () => {
    const whole = lengthPrefixed([nal(5, 1, 2, 3), nal(1, 1, 2, 3)]);
    expect(scanAccessUnit(whole.subarray(0, whole.length - 1), 4)).toBe(SLICE | IDR | DAMAGED);
    expect(scanAccessUnit(whole.subarray(0, 10), 4)).toBe(SLICE | IDR | DAMAGED);
    expect(scanAccessUnit(Uint8Array.of(0, 0, 0), 4)).toBe(DAMAGED);
  });

  it('finds parameter sets wherever they stand', () => {
    fc.assert(
      fc.property(fc.array(nalUnit, { maxLength: 8 }), fc.constantFrom(2, 4), (nals, size) => {
        const { sps, pps } = parameterSetsIn(lengthPrefixed(nals, size), size);
        const ofType = (type: number) => nals.filter((unit) => ((unit[0] ?? 0) & 31) === type);
        expect(sps).toEqual(ofType(7));
        expect(pps).toEqual(ofType(8));
      }),
    );
  });
});

describe('parameterSetsIn', () => {
  it('takes only as many and as large sets as anybody means', () => {
    const many = lengthPrefixed(Array.from({ length: 1000 }, () => Uint8Array.of(0x67, 1)));
    const found = parameterSetsIn(many, 4);
    expect(found.sps).toHaveLength(64);
    const large = lengthPrefixed([Uint8Array.of(0x67, 1), new Uint8Array(9000).fill(0x68)]);
    expect(parameterSetsIn(large, 4)).toMatchObject({ sps: [Uint8Array.of(0x67, 1)], pps: [] });
  });
});
