import { chmod, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:http2';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import { createGateway } from '../../src/gateway.ts';
import { type Answer, Crowd } from '../support/crowd.ts';
import { publishTestPicture, run } from '../support/ffmpeg.ts';
import { freePort } from '../support/free-port.ts';
import { rawRequest } from '../support/hls-validator/raw-request.ts';
import { type Certificate, checkAllOptions, type Edge, nginxHasStream, startEdge } from '../support/nginx.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';

const VIEWERS = 200;
const AWAY_MS = 3000;
/** Longer than nginx has viewers wait for one another by itself. */
const SLOW_MS = 7000;
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
/** For 127.0.0.1, signed by itself. */
let tls: Certificate;
/** When each address was asked for at the gateway. */
const requests = new Map<string, number[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-edge-test-'));
  // nginx may run as another user.
  await chmod(folder, 0o755);
  gateway = await startCounted(0, 0);
  edge = await startEdge({ gatewayPort: gateway.httpPort });
  diskEdge = await startEdge({ gatewayPort: gateway.httpPort, storage: folder });
  tls = { certificate: join(folder, 'fullchain.pem'), key: join(folder, 'privkey.pem') };
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=edge'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', tls.key, '-out', tls.certificate],
  ]);
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

/** For a stream of the application that wants signed addresses. */
function tokenFor(name: string): string {
  return signPlayback(SECRET, { app: 'members', name, expires: Date.now() / 1000 + 60 });
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
    // For ever, there and in browsers.
    const [[path = ''] = []] = segments;
    const kept = await ask(edge.url + path.slice(1));
    expect(kept).toMatchObject({ status: 200, headers: { 'x-cache-status': 'HIT' } });
    expect(kept.headers['cache-control']).toBe('public, max-age=31536000, immutable');
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
    const token = tokenFor('closed');
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
      expect(own).toMatchObject({ status: 200, headers: { 'x-cache-status': 'MISS' } });
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
      'x-cache-status': 'DISK',
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

  test('a made-up token gets nobody past the cache, and a good one to no answer of another viewer', async () => {
    const publishers = await Promise.all([publish('junk'), publish('own', 'members')]);
    const [open, closed] = ['hls/junk/media.m3u8', 'hls/members/own/media.m3u8'];
    // Two tokens, as two viewers have them.
    const [token, other] = [
      tokenFor('own'),
      signPlayback(SECRET, { app: 'members', name: 'own', expires: 4e9 }),
    ];
    await until('the playlist', async () => (await fetch(edge.url + open)).ok);
    await until('the signed playlist', async () => (await fetch(`${edge.url}${closed}?token=${token}`)).ok);

    for (const path of [open, 'hls/junk.m3u8', 'streams.json']) {
      requests.clear();
      const begin = Date.now();
      for (let index = 0; index < 100; index++) {
        const answer = await ask(`${edge.url}${path}?token=junk${index}&x=${index}`);
        expect(answer.status).toBe(200);
      }
      const seconds = (Date.now() - begin) / 1000;
      expect([...requests.values()].flat().length).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
    }

    const entry = 'hls/members/own.m3u8';
    requests.clear();
    for (const mine of [token, other, token]) {
      const answer = await ask(`${edge.url}${entry}?token=${mine}`);
      expect(answer.status).toBe(200);
      expect(answer.body.toString()).toContain(`?token=${mine}`);
    }
    expect(await ask(`${edge.url}${entry}?token=junk`)).toMatchObject({ status: 403 });
    expect(await ask(edge.url + entry)).toMatchObject({ status: 403 });
    expect([...requests.values()].flat()).toHaveLength(5);
    await Promise.all(publishers.map((publisher) => publisher.stop()));
  });

  test('no token is in its logs, whatever goes wrong', async () => {
    const token = tokenFor('cam');
    // A folder that cannot be looked into, here because it leads to itself.
    const broken = await mkdtemp(join(folder, 'broken-'));
    await symlink('segments', join(broken, 'segments'));
    const nobody = await freePort();
    const lonely = await Promise.all([
      startEdge({ gatewayPort: nobody }),
      startEdge({ gatewayPort: nobody, storage: broken }),
    ]);
    try {
      for (const { url, logs } of lonely) {
        const paths = [
          'members/cam.m3u8',
          'members/cam/media.m3u8',
          'members/cam/1.ts',
          'members/cam/thumbnail.jpg',
        ];
        for (const path of paths) {
          expect(await ask(`${url}hls/${path}?token=${token}`)).toMatchObject({
            status: 502,
            headers: { 'access-control-allow-origin': '*' },
          });
        }
        // The page as well, which sends its own address along; and what somebody has encoded once too often.
        await ask(`${url}?stream=members/cam&token=${token}`);
        await ask(`${url}hls/members/cam.m3u8`, { referer: `${url}?stream=members/cam&token=${token}` });
        await ask(`${url}hls/members/last.m3u8%3Ftoken=${token}`);
        const { access, error } = await until('the last request in the log', async () => {
          const both = await logs();
          return both.access.includes('last.m3u8') && both;
        });
        expect(access).not.toContain(token);
        expect(error).not.toContain(token);
        // What has failed can be seen all the same.
        expect(access).toMatch(/"GET \/hls\/members\/cam\.m3u8" 502 \d+ MISS 502 /);
      }
    } finally {
      await Promise.all(lonely.map((one) => one.stop()));
    }
    // With the gateway there.
    await ask(`${edge.url}hls/members/cam.m3u8?token=${token}`);
    const { access, error } = await until('the request in the log', async () => {
      const both = await edge.logs();
      return both.access.includes('/hls/members/cam.m3u8') && both;
    });
    expect(access + error).not.toContain('token');
  });

  test('for a slow segment one request waits, for slow playlists of their own all viewers at once', async () => {
    const seen: IncomingHttpHeaders[] = [];
    let [waiting, most] = [0, 0];
    const slow = createServer(async ({ headers, url = '' }, response) => {
      seen.push(headers);
      waiting++;
      most = Math.max(most, waiting);
      const isSigned = url.includes('token');
      await delay(url.endsWith('.ts') ? SLOW_MS : isSigned ? 1000 : 0);
      waiting--;
      response
        .setHeader('cache-control', isSigned ? 'private, max-age=1' : 'public, max-age=60')
        .end('media');
    });
    const port = await freePort();
    await new Promise<void>((resolve) => slow.listen(port, '127.0.0.1', resolve));
    const own = await startEdge({ gatewayPort: port });
    const askAtOnce = async (path: string) => {
      [seen.length, most] = [0, 0];
      const answers = await Promise.all([1, 2, 3, 4].map(() => ask(own.url + path)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      return { requests: seen.length, most };
    };
    try {
      expect(await askAtOnce('hls/cam/1.ts')).toEqual({ requests: 1, most: 1 });
      const paths = [
        'hls/cam.m3u8',
        'hls/cam/media.m3u8',
        'hls/cam/media-720p.m3u8',
        'hls/cam/thumbnail.jpg',
      ];
      for (const path of paths) {
        expect(await askAtOnce(`${path}?token=x`), path).toEqual({ requests: 4, most: 4 });
      }
      // What the gateway learns of a viewer is the same on all ways to it.
      seen.length = 0;
      for (const path of [...paths, 'hls/cam.m3u8?x=1', 'streams.json', 'hls/cam/2.txt']) {
        await ask(own.url + path, { host: 'tv.example' });
        expect(seen.at(-1), path).toMatchObject({ host: 'tv.example', 'x-forwarded-for': '127.0.0.1' });
      }
      // Without the gateway parameters get nobody anything else than the others.
      slow.close();
      slow.closeAllConnections();
      await delay(1100);
      for (const path of ['hls/cam.m3u8', 'hls/cam.m3u8?x=2']) {
        const answer = await ask(own.url + path);
        expect(answer, path).toMatchObject({ status: 200, headers: { 'x-cache-status': 'STALE' } });
      }
    } finally {
      await own.stop();
      slow.close();
    }
  });
});

describe('with the options of nginx.conf.example', () => {
  test('nginx takes all of them', async () => {
    expect((await checkAllOptions(tls)).stderr).toContain('test is successful');
  });

  test('playlists come over TLS, with HTTP/1.1 and HTTP/2', async () => {
    const publisher = await publish('secure');
    const own = await startEdge({ gatewayPort: gateway.httpPort, tls });
    try {
      const path = 'hls/secure/media.m3u8';
      await until('the playlist', async () => (await fetch(own.url + path)).ok);
      const ca = await readFile(tls.certificate);
      for (const ask of [askOverHttp1, askOverHttp2]) {
        const { status, body } = await ask(own.secureUrl, path, ca);
        expect(status, ask.name).toBe(200);
        expect(body, ask.name).toMatch(/^#EXTM3U\n/);
      }
    } finally {
      await own.stop();
      await publisher.stop();
    }
  });

  test.skipIf(!nginxHasStream())(
    'ffmpeg publishes over RTMPS (needs the stream module: apt-get install libnginx-mod-stream)',
    async () => {
      const own = await startEdge({ gatewayPort: gateway.httpPort, tls, rtmpPort: gateway.rtmpPort });
      const encoder = publishTestPicture(`rtmps://127.0.0.1:${own.rtmpsPort}/live/rtmps`);
      try {
        const playlist = await until('the playlist', async () => {
          if (!encoder.isRunning) throw new Error(`ffmpeg gave up: ${encoder.stderr}`);
          const answer = await ask(`${own.url}hls/rtmps/media.m3u8`);
          return answer.status === 200 && answer.body.toString();
        });
        expect(playlist).toMatch(/\n[^#\n]+\.ts\n/);
      } finally {
        await encoder.stop();
        await own.stop();
      }
    },
  );
});

interface SecureAnswer {
  readonly status: number | undefined;
  readonly body: string;
}

function askOverHttp1(url: string, path: string, ca: Buffer): Promise<SecureAnswer> {
  return new Promise((resolve, reject) => {
    get(url + path, { agent: new Agent({ ca }) }, async (answer) => {
      resolve({ status: answer.statusCode, body: Buffer.concat(await answer.toArray()).toString() });
    }).on('error', reject);
  });
}

function askOverHttp2(url: string, path: string, ca: Buffer): Promise<SecureAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(url, { ca }).on('error', reject);
    const stream = session.request({ ':path': `/${path}` }).on('error', reject);
    stream.once('response', async ({ ':status': status }) => {
      resolve({ status, body: Buffer.concat(await stream.toArray()).toString() });
      session.close();
    });
  });
}
