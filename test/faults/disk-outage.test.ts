import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, type TestContext, test } from 'vitest';
import { listStreams } from '../support/gateway.ts';
import { rawRequest } from '../support/hls-validator/validator.ts';
import { type PacedPublisher, publishPaced } from '../support/paced-publisher.ts';
import { readClip, repeated } from '../support/publish-clip.ts';
import { until } from '../support/until.ts';
import { Viewer } from '../support/viewer.ts';
import { type ChildGateway, type LogLine, startChild } from './support/child-gateway.ts';

// A gateway whose disk fails while streams are live, and works again.

const run = promisify(execFile);
const NAMES = ['one', 'two'];
/** Ten seconds each; more than a test takes. */
const ROUNDS = 12;
/** Of all streams together, while the disk fails. */
const LOST = 4;
const BLOCK_BYTES = 32 * 1024;
const BEGINS = 'segments cannot be stored and are lost; the streams go on';
const IS_OVER = 'segments can be stored again';

/** Where segments are kept. */
interface Disk {
  readonly directory: string;
  /** What the log says of it. */
  readonly reason: RegExp;
  /** Lets writes fail; called until all streams have noticed. */
  break(): Promise<void>;
  mend(): Promise<void>;
}

describe.concurrent('a disk that segments are kept on', () => {
  test('and is full, of 16 MB', async ({ skip, onTestFinished }) => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-full-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', directory]);
    } catch {
      return skip('mounting a file system is not permitted here');
    }
    onTestFinished(async () => {
      await run('umount', [directory]);
    });
    const gateway = await startChild({ storage: { type: 'disk', directory } });
    onTestFinished(() => gateway.stop());
    const filler = join(directory, 'filler');
    const some = Buffer.alloc(64 * 1024);
    const isThereRoom = () =>
      appendFile(filler, some).then(
        () => true,
        () => false,
      );
    await breakAndMend(gateway, await startShows(gateway), {
      directory,
      reason: /^ENOSPC/,
      break: async () => {
        while (await isThereRoom());
      },
      mend: () => rm(filler),
    });
  });

  test.for(['ENOSPC', 'EIO', 'EROFS'] as const)('and fails with %s', async (code, { onTestFinished }) => {
    const { gateway, directory } = await startOnDisk(onTestFinished);
    await breakAndMend(gateway, await startShows(gateway), {
      directory,
      reason: new RegExp(`^${code}`),
      break: () => gateway.breakDisk(code),
      mend: () => gateway.breakDisk(null),
    });
  });

  test('and vanishes: costs nothing where it can be made again', async ({ onTestFinished }) => {
    const { gateway, directory, folder } = await startOnDisk(onTestFinished);
    const shows = await startShows(gateway);
    let moves = 0;
    const vanish = () => rename(directory, join(folder, `gone-${++moves}`));
    await until('segments of each', () => shows.every(({ viewer }) => viewer.count >= 1));
    await vanish();
    const counts = shows.map(({ viewer }) => viewer.count);
    await until('more segments of each', () =>
      shows.every(({ viewer }, index) => viewer.count >= (counts[index] ?? 0) + 2),
    );
    for (const { viewer } of shows) {
      expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
      expect(viewer.playlist).not.toContain('#EXT-X-DISCONTINUITY\n');
    }
    expect(gateway.warnings.filter(isOfDisk)).toEqual([]);
    const written = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.ts'));
    expect(written.length).toBeGreaterThanOrEqual(shows.length);

    // A file in its place keeps it from being made again.
    const isBlocked = async () => (await stat(directory).catch(() => null))?.isFile() ?? false;
    await breakAndMend(gateway, shows, {
      directory,
      reason: /^(ENOTDIR|EEXIST)/,
      break: async () => {
        while (!(await isBlocked())) {
          await vanish().catch(ignoreMissing);
          // The gateway may have been faster.
          await writeFile(directory, '').catch(() => {});
        }
      },
      mend: () => rm(directory),
    });
  });
});

/** A gateway that keeps its segments in a directory of its own, inside a folder. */
async function startOnDisk(onTestFinished: TestContext['onTestFinished']) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-disk-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const directory = join(folder, 'store');
  const gateway = await startChild({ storage: { type: 'disk', directory } });
  onTestFinished(() => gateway.stop());
  return { gateway, directory, folder };
}

function startShows(gateway: ChildGateway): Promise<Show[]> {
  return Promise.all(NAMES.map((name) => Show.start(gateway, name)));
}

async function breakAndMend(gateway: ChildGateway, shows: readonly Show[], disk: Disk): Promise<void> {
  // None of them has segments yet that leave: their deletion would make room.
  await until('two segments of each', () => shows.every(({ viewer }) => viewer.count >= 2));
  const before = await gateway.level();
  expect(await errorsOf(gateway)).toEqual({ lost: 0, failed: 0 });

  for (const { viewer } of shows) viewer.validator.publisherAway(true);
  await until('the disk to fail for each', async () => {
    await disk.break();
    const metrics = await gateway.metrics();
    const lost = 'sluice_stream_segments_lost_total';
    return NAMES.every((name) => (metrics.value(lost, { app: 'live', name }) ?? 0) > 0);
  });
  await until('some segments to be lost', async () => (await errorsOf(gateway)).lost >= LOST);
  for (const { health, warnings } of await listStreams(`http://127.0.0.1:${gateway.httpPort}/`)) {
    expect([health, warnings.map(({ code }) => code)]).toEqual(['poor', ['segments-lost']]);
  }
  await until('nothing unfinished on the disk', async () => !(await files(disk)).some(isUnfinished));
  for (const { name, viewer } of shows) {
    for (const { uri, body } of viewer.segments) {
      const address = new URL(uri, gateway.hls(name).replace('.m3u8', '/media.m3u8')).href;
      const response = await rawRequest(address, { method: 'GET', headers: {} });
      expect([response.status, Buffer.from(response.body).equals(body)]).toEqual([200, true]);
    }
  }
  expect((await fetch(`http://127.0.0.1:${gateway.httpPort}/healthz`)).status).toBe(200);
  const counts = shows.map(({ viewer }) => viewer.count);

  await disk.mend();
  await until('new segments of each', () =>
    shows.every(({ viewer }, index) => viewer.count >= (counts[index] ?? 0) + 2),
  );
  for (const { viewer } of shows) viewer.validator.publisherAway(false);
  await until('another of each', () =>
    shows.every(({ viewer }, index) => viewer.count >= (counts[index] ?? 0) + 3),
  );
  for (const { viewer, isConnected } of shows) {
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.refusals).toEqual([]);
    expect(viewer.playlist.match(/#EXT-X-DISCONTINUITY\n/g)).toHaveLength(1);
    expect(isConnected).toBe(true);
  }

  const { lost, failed } = await errorsOf(gateway);
  expect(failed).toBeGreaterThanOrEqual(lost);
  // One line for all streams when it begins, and one when it is over.
  expect(gateway.warnings.filter(isOfDisk)).toEqual([
    expect.objectContaining({
      code: 'SLUICE_STORE_FAILED',
      msg: BEGINS,
      reason: expect.stringMatching(disk.reason),
      fix: expect.stringContaining('Make room'),
    }),
  ]);
  const over = await until('the end of it in the log', () => {
    const lines = gateway.log.filter(({ msg }) => msg === IS_OVER);
    return lines.length > 0 && lines;
  });
  expect(over).toEqual([expect.objectContaining({ lost, streams: NAMES.length })]);
  const views = await listStreams(`http://127.0.0.1:${gateway.httpPort}/`);
  expect(views.map(({ health, warnings }) => [health, warnings])).toEqual(NAMES.map(() => ['good', []]));

  // What is in memory of segments is those that are being made, one of each stream: not what was lost.
  // The newest may be listed and still on its way to the viewer.
  const lengths = await until('all that is listed to be fetched', () => {
    try {
      return shows.flatMap(({ viewer }) => viewer.segments.map(({ body }) => body.length));
    } catch {
      return false;
    }
  });
  const largest = Math.max(...lengths);
  const making = NAMES.length * (largest + BLOCK_BYTES);
  await until('the memory of lost segments to be free', async () => (await mediaMemory(gateway)) <= making);
  await gateway.expectLevel(before, { held: 4e6, resident: 48e6, withinMs: 15_000 });
  await Promise.all(shows.map((show) => show.leave()));
}

/** A publisher of one stream and who watches it. */
class Show {
  readonly name: string;
  readonly viewer: Viewer;
  readonly #publisher: PacedPublisher;
  isConnected = true;

  private constructor(name: string, viewer: Viewer, publisher: PacedPublisher) {
    this.name = name;
    this.viewer = viewer;
    this.#publisher = publisher;
    void publisher.closed.then(() => {
      this.isConnected = false;
    });
  }

  static async start(gateway: ChildGateway, name: string): Promise<Show> {
    const url = gateway.hls(name);
    const publisher = await publishPaced({
      port: gateway.rtmpPort,
      key: name,
      tags: repeated(readClip('h264_aac'), ROUNDS),
    });
    await until(`${url} to be playable`, async () => (await fetch(url)).ok);
    const viewer = new Viewer(url);
    viewer.watch();
    return new Show(name, viewer, publisher);
  }

  async leave(): Promise<void> {
    this.viewer.validator.publisherAway(true);
    await this.viewer.leave();
    await this.#publisher.stop();
  }
}

/** Segments that were lost, and what else the store could not do with them. */
async function errorsOf(gateway: ChildGateway): Promise<{ lost: number; failed: number }> {
  const metrics = await gateway.metrics();
  return {
    lost: metrics.value('sluice_segments_lost_total') ?? Number.NaN,
    failed: metrics.value('sluice_store_errors_total') ?? Number.NaN,
  };
}

async function mediaMemory(gateway: ChildGateway): Promise<number> {
  return (await gateway.metrics()).value('sluice_media_memory_bytes', { state: 'used' }) ?? Number.NaN;
}

async function files({ directory }: Disk): Promise<string[]> {
  return readdir(directory, { recursive: true }).catch((error: unknown) => {
    // Where there is none there are no files.
    if (codeOf(error) === 'ENOTDIR') return [];
    throw error;
  });
}

function isUnfinished(file: string): boolean {
  return file.endsWith('.tmp');
}

/** Five gateways at a time, and their garbage collected, may be too much for the computer: that is told too. */
function isOfDisk({ msg }: LogLine): boolean {
  return !msg.includes('nothing happened for');
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}
