import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { cpuTicks, encoderProcesses, zombies } from '../support/encoder-processes.ts';
import type { Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishSource, type SourceOptions, TINY_LADDER, TINY_RUNGS } from '../support/ladder-source.ts';
import { LadderViewer } from '../support/ladder-viewer.ts';
import { long } from '../support/long.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { countSwitches, switchFaults } from '../support/switch-faults.ts';
import { until } from '../support/until.ts';

/** Encoders share the machine with the rest. */
const SLOW_MS = 60_000;
const SLACK = { updateSlackMilliseconds: 2000 };
const ALWAYS = { when: 'always' } as const;
const LADDER = ['240p', '160p', 'audio'] as const;
const NAMES = ['source', ...LADDER];

let gateway: TestGateway;
let patient: TestGateway;
let thrifty: TestGateway;

const start = (config: ConfigInput) =>
  startGateway({ transcode: ALWAYS, publish: { graceWindow: 1 }, ...config });

beforeAll(async () => {
  gateway = await start({ ladder: [...LADDER] });
  patient = await start({ ladder: TINY_LADDER, publish: { graceWindow: 30 } });
  thrifty = await start({ ladder: TINY_LADDER, transcode: { when: 'watched', idle: 5 } });
});

afterAll(async () => {
  await Promise.all([gateway, patient, thrifty].map((one) => one.stop()));
  expect(encoderProcesses()).toEqual([]);
  expect(zombies()).toEqual([]);
});

/** A viewer from the first segment on. */
async function watch(at: TestGateway, name: string): Promise<LadderViewer> {
  const url = at.hls(name);
  await until(`${url} to be playable`, async () => (await fetch(url)).ok, 30_000);
  const viewer = new LadderViewer(url, SLACK);
  viewer.watch();
  return viewer;
}

/** Publishes, watches until every variant had so many segments, and ends the stream. */
async function watchSource(
  name: string,
  options: SourceOptions,
  {
    variants = NAMES,
    segments = 3,
  }: { readonly variants?: readonly string[]; readonly segments?: number } = {},
): Promise<LadderViewer> {
  const source = publishSource(gateway.rtmp(name), options);
  try {
    const viewer = await watch(gateway, name);
    await haveSegments(viewer, variants, segments);
    await leave(viewer, source);
    return viewer;
  } finally {
    await source.stop();
  }
}

async function haveSegments(viewer: LadderViewer, variants: readonly string[], count: number): Promise<void> {
  for (const variant of variants) {
    await until(`${count} segments of ${variant}`, () => viewer.count(variant) >= count, SLOW_MS).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${viewer.validator.summary().text}`);
      },
    );
  }
}

async function leave(viewer: LadderViewer, source: Running): Promise<void> {
  await viewer.leave();
  expect(source.isRunning, source.stderr).toBe(true);
  expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
}

const attribute = (viewer: LadderViewer, variant: string, name: string) =>
  viewer.offered.get(variant)?.get(name);

describe('the ladder', () => {
  const alignment = async (bFrames: number) => {
    const viewer = await watchSource(`aligned${bFrames}`, { size: '640x360', bFrames }, { segments: 8 });
    expect([...viewer.offered.keys()]).toEqual(NAMES);
    expect(attribute(viewer, 'source', 'RESOLUTION')).toBe('640x360');
    expect(attribute(viewer, '240p', 'RESOLUTION')).toBe('426x240');
    expect(attribute(viewer, '160p', 'RESOLUTION')).toBe('284x160');
    expect(attribute(viewer, 'audio', 'RESOLUTION')).toBeUndefined();
    const times = await viewer.decode(6);
    expect(switchFaults(times)).toEqual([]);
    // Four variants, each way, and a variant that is a segment behind at the end has one less.
    expect(countSwitches(times)).toBeGreaterThan(50);
    for (const rung of ['240p', '160p']) {
      for (const [number, { video }] of times.get(rung) ?? []) {
        expect(video, `${rung} #${number}`).toHaveLength(
          times.get('source')?.get(number)?.video.length ?? 50,
        );
      }
    }
  };
  test('is aligned, and a player changes without a seam, of a source with B-frames', () => alignment(2));
  long('is aligned, and a player changes without a seam, of a source without them', () => alignment(0));

  test('decodes once in one process', async () => {
    const before = new Set(encoderProcesses().map(({ pid }) => pid));
    const source = publishSource(gateway.rtmp('once'), { size: '640x360' });
    const viewer = await watch(gateway, 'once');
    await haveSegments(viewer, NAMES, 2);
    const started = encoderProcesses().filter(({ pid }) => !before.has(pid));
    expect(started).toHaveLength(1);
    const [{ pid, args } = { pid: 0, args: [] }] = started;
    expect(args.filter((argument) => argument === '-i')).toHaveLength(1);
    expect(args.filter((argument) => argument === 'libx264')).toHaveLength(2);
    expect(cpuTicks(pid)).toBeGreaterThan(0);
    await leave(viewer, source);
    await source.stop();
    await until('the encoder to end', () => !encoderProcesses().some((one) => one.pid === pid), SLOW_MS);
  });

  long('has no rung above the source', async () => {
    const viewer = await watchSource('low', { size: '320x180' }, { variants: ['source', '160p', 'audio'] });
    expect([...viewer.offered.keys()]).toEqual(['source', '160p', 'audio']);
    expect(viewer.count('240p')).toBe(0);
  });

  long('turns with a portrait source', async () => {
    const viewer = await watchSource('portrait', { size: '360x640' });
    expect(attribute(viewer, '240p', 'RESOLUTION')).toMatch(/^240x42[68]$/);
    expect(attribute(viewer, '160p', 'RESOLUTION')).toMatch(/^160x28[46]$/);
  });

  long('of a source with an odd size has even ones', async () => {
    const filter = 'scale=641:361,format=yuv444p';
    const viewer = await watchSource('odd', { size: '640x360', filter });
    expect(attribute(viewer, 'source', 'RESOLUTION')).toBe('641x361');
    for (const rung of ['240p', '160p']) {
      const [width, height] = (attribute(viewer, rung, 'RESOLUTION') ?? '').split('x').map(Number);
      expect(height).toBe(rung === '240p' ? 240 : 160);
      expect((width ?? 1) % 2).toBe(0);
      expect((width ?? 0) / (height ?? 1)).toBeCloseTo(641 / 361, 1);
      expect(attribute(viewer, rung, 'CODECS')).toMatch(/^avc1\.(42|4d|64)/);
    }
  });

  long('of a source with 60 frames per second has half of them', async () => {
    const viewer = await watchSource(
      'smooth',
      { size: '320x180', rate: 60 },
      { variants: ['source', '160p', 'audio'] },
    );
    expect(Number(attribute(viewer, 'source', 'FRAME-RATE'))).toBeCloseTo(60, 0);
    expect(Number(attribute(viewer, '160p', 'FRAME-RATE'))).toBeCloseTo(30, 0);
    expect(switchFaults(await viewer.decode(3))).toEqual([]);
  });
});

describe('the ladder', () => {
  test('of a source of a single pixel has sound alone', async () => {
    const viewer = await watchSource(
      'pixel',
      { size: '16x16', filter: 'scale=1:1,format=yuv444p' },
      { variants: ['source'], segments: 4 },
    );
    expect(viewer.count('160p')).toBe(0);
    expect(attribute(viewer, 'source', 'RESOLUTION')).toBe('1x1');
  });

  long('follows a source that changes its size', async () => {
    const clip = await publishPaced({
      port: gateway.rtmpPort,
      key: 'resized',
      tags: readClip('h264_reschange'),
      loop: true,
    });
    const viewer = await watch(gateway, 'resized');
    await until('the larger size', () => viewer.count('240p') >= 1, SLOW_MS);
    await until('two changes of 160p', () => viewer.discontinuities('160p').length >= 2, SLOW_MS);
    await viewer.leave();
    await clip.stop();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.discontinuities('160p')).toEqual(
      viewer
        .discontinuities('source')
        .filter((number) => number >= (viewer.segments('160p')[0]?.mediaSequence ?? 0)),
    );
  });

  long('follows a publisher that comes back', async () => {
    const first = publishSource(patient.rtmp('back'));
    const viewer = await watch(patient, 'back');
    await haveSegments(viewer, ['source', ...TINY_RUNGS], 3);
    viewer.validator.publisherAway(true);
    await first.stop();
    await patient.streamWhen('back', ({ state }) => state === 'grace');
    const second = publishSource(patient.rtmp('back'));
    await patient.streamWhen('back', ({ state }) => state === 'live', 30_000);
    const before = viewer.count('source');
    await haveSegments(viewer, ['source'], before + 1);
    viewer.validator.publisherAway(false);
    await haveSegments(viewer, ['source', ...TINY_RUNGS], before + 4);
    await leave(viewer, second);
    await second.stop();
    const [seam = 0] = viewer.discontinuities('source');
    for (const name of ['source', ...TINY_RUNGS]) {
      expect(viewer.discontinuities(name), name).toEqual([seam]);
      expect(viewer.segments(name)[0]?.mediaSequence, name).toBeLessThan(seam);
    }
  });

  long('ends on all variants alike', async () => {
    const source = publishSource(gateway.rtmp('ending'), { size: '640x360' });
    const viewer = await watch(gateway, 'ending');
    await haveSegments(viewer, NAMES, 3);
    viewer.validator.publisherAway(true);
    source.signal('SIGTERM');
    await source.exited;
    for (const name of NAMES) {
      await until(`ENDLIST of ${name}`, () => viewer.text(name).includes('#EXT-X-ENDLIST'), SLOW_MS);
    }
    await viewer.leave();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    const last = NAMES.map((name) => viewer.segments(name).at(-1));
    expect(last.map((segment) => segment?.mediaSequence)).toEqual(NAMES.map(() => last[0]?.mediaSequence));
    expect(last.map((segment) => segment?.duration)).toEqual(NAMES.map(() => last[0]?.duration));
  });

  long(
    'that is encoded while it is watched begins with the first request and ends after the last',
    async () => {
      const source = publishSource(thrifty.rtmp('watched'));
      const before = new Set(encoderProcesses().map(({ pid }) => pid));
      const encoders = () => encoderProcesses().filter(({ pid }) => !before.has(pid)).length;
      await thrifty.streamWhen('watched', ({ mediaSequence }) => mediaSequence !== null);
      expect(encoders()).toBe(0);
      // Nobody waits for the encoder.
      const first = await (await fetch(thrifty.hls('watched'))).text();
      expect(first).toContain('watched/media.m3u8');
      expect(first).not.toContain('media-mid');
      const viewer = await watch(thrifty, 'watched');
      await haveSegments(viewer, ['source', ...TINY_RUNGS], 3);
      expect(encoders()).toBe(1);
      await leave(viewer, source);
      await until('the encoder to stop', () => encoders() === 0, SLOW_MS);
      expect((await thrifty.stream('watched'))?.state).toBe('live');
      const again = await watch(thrifty, 'watched');
      await haveSegments(again, ['source', ...TINY_RUNGS], 2);
      await leave(again, source);
      await source.stop();
    },
  );
});
