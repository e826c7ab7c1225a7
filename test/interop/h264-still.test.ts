import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSpsCoding } from '../../src/codecs/h264.ts';
import { makeStill } from '../../src/codecs/h264-still.ts';
import { run } from '../support/ffmpeg.ts';
import { accessUnits, annexB, decodeH264, parametersIn } from '../support/h264-stream.ts';

/** Pictures encoded before the still begins: it interrupts a group of pictures. */
const BEFORE = 37;
const REPEATS = 40;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-still-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function encode(name: string, options: readonly string[]): Promise<Buffer> {
  const file = join(folder, `${name.replace(/\W/g, '-')}.h264`);
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=196x148:rate=25', '-frames:v', String(BEFORE)],
    ...['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-g', '24', ...options, '-f', 'h264', file],
  ]);
  return readFile(file);
}

const SKIPPING: [name: string, options: string[]][] = [
  ['CAVLC, baseline', ['-profile:v', 'baseline']],
  ['CABAC, main, one reference', ['-profile:v', 'main', '-refs', '1', '-bf', '0']],
  ['CABAC, high, B pyramid, weighted', ['-profile:v', 'high', '-preset', 'slow', '-bf', '3']],
  ['CAVLC, weighted, several references', ['-preset', 'slow', '-x264-params', 'cabac=0:weightp=2:ref=4']],
  ['four slices', ['-x264-params', 'slices=4']],
  ['four CAVLC slices', ['-x264-params', 'slices=4:cabac=0']],
  ['no deblocking control', ['-x264-params', 'deblock=0,0', '-bsf:v', 'h264_metadata=aud=insert']],
  ['10 bit 4:2:2', ['-pix_fmt', 'yuv422p10le']],
  ['4:4:4', ['-pix_fmt', 'yuv444p']],
  ['grey', ['-pix_fmt', 'gray']],
  ['keyframes without IDR', ['-x264-params', 'open-gop=1:bframes=3']],
  ['keyframes without IDR, CAVLC', ['-x264-params', 'open-gop=1:bframes=3:cabac=0']],
];
const INTRA_ONLY: [name: string, options: string[]][] = [
  ['interlaced', ['-flags', '+ilme+ildct', '-x264-params', 'tff=1']],
  ['interlaced CAVLC', ['-x264-params', 'tff=1:cabac=0']],
  ['high 10 intra', ['-pix_fmt', 'yuv420p10le', '-x264-params', 'keyint=1', '-profile:v', 'high10']],
];

async function stillOf(name: string, options: readonly string[]) {
  const units = accessUnits(await encode(name, options));
  expect(units).toHaveLength(BEFORE);
  const parameters = parametersIn(units);
  const keyframe = units.findLast(({ type, intra }) => type === 5 || intra);
  if (keyframe === undefined) throw new Error('there is no keyframe');
  const still = makeStill(keyframe.data, parameters);
  if (still === null) throw new Error('it cannot be shown');
  return { units, parameters, still };
}

describe.concurrent('a still made of a keyframe is decoded without complaint', () => {
  test.each(SKIPPING)('%s: keyframes and all that skips shows the same picture', async (name, options) => {
    const { units, parameters, still } = await stillOf(name, options);
    const { repeat } = still;
    if (repeat === null) throw new Error('it cannot be repeated by skipping');
    const round = (turn: number) => [
      still.keyframe(turn),
      ...Array.from({ length: REPEATS }, (_, index) => repeat(index + 1)),
    ];
    const shown = [...round(1), ...round(0), ...round(1)];
    const hashes = await decodeH264(annexB([...units.map(({ data }) => data), ...shown], parameters));
    expect(hashes).toHaveLength(BEFORE + shown.length);
    expect(new Set(hashes.slice(-shown.length)).size).toBe(1);
    expect(repeat(1).length).toBeLessThan(60);
  });

  test.each(INTRA_ONLY)('%s: keyframes only', async (name, options) => {
    const { units, parameters, still } = await stillOf(name, options);
    const shown = [1, 0, 1, 0, 1].map((turn) => still.keyframe(turn));
    const hashes = await decodeH264(annexB([...units.map(({ data }) => data), ...shown], parameters));
    expect(hashes).toHaveLength(BEFORE + shown.length);
    expect(new Set(hashes.slice(-shown.length)).size).toBe(1);
    const { maxRefFrames, interlaced } = parseSpsCoding(parameters.sps[0] ?? new Uint8Array());
    expect(still.repeat === null).toBe(interlaced || maxRefFrames === 0);
  });
});

test('a picture of 8160 macroblocks is repeated in a few hundred bytes', async () => {
  const file = join(folder, 'large.h264');
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'mandelbrot=size=1920x1080:rate=1', '-frames:v', '1'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-coder', '1', '-pix_fmt', 'yuv420p', '-f', 'h264', file],
  ]);
  const units = accessUnits(await readFile(file));
  const parameters = parametersIn(units);
  const still = makeStill(units[0]?.data ?? new Uint8Array(), parameters);
  const repeats = Array.from({ length: 20 }, (_, index) => still?.repeat?.(index + 1) ?? new Uint8Array());
  expect(Math.max(...repeats.map(({ length }) => length))).toBeLessThan(300);
  const hashes = await decodeH264(annexB([units[0]?.data ?? new Uint8Array(), ...repeats], parameters));
  expect(hashes).toHaveLength(21);
  expect(new Set(hashes).size).toBe(1);
});
