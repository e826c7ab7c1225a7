import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-port.ts';
import { parsePlaylist } from '../support/hls-validator/m3u8.ts';
import { type SluiceProcess, startSluice } from '../support/sluice.ts';
import { publishSteadily } from '../support/steady-publisher.ts';
import { until } from '../support/until.ts';
import { Viewer } from '../support/viewer.ts';

let folder: string;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-restart-'));
});

afterAll(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await rm(folder, { recursive: true, force: true });
});

interface Site {
  readonly directory: string;
  readonly rtmpPort: number;
  readonly url: (path: string) => string;
  /** A process of this site; the ports and the directory are always the same. */
  start(): SluiceProcess;
}

async function site(
  name: string,
  type: 'disk' | 'memory',
  settings: Record<string, string> = {},
): Promise<Site> {
  const [rtmpPort = 0, httpPort = 0] = await freePorts(2);
  const directory = join(folder, name);
  const args = ['--rtmp-port', String(rtmpPort), '--http-port', String(httpPort), '--host', '127.0.0.1'];
  return {
    directory,
    rtmpPort,
    url: (path) => `http://127.0.0.1:${httpPort}/hls/${path}`,
    start: () => {
      const env = { SLUICE_STORAGE_TYPE: type, SLUICE_STORAGE_DIRECTORY: directory, ...settings };
      const program = startSluice(args, env);
      stops.push(() => program.stop());
      return program;
    },
  };
}

function publish(rtmpPort: number, key: string): { stop(): Promise<void> } {
  const publisher = publishSteadily({ port: rtmpPort, key });
  stops.push(() => publisher.stop());
  return publisher;
}

async function kill(program: SluiceProcess): Promise<void> {
  program.signal('SIGKILL');
  await program.exited;
}

async function playlistOf(url: string) {
  const playlist = parsePlaylist(Buffer.from(await (await fetch(url)).arrayBuffer()));
  if (playlist.kind !== 'media') throw new Error('it is no media playlist');
  return playlist;
}

async function bytesOf(url: string): Promise<Buffer | number> {
  const response = await fetch(url);
  return response.status === 200 ? Buffer.from(await response.arrayBuffer()) : response.status;
}

// Every test has a site of its own, and waits for segments most of the time.
describe('kill -9 and a restart', () => {
  test.concurrent('with the disk: numbers and discontinuities go on, and every segment is there', async () => {
    const { rtmpPort, url, start } = await site('disk', 'disk');
    const first = start();
    await first.ready;
    const publisher = publish(rtmpPort, 'cam');
    await until('the stream', async () => (await fetch(url('cam.m3u8'))).ok);
    const viewer = new Viewer(url('cam.m3u8'));
    viewer.watch();
    await until('three segments', () => viewer.count >= 3);
    viewer.validator.publisherAway(true);
    const before = await playlistOf(url('cam/media.m3u8'));
    const bodies = await Promise.all(before.segments.map(({ uri }) => bytesOf(url(`cam/${uri}`))));
    await kill(first);

    const second = start();
    await second.ready;
    const after = await playlistOf(url('cam/media.m3u8'));
    expect(after.mediaSequence).toBeGreaterThanOrEqual(before.mediaSequence ?? 0);
    const uris = after.segments.map(({ uri }) => uri);
    expect(uris).toEqual(expect.arrayContaining(before.segments.map(({ uri }) => uri)));
    for (const [index, { uri }] of before.segments.entries())
      expect(await bytesOf(url(`cam/${uri}`)), uri).toEqual(bodies[index]);
    await until(
      'the publisher',
      async () => (await playlistOf(url('cam/media.m3u8'))).segments.length > uris.length,
    );
    viewer.validator.publisherAway(false);
    await until('two more segments', () => viewer.count >= before.segments.length + 3);
    viewer.validator.publisherAway(true);
    await publisher.stop();
    await viewer.leave();

    const numbers = viewer.segments.map((segment) => segment.mediaSequence);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    expect(viewer.parts.length).toBe(2);
    expect(viewer.targetDurations).toHaveLength(1);
    const last = await playlistOf(url('cam/media.m3u8'));
    for (const { uri } of last.segments) expect(await bytesOf(url(`cam/${uri}`)), uri).toBeInstanceOf(Buffer);
    // The process was away: that is all that a viewer noticed.
    const connection = /ECONNREFUSED|ECONNRESET|socket hang up/;
    const errors = viewer.validator.errors.filter(({ message }) => !connection.test(message));
    expect(errors, viewer.validator.summary().text).toEqual([]);
    await second.stop();
  });

  test.concurrent('with memory: only the numbers go on', async () => {
    const { directory, rtmpPort, url, start } = await site('memory', 'memory');
    const first = start();
    await first.ready;
    const publisher = publish(rtmpPort, 'cam');
    const playlist = async () => (await fetch(url('cam/media.m3u8'))).ok && playlistOf(url('cam/media.m3u8'));
    const before = await until('two segments', async () => {
      const seen = await playlist();
      return seen !== false && seen.segments.length >= 2 && seen;
    });
    await kill(first);
    expect(await readdir(join(directory, 'state'))).toEqual(['live@cam.json']);

    const second = start();
    await second.ready;
    const [gone] = before.segments;
    expect(await bytesOf(url(`cam/${gone?.uri}`))).toBe(404);
    const after = await until('the stream', playlist);
    expect(after.mediaSequence).toBeGreaterThan(before.segments.at(-1)?.mediaSequence ?? 0);
    expect(after.discontinuitySequence).toBeGreaterThan(before.discontinuitySequence ?? 0);
    await publisher.stop();
    await second.stop();
  });

  test.concurrent('with the disk: a stream that had ended is played to its end', async () => {
    const { rtmpPort, url, start } = await site('ended', 'disk', { SLUICE_PUBLISH_GRACE_WINDOW: '0' });
    const first = start();
    await first.ready;
    const publisher = publish(rtmpPort, 'cam');
    await until('the stream', async () => (await fetch(url('cam.m3u8'))).ok);
    await publisher.stop();
    const playlist = await until('its end', async () => {
      const seen = await playlistOf(url('cam/media.m3u8'));
      return seen.endList && seen;
    });
    await kill(first);

    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const next = start();
      await next.ready;
      expect(await playlistOf(url('cam/media.m3u8')), signal).toEqual(playlist);
      for (const { uri } of playlist.segments)
        expect(await bytesOf(url(`cam/${uri}`)), `${uri} ${signal}`).toBeInstanceOf(Buffer);
      expect(next.log.filter(({ msg }) => msg === 'stream ended')).toEqual([]);
      next.signal(signal);
      await next.exited;
    }
  });

  test.concurrent('with a state file that is damaged: the stream begins anew, and the log says so', async () => {
    const { directory, rtmpPort, url, start } = await site('damaged', 'disk');
    const first = start();
    await first.ready;
    const publisher = publish(rtmpPort, 'cam');
    await until('the stream', async () => (await fetch(url('cam.m3u8'))).ok);
    const before = await playlistOf(url('cam/media.m3u8'));
    await kill(first);
    const file = join(directory, 'state/live@cam.json');
    const state = await readFile(file);
    await writeFile(file, state.subarray(0, state.length - 20));

    const second = start();
    await second.ready;
    expect(second.log).toContainEqual(
      expect.objectContaining({ level: 40, msg: expect.stringContaining('set aside'), file }),
    );
    expect(await readFile(`${file}.corrupt-1`)).toEqual(state.subarray(0, state.length - 20));
    const after = await until(
      'the stream',
      async () => (await fetch(url('cam/media.m3u8'))).ok && playlistOf(url('cam/media.m3u8')),
    );
    expect(after.mediaSequence).toBeGreaterThan(before.segments.at(-1)?.mediaSequence ?? 0);
    await publisher.stop();
    await second.stop();
  });
});

const VIEWERS = 20;
const POLL_MS = 200;

/** A player with a keep-alive connection, which retries only what every HTTP client retries by itself. */
class Player {
  readonly errors: string[] = [];
  requests = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #playlist: string;
  #last = -1;
  #stopped = false;

  constructor(playlist: string) {
    this.#playlist = playlist;
  }

  async watch(): Promise<void> {
    while (!this.#stopped) {
      const body = await this.#get(this.#playlist);
      if (body !== null) await this.#read(body);
      await delay(POLL_MS * (0.75 + Math.random() / 2));
    }
    this.#agent.destroy();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #read(body: Buffer): Promise<void> {
    const playlist = parsePlaylist(body);
    if (playlist.kind !== 'media' || playlist.endList) {
      this.errors.push('the playlist ended');
      return;
    }
    const newest = playlist.segments.at(-1)?.mediaSequence ?? 0;
    if (newest < this.#last) this.errors.push(`back from ${this.#last} to ${newest}`);
    const wanted = playlist.segments.filter(({ mediaSequence }) => mediaSequence > this.#last).slice(-2);
    this.#last = Math.max(newest, this.#last);
    for (const { uri } of wanted) await this.#get(new URL(uri, this.#playlist).href);
  }

  #get(url: string, retried = false): Promise<Buffer | null> {
    this.requests++;
    return new Promise((resolve) => {
      const request = get(url, { agent: this.#agent }, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.once('error', (error) => this.#fail(`${error.message} in an answer`, resolve));
        response.once('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(pieces));
          else this.#fail(`${response.statusCode} for ${url}`, resolve);
        });
      });
      request.once('error', (error) => {
        const { code } = error as NodeJS.ErrnoException;
        if (request.reusedSocket && code === 'ECONNRESET' && !retried)
          void this.#get(url, true).then(resolve);
        else
          this.#fail(
            `${code ?? error.message}${request.reusedSocket ? '' : ' on a new connection'}`,
            resolve,
          );
      });
    });
  }

  #fail(reason: string, resolve: (nothing: null) => void): void {
    this.errors.push(reason);
    resolve(null);
  }
}

/** Asks for a new connection every few milliseconds; the longest time without one. */
async function longestGap(url: string, until: AbortSignal): Promise<{ gapMs: number; refused: number }> {
  let gapMs = 0;
  let refused = 0;
  let since: number | null = null;
  while (!until.aborted) {
    const error = await new Promise<Error | null>((resolve) => {
      const request = get(url, { agent: false }, (response) => {
        response.resume();
        resolve(null);
      });
      request.once('error', resolve);
    });
    const now = performance.now();
    if (error === null) since = null;
    else {
      refused++;
      since ??= now;
      gapMs = Math.max(gapMs, now - since);
    }
    await delay(2);
  }
  return { gapMs, refused };
}

describe('a deploy', () => {
  test.each(['disk', 'memory'] as const)('costs viewers nothing, with the segments in %s', async (type) => {
    const { rtmpPort, url, start, directory } = await site(`deploy-${type}`, type);
    const first = start();
    await first.ready;
    const publisher = publish(rtmpPort, 'cam');
    await until('the stream', async () => (await fetch(url('cam.m3u8'))).ok);
    const players = Array.from({ length: VIEWERS }, () => new Player(url('cam/media.m3u8')));
    const watching = players.map((player) => player.watch());
    const second = start();
    await until('the second process to wait', () =>
      second.log.some(({ msg }) => msg.startsWith('waiting for')),
    );
    expect(second.stdout).toBe('');
    const measured = new AbortController();
    const gap = longestGap(url('cam/media.m3u8'), measured.signal);
    const signalledAt = performance.now();
    first.signal('SIGTERM');
    await second.ready;
    const readyAfter = performance.now() - signalledAt;
    const { code } = await first.exited;
    measured.abort();
    const { gapMs, refused } = await gap;
    await until('segments of the second process', async () => {
      const { segments } = await playlistOf(url('cam/media.m3u8'));
      return segments.some(({ discontinuity }) => discontinuity) && segments.at(-1)?.discontinuity === false;
    });
    for (const player of players) player.stop();
    await Promise.all(watching);
    await publisher.stop();
    const errors = players.flatMap((player) => player.errors);
    const report = `ready after ${readyAfter.toFixed()} ms, ${refused} refused within ${gapMs.toFixed()} ms`;
    expect(code).toBe(0);
    expect(errors, report).toEqual([]);
    expect(gapMs, report).toBeLessThan(1000);
    // What was left for the second process was taken by it.
    if (type === 'memory') expect(await readdir(join(directory, 'segments'))).toEqual([]);
    expect(first.log.concat(second.log).filter(({ level }) => level >= 50)).toEqual([]);
    await second.stop();
  });

  test('with memory and no directory that could be written ends playlists with the process', async () => {
    const { rtmpPort, url, start } = await site('nowhere', 'memory', {
      SLUICE_STORAGE_DIRECTORY: '/dev/null/no',
    });
    const program = start();
    await program.ready;
    const publisher = publish(rtmpPort, 'cam');
    await until('the stream', async () => (await fetch(url('cam.m3u8'))).ok);
    const next = start();
    await until('the next process to wait', () => next.log.some(({ msg }) => msg.startsWith('waiting for')));
    program.signal('SIGTERM');
    // Players get to the end.
    const ended = await until('the end', async () => {
      const seen = await playlistOf(url('cam/media.m3u8'));
      return seen.endList && seen;
    });
    for (const { uri } of ended.segments)
      expect(await bytesOf(url(`cam/${uri}`)), uri).toBeInstanceOf(Buffer);
    expect((await program.exited).code).toBe(0);
    const told = program.log.filter(({ msg }) => msg.includes('the next process cannot go on'));
    expect(told).toEqual([expect.objectContaining({ reason: expect.stringContaining('ENOTDIR') })]);
    await publisher.stop();
  });
});

describe('with renditions', () => {
  const NAMES = ['media.m3u8', 'media-160p.m3u8', 'media-audio.m3u8'];
  test.concurrent.each(['SIGKILL', 'SIGTERM'] as const)(
    '%s: all of them are there again, and go on where they were',
    async (signal) => {
      const { rtmpPort, url, start } = await site(`ladder-${signal}`, 'disk', {
        SLUICE_LADDER: '160p,audio',
        SLUICE_TRANSCODE_WHEN: 'always',
      });
      const first = start();
      await first.ready;
      const publisher = publish(rtmpPort, 'cam');
      const lists = () => Promise.all(NAMES.map((name) => playlistOf(url(`cam/${name}`))));
      const ends = (some: Awaited<ReturnType<typeof lists>>) =>
        some.map(({ mediaSequence, segments }) => (mediaSequence ?? 0) + segments.length);
      await until('renditions', async () => (await fetch(url('cam/media-160p.m3u8'))).ok);
      // The next segment is two seconds away then.
      const before = await until('renditions as long as the source', async () => {
        const now = await lists();
        return new Set(ends(now)).size === 1 && now.every(({ segments }) => segments.length >= 3) && now;
      });
      first.signal(signal);
      await first.exited;

      const second = start();
      await second.ready;
      const between = await lists();
      const report = first.log.map(({ time, msg }) => `${time} ${msg}`).join('\n');
      expect(ends(between), report).toEqual(Array.from(NAMES, () => ends(between)[0]));
      for (const [index, { segments }] of between.entries()) {
        const uris = segments.map(({ uri }) => uri);
        // A deploy finishes the segment under way, and so one may have left the list.
        expect(uris).toEqual(
          expect.arrayContaining((before[index]?.segments ?? []).slice(1).map(({ uri }) => uri)),
        );
        for (const uri of uris) expect(await bytesOf(url(`cam/${uri}`)), uri).toBeInstanceOf(Buffer);
      }
      const [end = 0] = ends(between);
      const after = await until('two more segments of each', async () => {
        const now = await lists();
        return ends(now).every((last) => last >= end + 2) && now;
      });
      for (const [index, { segments }] of after.entries()) {
        const marks = segments.flatMap(({ discontinuity }, n) =>
          discontinuity ? [(after[index]?.mediaSequence ?? 0) + n] : [],
        );
        expect(marks, NAMES[index]).toEqual([end]);
        expect(segments.length, NAMES[index]).toBeGreaterThan(3);
      }
      await publisher.stop();
      await second.stop();
    },
  );
});
