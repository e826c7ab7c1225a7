import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { encoderProcesses, zombies } from '../support/encoder-processes.ts';
import { type FakeFfmpegs, FFMPEG, foreignProgram, makeFakeFfmpegs } from '../support/fake-ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishSource, TINY_LADDER } from '../support/ladder-source.ts';
import { LadderViewer } from '../support/ladder-viewer.ts';
import { long } from '../support/long.ts';
import { until } from '../support/until.ts';

const SLOW_MS = 60_000;
/** The process would keep it all. */
const FLOOD_BYTES = 150e6;

const fakes: FakeFfmpegs = makeFakeFfmpegs();
const path = process.env.PATH;

// There is no other ffmpeg to turn to.
beforeAll(() => {
  process.env.PATH = fakes.emptyFolder;
});

afterAll(() => {
  process.env.PATH = path;
  fakes.remove();
  expect(encoderProcesses()).toEqual([]);
  expect(zombies()).toEqual([]);
});

const packaged = await import('ffmpeg-static' as string).then(
  (module: { readonly default: unknown }) => typeof module.default === 'string',
  () => false,
);

interface Watched {
  readonly gateway: TestGateway;
  readonly viewer: LadderViewer;
}

/** Publishes to a gateway of its own, and checks that the source loses nothing whatever happens meanwhile. */
async function withSource(
  config: Pick<ConfigInput, 'ladder' | 'transcode'>,
  check: (watched: Watched) => Promise<void>,
): Promise<void> {
  const gateway = await startGateway({
    ladder: TINY_LADDER,
    ...config,
    transcode: { when: 'always', ...config.transcode },
    hls: { segmentDuration: 1 },
    publish: { graceWindow: 1 },
  });
  const source = publishSource(gateway.rtmp('cam'), { interval: 1, program: FFMPEG });
  try {
    await until('the stream', async () => (await fetch(gateway.hls('cam'))).ok, 30_000);
    const viewer = new LadderViewer(gateway.hls('cam'), { updateSlackMilliseconds: 2000 });
    viewer.watch();
    await check({ gateway, viewer });
    const before = viewer.count('source');
    await until('more of the source', () => viewer.count('source') >= Math.max(6, before + 2), SLOW_MS);
    await viewer.leave();
    expect(source.isRunning, source.stderr).toBe(true);
    expect(viewer.sourceErrors, viewer.validator.summary().text).toEqual([]);
    const numbers = viewer.segments('source').map(({ mediaSequence }) => mediaSequence);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    expect(await metric(gateway, 'sluice_segments_lost_total')).toBe(0);
  } finally {
    await source.stop();
    await gateway.stop();
  }
}

async function metric(gateway: TestGateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.httpUrl}metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
}

/** The API, the log and the metrics say that it does not work, and why. */
async function toldEverywhere({ gateway }: Watched, code: string, rungs: readonly string[]): Promise<void> {
  for (const rung of rungs) {
    await gateway.streamWhen(
      'cam',
      ({ renditions }) =>
        renditions.some(({ name, state, error }) => name === rung && state === 'failed' && error !== null),
      SLOW_MS,
    );
  }
  const line = gateway.log.find(({ level, fields }) => level !== 'info' && fields.code === code);
  expect(line, JSON.stringify(gateway.log.filter(({ level }) => level !== 'info'))).toBeDefined();
  expect(await metric(gateway, 'sluice_transcode_failures_total')).toBeGreaterThan(0);
}

const VIDEO = ['mid', 'low'];

describe.concurrent('the source goes on, and it is told what is wrong, when ffmpeg', () => {
  test.skipIf(packaged).each([
    ['is missing', () => `${fakes.emptyFolder}/none`],
    ['is not executable', () => fakes.file('plain', '#!/bin/sh\n', 0o644)],
    ['is for another machine', () => fakes.file('foreign', foreignProgram(), 0o755)],
    ['is no ffmpeg', () => fakes.file('silent', '#!/bin/sh\nexit 0\n', 0o755)],
  ])('%s', async (_, ffmpeg) => {
    await withSource({ transcode: { ffmpeg: ffmpeg() } }, async (watched) => {
      await toldEverywhere(watched, 'SLUICE_FFMPEG_MISSING', VIDEO);
      expect([...watched.viewer.offered.keys()].filter((name) => VIDEO.includes(name))).toEqual([]);
    });
  });

  test.each([
    ['crashes after some seconds', 'crashLater'],
    ['encodes with another codec', 'wrongCodec'],
  ] as const)('%s', async (_, kind) => {
    await withSource({ transcode: { ffmpeg: fakes.misbehaving(kind) } }, (watched) =>
      toldEverywhere(watched, 'SLUICE_TRANSCODE_FAILED', VIDEO),
    );
  });

  long.each([
    ['crashes at once', 'crash'],
    ['ends early, and says all is well', 'exitEarly'],
    ['hangs', 'hang'],
    ['hangs and does not end when asked to', 'hangForGood'],
  ] as const)('%s', async (_, kind) => {
    await withSource({ transcode: { ffmpeg: fakes.misbehaving(kind) } }, (watched) =>
      toldEverywhere(watched, 'SLUICE_TRANSCODE_FAILED', VIDEO),
    );
  });

  test('lacks the encoder of a rendition; the others are not concerned', async () => {
    const [mid, low] = TINY_LADDER;
    const ladder = [{ ...mid, encoder: 'h264_videotoolbox' as const }, low];
    await withSource({ ladder, transcode: { ffmpeg: FFMPEG } }, async (watched) => {
      await toldEverywhere(watched, 'SLUICE_FFMPEG_UNABLE', ['mid']);
      await until('the other rendition', () => watched.viewer.count('low') >= 3, SLOW_MS);
      expect(watched.viewer.count('mid')).toBe(0);
    });
  });
});

test('an ffmpeg that complains without end encodes all the same', async () => {
  await withSource({ transcode: { ffmpeg: fakes.misbehaving('flood') } }, async ({ viewer }) => {
    const before = process.memoryUsage().rss;
    for (const name of VIDEO) await until(`segments of ${name}`, () => viewer.count(name) >= 4, SLOW_MS);
    expect(process.memoryUsage().rss - before).toBeLessThan(FLOOD_BYTES);
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
  });
});
