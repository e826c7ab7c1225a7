import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import { encoderProcesses, zombies } from '../support/encoder-processes.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { parsePlaylist } from '../support/hls-validator/m3u8.ts';
import { publishSource, TINY_LADDER, TINY_RUNGS } from '../support/ladder-source.ts';
import { LadderViewer } from '../support/ladder-viewer.ts';
import { long } from '../support/long.ts';
import { until } from '../support/until.ts';

const KILLS = 10;
const BACK_WITHIN_MS = 3000;
const VIDEO = TINY_RUNGS.filter((name) => name !== 'audio');
/** Kills come at other moments of a segment each. */
const MOMENT_MS = 130;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({
    ladder: TINY_LADDER,
    transcode: { when: 'watched' },
    hls: { segmentDuration: 1 },
    publish: { graceWindow: 1 },
  });
});

afterAll(async () => {
  await gateway.stop();
  expect(encoderProcesses()).toEqual([]);
  expect(zombies()).toEqual([]);
});

/** Number of the newest segment; -1 when there is none. */
async function newest(variant: string): Promise<number> {
  const response = await fetch(`${gateway.httpUrl}hls/killed/media-${variant}.m3u8`);
  const playlist = parsePlaylist(await response.text());
  if (!response.ok || playlist.kind !== 'media') return -1;
  return playlist.segments.at(-1)?.mediaSequence ?? -1;
}

long(
  'killing ffmpeg ten times costs no viewer of the source anything, and renditions are back at once',
  async () => {
    const source = publishSource(gateway.rtmp('killed'), { interval: 1 });
    await until('the stream', async () => (await fetch(gateway.hls('killed'))).ok, 30_000);
    const viewer = new LadderViewer(gateway.hls('killed'), { updateSlackMilliseconds: 2000 });
    viewer.watch();
    const delays: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await until(
        'all renditions',
        () => TINY_RUNGS.every((name) => viewer.offered.has(name) && viewer.count(name) > 0),
        60_000,
      );
      await delay(kill * MOMENT_MS);
      const pids = encoderProcesses().map(({ pid }) => pid);
      expect(pids).toHaveLength(1);
      // The next one is not complete yet: only another ffmpeg can finish it.
      const before = await newest('audio');
      const killedAt = performance.now();
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await Promise.all(
        VIDEO.map(async (name) => {
          await until(`a new segment of ${name}`, async () => (await newest(name)) > before, 60_000);
          delays.push(performance.now() - killedAt);
        }),
      );
      // Two kills before a cut would share it.
      await until('the seam', () => viewer.discontinuities('source').length > kill, 60_000);
    }
    const last = viewer.count('source');
    await until('two more segments', () => viewer.count('source') >= last + 2, 60_000);
    await viewer.leave();
    await source.stop();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    const numbers = viewer.segments('source').map(({ mediaSequence }) => mediaSequence);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    const sorted = delays.toSorted((a, b) => a - b);
    const text = sorted.map(Math.round).join(' ');
    expect(sorted.at(-1), text).toBeLessThan(BACK_WITHIN_MS);
    const seams = viewer.discontinuities('source');
    expect(seams).toHaveLength(KILLS);
    for (const name of TINY_RUNGS) expect(viewer.discontinuities(name), name).toEqual(seams);
  },
);
