import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGateway } from '../../src/gateway.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { rawRequest } from '../support/hls-validator/validator.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { Viewer } from '../support/viewer.ts';

// What the validator does not look at; it covers the playlists and segments themselves.

let gateway: TestGateway;
/** Addresses of a playlist and a segment of a live stream. */
let media: string;
let segment: string;
let stopPublisher: () => Promise<void>;

beforeAll(async () => {
  gateway = await startGateway();
  const publisher = await publishPaced({
    port: gateway.rtmpPort,
    key: 'cam',
    tags: readClip('h264_aac'),
    loop: true,
  });
  stopPublisher = publisher.stop;
  media = `${gateway.httpUrl}hls/cam/media.m3u8`;
  const playlist = await until('a playlist', async () => {
    const response = await fetch(media);
    return response.ok && response.text();
  });
  const [name = ''] = playlist.split('\n').filter((line) => line.endsWith('.ts'));
  segment = new URL(name, media).href;
});

afterAll(async () => {
  await stopPublisher();
  await gateway.stop();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  rawRequest(new URL(path, gateway.httpUrl).href, { method: 'GET', headers });
const json = (body: Uint8Array): unknown => JSON.parse(Buffer.from(body).toString());

describe('playlists and segments', () => {
  test('with an unknown or broken Range come whole', async () => {
    for (const range of ['bytes=abc', 'items=0-5', 'bytes=0-1,4-5']) {
      const { status, headers } = await get(segment, { range });
      expect([range, status, headers['content-range']]).toEqual([range, 200, undefined]);
    }
  });

  test('compare several tags, weak ones and *', async () => {
    const { headers } = await get(segment);
    for (const tag of ['*', `W/${headers.etag}`, `"other", ${headers.etag}`]) {
      const { status, body } = await get(segment, { 'if-none-match': tag });
      expect([tag, status, body.length]).toEqual([tag, 304, 0]);
    }
    expect((await get(segment, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  test('the two encodings of a playlist have different tags', async () => {
    const plain = await get(media);
    const gzip = await get(media, { 'accept-encoding': 'gzip' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(gzip.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    expect(gzip.headers.etag).not.toBe(plain.headers.etag);
  });

  test.each([
    'hls/none.m3u8',
    'hls/none/media.m3u8',
    'hls/cam/none.ts',
    'hls/',
    'hls/a..b/c.m3u8',
    'nothing/here',
  ])('%s is a 404 with a code that any page may read', async (path) => {
    const { status, headers, body } = await get(path);
    expect(status).toBe(404);
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'access-control-allow-origin': '*',
    });
    expect(json(body)).toEqual({ code: 'SLUICE_HTTP_NOT_FOUND', message: expect.any(String) });
  });
});

// What clients resolve by themselves is sent by hand in test/faults/viewers.test.ts.
test.each(['hls/..%2f..%2fpackage.json', 'hls/..%5C', 'hls/cam%00.m3u8'])('%s is refused', async (path) => {
  const { status, body } = await get(path);
  expect(status).toBe(400);
  expect(json(body)).toEqual({ code: 'SLUICE_HTTP_BAD_REQUEST', message: expect.any(String) });
});

describe('the API', () => {
  test('says that the gateway is alive and ready', async () => {
    for (const [path, status] of [
      ['healthz', 'ok'],
      ['readyz', 'ready'],
    ] as const) {
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(response.headers['cache-control']).toBe('no-store');
      expect(json(response.body)).toEqual({ status });
    }
  });

  test('describes the gateway', async () => {
    expect(json((await get('api/server')).body)).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      rtmpPort: gateway.rtmpPort,
      defaultApp: 'live',
    });
  });

  test('describes a stream to everybody, but not where it is published from', async () => {
    await gateway.streamWhen('cam', ({ keyframeInterval }) => keyframeInterval !== null);
    const { headers, body } = await get('streams.json');
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=1',
      'access-control-allow-origin': '*',
    });
    expect(json(body)).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      rtmpPort: gateway.rtmpPort,
      defaultApp: 'live',
      streams: [
        {
          app: 'live',
          name: 'cam',
          state: 'live',
          hls: 'hls/cam.m3u8',
          startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
          uptime: expect.any(Number),
          bitrate: expect.any(Number),
          bytes: expect.any(Number),
          frameRate: expect.closeTo(25, 0),
          keyframeInterval: expect.closeTo(2, 1),
          targetDuration: 2,
          mediaSequence: expect.any(Number),
          tracks: [
            {
              id: 'v0',
              kind: 'video',
              codec: 'h264',
              codecString: expect.stringMatching(/^avc1\.[0-9a-f]{6}$/),
              width: 640,
              height: 360,
              frameRate: 25,
              inHls: true,
              policy: 'remux',
              conversion: null,
              error: null,
            },
            {
              id: 'a0',
              kind: 'audio',
              codec: 'aac',
              codecString: 'mp4a.40.2',
              sampleRate: 48000,
              channels: 2,
              inHls: true,
              policy: 'remux',
              conversion: null,
              error: null,
            },
          ],
          renditions: [],
          slate: false,
          health: 'good',
          warnings: [],
        },
      ],
    });
  });
});

test('the page comes with a policy that lets it load nothing from elsewhere', async () => {
  const { status, headers, body } = await get('');
  expect(status).toBe(200);
  expect(headers['content-type']).toMatch(/^text\/html/);
  expect(headers['content-security-policy']).toContain("default-src 'self'");
  expect(Buffer.from(body).toString()).toContain('<title>Sluice');
  const { headers: ofHls } = await get('vendor/hls.min.mjs');
  expect(ofHls['content-type']).toMatch(/javascript/);
});

test('everything works under a prefix of an app that has routes of its own', async () => {
  const embedded = createGateway({ host: '127.0.0.1', rtmp: { port: 0 } });
  // Answers that nobody reads to the end would hold its end up.
  const app = Fastify({ forceCloseConnections: true });
  app.get('/own', async () => ({ own: true }));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send('own 404'));
  await app.register(embedded.plugin, { prefix: '/tv' });
  const origin = await app.listen({ host: '127.0.0.1', port: 0 });
  const { rtmpPort, httpPort } = await embedded.start();
  expect(httpPort).toBeNull();
  if (rtmpPort === null) throw new Error('no RTMP port');

  const publisher = await publishPaced({ port: rtmpPort, key: 'cam', tags: readClip('h264_aac') });
  const playlist = `${origin}/tv/hls/cam.m3u8`;
  await until('the stream under the prefix', async () => (await fetch(playlist)).ok);
  const viewer = new Viewer(playlist);
  await viewer.validator.poll();
  expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
  expect(viewer.count).toBeGreaterThan(0);

  const page = await fetch(`${origin}/tv?stream=cam`);
  expect(page.url).toBe(`${origin}/tv/?stream=cam`);
  expect(await page.text()).toContain('<title>Sluice');
  expect((await fetch(`${origin}/tv/player.js`)).status).toBe(200);
  expect((await fetch(`${origin}/tv/vendor/hls.min.mjs`)).status).toBe(200);
  const streams = await (await fetch(`${origin}/tv/api/streams`)).json();
  expect(streams).toMatchObject({ streams: [{ name: 'cam', hls: 'hls/cam.m3u8' }] });
  expect((await fetch(`${origin}/tv/readyz`)).status).toBe(200);
  expect((await fetch(`${origin}/tv/nothing`)).headers.get('content-type')).toMatch(/json/);

  const own = await fetch(`${origin}/own`, { headers: { origin: 'https://player.example' } });
  expect(await own.json()).toEqual({ own: true });
  expect(own.headers.get('access-control-allow-origin')).toBeNull();
  expect(own.headers.get('content-security-policy')).toBeNull();
  expect(await (await fetch(`${origin}/nothing`)).text()).toBe('own 404');

  await publisher.stop();
  await embedded.close();
  await app.close();
});
