import { describe, expect, it } from 'vitest';
import { planLadder, RUNG_NAMES } from '../../../src/transcode/ladder/rungs.ts';

const DEFAULTS = { encoder: 'libx264', preset: 'veryfast' };
const plan = (
  entries: Parameters<typeof planLadder>[0],
  width: number,
  height: number,
  frameRate: number | null = 30,
) => planLadder(entries, { width, height, frameRate }, DEFAULTS);
const sizes = (...input: Parameters<typeof plan>) =>
  plan(...input).rungs.map(({ name, width, height }) => `${name} ${width}x${height}`);

describe('planLadder', () => {
  it('keeps the proportions and leaves out what is larger than the source', () => {
    expect(sizes([...RUNG_NAMES], 1280, 720)).toEqual([
      '720p 1280x720',
      '540p 960x540',
      '480p 854x480',
      '360p 640x360',
      '240p 426x240',
      '160p 284x160',
    ]);
    expect(plan([...RUNG_NAMES], 1280, 720)).toMatchObject({
      audio: true,
      omitted: [{ name: '2160p' }, { name: '1440p' }, { name: '1080p' }],
    });
  });

  it('turns with a portrait source', () => {
    expect(sizes(['720p', { name: 'box', size: '640x360' }], 1080, 1920)).toEqual([
      '720p 720x1280',
      'box 360x640',
    ]);
  });

  it.each([
    [641, 361, ['360p 640x360', '160p 284x160']],
    [1, 1, []],
    [17, 9, []],
    [7680, 4320, ['360p 640x360', '160p 284x160']],
    [4000, 160, ['160p 4000x160']],
    [0, 0, []],
  ])('makes even numbers of %dx%d', (width, height, expected) => {
    expect(sizes(['360p', '160p'], width, height)).toEqual(expected);
  });

  it.each([
    [60, [1, 1, 2, 2]],
    [50, [1, 1, 2, 2]],
    [59.94, [1, 1, 2, 2]],
    [120, [2, 2, 4, 4]],
    [30, [1, 1, 1, 1]],
    [25, [1, 1, 1, 1]],
    [null, [1, 1, 1, 1]],
  ])('halves %d frames per second below 720p', (frameRate, divisors) => {
    const { rungs } = plan(['1080p', '720p', '480p', '160p'], 1920, 1080, frameRate);
    expect(rungs.map(({ frameDivisor }) => frameDivisor)).toEqual(divisors);
  });

  it('fast pictures get more bits, and objects have their own way', () => {
    expect(plan(['720p'], 1280, 720, 30).rungs[0]?.bitrate).toBe(2_500_000);
    expect(plan(['720p'], 1280, 720, 60).rungs[0]?.bitrate).toBe(3_750_000);
    const own = { name: 'x', size: '720p', bitrate: 900, fps: 15, preset: 'fast', profile: 'main', gop: 1 };
    expect(plan([own], 1280, 720, 30).rungs).toEqual([
      {
        name: 'x',
        width: 1280,
        height: 720,
        bitrate: 900_000,
        frameDivisor: 2,
        codec: 'h264',
        encoder: 'libx264',
        preset: 'fast',
        profile: 'main',
        gop: 1,
      },
    ]);
  });

  it('says why what MPEG-TS cannot carry is left out', () => {
    expect(plan([{ name: 'h', size: '360p', codec: 'hevc' }], 1280, 720)).toMatchObject({
      rungs: [],
      omitted: [{ name: 'h', reason: 'HEVC is not allowed in MPEG-TS segments' }],
    });
  });
});
