import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import { createGateway } from '../../src/gateway.ts';
import { type Answer, Crowd } from '../support/crowd.ts';
import { rawRequest } from '../support/hls-validator/raw-request.ts';
import { type Edge, startEdge } from '../support/nginx.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';

const VIEWERS = 200;
const AWAY_MS = 3000;
const SECRET = 'a secret of the members';

/** A gateway that counts, on ports that stay the same when it is started again. */
interface CountedGateway {
  readonly httpPort: number;
  readonly rtmpPort: number;
  stop(): Promise<void>;
}

let folder: string;
let gateway: CountedGateway;
let edge: Edge;
/** Serves from the gateway's disk. */
let diskEdge: Edge;
/** When each address was asked for at the gateway. */
const requests = new Map<string, number[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-edge-test-'));
  // nginx may run as another user.
  await chmod(folder, 0o755);
  gateway = await startCounted(0, 0);
  edge = await startEdge({ gatewayPort: gateway.httpPort });
  diskEdge = await startEdge({ gatewayPort: gateway.httpPort, storage: folder });
});

afterAll(async () => {
  await Promise.all([edge?.stop(), diskEdge?.stop(), gateway?.stop()]);
  await rm(folder, { recursive: true });
});

async function startCounted(httpPort: number, rtmpPort: number): Promise<CountedGateway> {
  const own = createGateway({
    host: '127.0.0.1',
    rtmp: { port: rtmpPort },
    storage: { type: 'disk', directory: folder },
    applications: { members: { play: { secrets: [SECRET] } } },
  });
  const app = Fastify({ forceCloseConnections: true });
  app.addHook('onRequest', async ({ url }) => {
    requests.set(url, [...(requests.get(url) ?? []), Date.now()]);
  });
  await app.register(own.plugin);
  await own.start();
  await app.listen({ port: httpPort, host: '127.0.0.1' });
  return {
    httpPort: Number(new URL(app.listeningOrigin).port),
    rtmpPort: own.address.rtmpPort ?? 0,
    stop: async () => {
      await app.close();
      await own.close();
    },
  };
}

function publish(key: string, app = 'live') {
  return publishPaced({ port: gateway.rtmpPort, app, key, tags: readClip('h264_aac'), loop: true });
}

function ask(url: string, headers: Record<string, string> = {}) {
  return rawRequest(url, { method: 'GET', headers });
}

function countOf(answers: readonly Answer[], ...statuses: string[]): number {
  return answers.filter(({ headers }) => statuses.includes(String(headers['x-cache-status']))).length;
}

describe('behind nginx.conf.example', () => {
  test(`${VIEWERS} viewers cost the gateway one request per object, and see nothing of its restart`, async () => {
    const publisher = await publish('cam');
    const playlist = `${edge.url}hls/cam/media.m3u8`;
    await until('the playlist', async () => (await fetch(playlist)).ok);
    requests.clear();
    const crowd = new Crowd(playlist, VIEWERS);
    const least = () => Math.min(...crowd.counts);
    await until('four segments for everybody', () => least() >= 4);
    const calm = [...crowd.answers];
    const playlistRequests = [...(requests.get('/hls/cam/media.m3u8') ?? [])];
    const goneAt = Date.now();
    await publisher.stop();
    await gateway.stop();
    await delay(AWAY_MS);
    const backAt = Date.now();
    gateway = await startCounted(gateway.httpPort, gateway.rtmpPort);
    const again = await publish('cam');
    const before = Math.max(...crowd.counts);
    await until('new segments for everybody', () => least() >= before + 2);
    await crowd.leave();
    await again.stop();

    // Nobody has ever got anything else than what was asked for.
    expect(crowd.failures).toEqual([]);
    expect(crowd.answers.filter(({ status }) => status !== 200)).toEqual([]);
    // No segment left the gateway twice, the time around the restart included; the playlist once per second.
    const segments = [...requests].filter(([path]) => path.endsWith('.ts'));
    expect(segments.length).toBeGreaterThanOrEqual(6);
    expect(segments.filter(([, times]) => times.length !== 1)).toEqual([]);
    const seconds = (goneAt - (playlistRequests[0] ?? 0)) / 1000;
    expect(playlistRequests.length).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
    // All the rest came out of the cache.
    expect(countOf(calm, 'MISS', 'EXPIRED', 'HIT', 'UPDATING')).toBe(calm.length);
    expect(countOf(calm, 'MISS', 'EXPIRED')).toBeLessThan(calm.length / 50);
    // Without the gateway as well.
    const alone = crowd.answers.filter(({ at }) => at > goneAt + 500 && at < backAt);
    expect(countOf(alone, 'STALE', 'UPDATING')).toBeGreaterThan(VIEWERS);
  });

  test('a playlist is not kept for longer than a second', async () => {
    const publisher = await publish('fresh');
    const path = 'hls/fresh/media.m3u8';
    await until('the playlist', async () => (await fetch(edge.url + path)).ok);
    requests.clear();
    const times = await until('three requests', async () => {
      await ask(edge.url + path);
      const seen = requests.get(`/${path}`) ?? [];
      return seen.length >= 3 && seen;
    });
    await publisher.stop();
    // Two seconds; four if it were kept for the two that "1s" may mean to nginx.
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeLessThan(3200);
  });

  test('playlists are kept for those who may have them, and come in both encodings', async () => {
    const publishers = await Promise.all([publish('open'), publish('closed', 'members')]);
    const expires = Date.now() / 1000 + 60;
    const token = signPlayback(SECRET, { app: 'members', name: 'closed', expires });
    const [open, closed] = ['hls/open/media.m3u8', 'hls/members/closed/media.m3u8'];
    const signed = `${closed}?token=${token}`;
    for (const path of [open, signed]) {
      await until(path, async () => (await fetch(edge.url + path)).ok);
    }

    const packed = await ask(edge.url + open, { 'accept-encoding': 'gzip, deflate, br' });
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    const plain = await ask(edge.url + open);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.headers['access-control-allow-origin']).toBe('*');
    expect(plain.body.toString()).toMatch(/^#EXTM3U\n/);

    for (const _ of [1, 2]) {
      const own = await ask(edge.url + signed);
      expect(own).toMatchObject({ status: 200, headers: { 'x-cache-status': 'BYPASS' } });
      expect(own.headers['cache-control']).toMatch(/^private,/);
      expect(await ask(edge.url + closed)).toMatchObject({ status: 403 });
    }
    const missing = await ask(`${edge.url}hls/missing.m3u8`);
    expect(missing).toMatchObject({ status: 404, headers: { 'access-control-allow-origin': '*' } });
    for (const path of ['api/streams', 'metrics', 'dashboard', 'dashboard.html']) {
      expect((await ask(edge.url + path)).status, path).toBe(404);
    }
    expect(requests.has('/api/streams')).toBe(false);
    const player = await ask(`${edge.url}vendor/hls.min.mjs`, { 'accept-encoding': 'gzip' });
    expect(player).toMatchObject({ status: 200, headers: { 'content-encoding': 'gzip' } });
    expect(player.body.length).toBeLessThan(gunzipSync(player.body).length / 2);

    // From the disk the same, without a request.
    requests.clear();
    const multivariant = await ask(`${diskEdge.url}hls/open.m3u8`);
    expect(multivariant.body.toString()).toMatch(/\nopen\/media\.m3u8\n$/);
    const media = await ask(diskEdge.url + open, { 'accept-encoding': 'gzip' });
    expect(media.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'public, max-age=1',
      'content-encoding': 'gzip',
      'content-type': 'application/vnd.apple.mpegurl',
      vary: 'Accept-Encoding',
    });
    const uri = gunzipSync(media.body)
      .toString()
      .split('\n')
      .findLast((line) => line.endsWith('.ts'));
    const segment = await ask(`${diskEdge.url}hls/open/${uri}`);
    expect(segment.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'video/mp2t',
    });
    expect([...requests.keys()]).toEqual([]);
    const original = await ask(`http://127.0.0.1:${gateway.httpPort}/hls/open/${uri}`);
    expect(Buffer.compare(original.body, segment.body)).toBe(0);
    // What is not for everybody is not there as a file.
    expect(await ask(diskEdge.url + closed)).toMatchObject({ status: 403 });
    expect(await ask(diskEdge.url + signed)).toMatchObject({ status: 200 });
    await Promise.all(publishers.map((publisher) => publisher.stop()));
  });
});
