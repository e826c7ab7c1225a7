import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAudioSpecificConfig } from '../../src/codecs/aac.ts';
import { codecStringFromRecord } from '../../src/codecs/codec-strings.ts';
import { parameterSetsIn, parseAvcC, parseSps, scanAccessUnit } from '../../src/codecs/h264.ts';
import { parseMp3Header } from '../../src/codecs/mp3.ts';
import { readX264Settings } from '../../src/codecs/x264-settings.ts';
import { FlvDemuxer } from '../../src/formats/flv/demuxer.ts';
import { readFlvFile, readTags } from '../../src/formats/flv/tags.ts';
import { addEmulationPrevention, makeSps } from '../codecs/support.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { cpuMs } from '../support/cpu-time.ts';
import { type ClipTag, isVideo, readClip, Studio } from '../support/publish-clip.ts';

const CODES = new Set([undefined, 'SLUICE_FLV_MALFORMED', 'SLUICE_CODEC_MALFORMED']);

/** Some hundred times what the slowest input here takes. */
const PATIENCE_MS = 1000;

/** Any error but the documented ones passes through and fails the test. */
function survive(action: () => unknown): void {
  let code: string | undefined;
  const used = cpuMs(() => {
    code = failure(action);
  });
  expect(CODES).toContain(code);
  expect(used).toBeLessThan(PATIENCE_MS);
}

type Mutation = readonly [kind: 'set' | 'insert' | 'remove' | 'cut' | 'repeat', share: number, byte: number];

function mutate(bytes: Buffer, [kind, share, byte]: Mutation): Buffer {
  const at = Math.floor(share * bytes.length);
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (kind) {
    case 'set':
      return Buffer.concat([head, Buffer.of(byte), tail.subarray(1)]);
    case 'insert':
      return Buffer.concat([head, Buffer.of(byte), tail]);
    case 'remove':
      return Buffer.concat([head, tail.subarray(1 + (byte % 8))]);
    case 'cut':
      return head;
    case 'repeat':
      return Buffer.concat([head, tail.subarray(0, byte % 64), tail]);
  }
}

const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom('set' as const, 'insert' as const, 'remove' as const, 'cut' as const, 'repeat' as const),
  // Mostly near the front, where the headers are.
  fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.double({ min: 0, max: 0.1, noNaN: true }),
  ),
  fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
);

function mutated(originals: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.constantFrom(...originals), fc.array(mutation, { minLength: 1, maxLength: 6 }))
    .map(([bytes, mutations]) => mutations.reduce(mutate, bytes));
}

const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

const CLIPS = [
  'h264_aac',
  'hevc_aac',
  'av1_opus',
  'vp9_aac',
  'h264_mp3',
  'h264_ac3',
  'flv1_mp3',
  'multitrack_av',
];
const bodies = (video: boolean) =>
  CLIPS.flatMap((clip) =>
    readClip(clip)
      .filter((tag) => isVideo(tag) === video)
      .slice(0, 8)
      .map((tag) => tag.body.subarray(0, 2000)),
  );

describe.each([
  ['video', true],
  ['audio', false],
])('FlvDemuxer, %s', (_name, video) => {
  const push = (messages: readonly Buffer[]) => {
    const demuxer = new FlvDemuxer(
      ({ data, timestamp }) => {
        expect(data.length).toBeGreaterThan(0);
        expect(timestamp >>> 0).toBe(timestamp);
      },
      (reason) => expect(reason.code).toBe('SLUICE_FLV_MALFORMED'),
    );
    for (const body of messages) {
      survive(() => (video ? demuxer.pushVideo(0xffffffff, body) : demuxer.pushAudio(0xffffffff, body)));
    }
  };

  it('random bytes', () => {
    fc.assert(fc.property(fc.array(random, { maxLength: 6 }), push), { numRuns: 500 });
  });

  it('random bytes behind every header byte', () => {
    for (let first = 0; first < 256; first++) {
      fc.assert(
        fc.property(fc.array(random, { minLength: 1, maxLength: 3 }), (list) =>
          push(list.map((body) => Buffer.concat([Buffer.of(first), body]))),
        ),
        { numRuns: 8 },
      );
    }
  });

  it('mutated messages of real encoders', () => {
    const originals = bodies(video);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(mutated(originals), fc.constantFrom(...originals)), { maxLength: 10 }),
        push,
      ),
      { numRuns: 500 },
    );
  });
});

const AVCC = hex('0164001effe100196764001eacb405017fcb80880000030008000003019078b17501000468ef3cb0fdf8f800');
const SPS = [
  makeSps({ mbWidth: 120, mapHeight: 68, fullVui: true, timing: { unitsInTick: 1, timeScale: 60 } }),
  makeSps({ profile: 100, mbWidth: 80, mapHeight: 45, scalingLists: Array(8).fill([1, -1, 3]) }),
  makeSps({ mbWidth: 80, mapHeight: 45, pocType: 1 }),
];
const ASC = [hex('1210'), hex('119056e500'), hex('2b920800'), hex('eb0a8800'), hex('1780ac440808')];

describe.each<[string, (bytes: Buffer) => unknown, readonly Buffer[]]>([
  ['avcC', parseAvcC, [AVCC]],
  ['SPS', parseSps, SPS],
  ['AudioSpecificConfig', parseAudioSpecificConfig, ASC],
  ['MP3 header', (bytes) => parseMp3Header(bytes), [hex('fffb9064')]],
  [
    'FLV tags',
    (bytes) => [...readTags(bytes)],
    [hex('0900000500002a000000001701000000000000100800000200000000000000af010000000d')],
  ],
  [
    'FLV file',
    (bytes) => [...readFlvFile(bytes)],
    [hex('464c5601050000000900000000080000020000000000000000af010000000d')],
  ],
  [
    'access unit',
    (bytes) => [scanAccessUnit(bytes, 4), parameterSetsIn(bytes, 4), readX264Settings(bytes, 4)],
    bodies(true),
  ],
  [
    'codec strings',
    (bytes) => ['hevc', 'av1', 'vp9'].map((codec) => codecStringFromRecord(codec, bytes)),
    [AVCC],
  ],
])('%s', (_name, parse, originals) => {
  it('random bytes', () => {
    fc.assert(
      fc.property(random, (bytes) => survive(() => parse(bytes))),
      { numRuns: 1000 },
    );
  });

  it('mutated bytes', () => {
    fc.assert(
      fc.property(mutated(originals), (bytes) => survive(() => parse(bytes))),
      { numRuns: 1000 },
    );
  });
});

it('a parameter set of ones and zeros as long as it may be takes no time', () => {
  for (const byte of [0, 0xff, 0x80, 0x01]) {
    const sps = addEmulationPrevention(Buffer.concat([hex('6764001e'), Buffer.alloc(65_000, byte)]));
    survive(() => parseSps(sps));
  }
});

it('a whole publication of mutated tags reaches the playlist or is dropped, and nothing breaks', async () => {
  const clip = readClip('h264b_aac');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(clip.length - 1), mutation, fc.option(fc.nat(2 ** 32 - 1))), {
        maxLength: 60,
      }),
      async (changes) => {
        const tags: ClipTag[] = [...clip];
        for (const [index, change, timestamp] of changes) {
          const tag = tags[index];
          if (tag === undefined) continue;
          tags[index] = { ...tag, body: mutate(tag.body, change), timestamp: timestamp ?? tag.timestamp };
        }
        const studio = new Studio();
        await studio.publish(tags);
        await studio.close();
        expect(studio.sinkFaults).toEqual([]);
        expect(studio.states).toEqual(expect.arrayContaining(['live', 'closed']));
        for (const { data } of studio.segments) expect(data.length % 188).toBe(0);
      },
    ),
    { numRuns: 25 },
  );
});
