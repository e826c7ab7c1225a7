import { once } from 'node:events';
import { connect } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, it } from 'vitest';
import type { HlsPackager } from '../../../src/packaging/hls-packager.ts';
import { gatewayPlugin } from '../../../src/servers/http/gateway-plugin.ts';
import { countRequests, RequestCounters } from '../../../src/servers/http/request-counters.ts';
import { pluginOptions } from '../../support/plugin-options.ts';
import { publishClip } from '../../support/publish-clip.ts';
import { until } from '../../support/until.ts';

const apps: FastifyInstance[] = [];
afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

async function start(packager: HlsPackager) {
  const options = pluginOptions();
  const app = Fastify({ forceCloseConnections: true });
  apps.push(app);
  const find = (_app: string, name: string) => (name === 'test' ? [packager] : []);
  await app.register(
    gatewayPlugin({ ...options, hls: { ...options.hls, find, onRequest: () => {}, onWanted: () => false } }),
  );
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, counters: options.counters };
}

it('every request is counted once, by what it asked for, with the bytes of its body', async () => {
  const { packager } = await publishClip('h264_aac');
  const { url, counters } = await start(packager);
  const segment = packager.rendition.window.segments[0]?.uri ?? '';
  const expected = {
    playlist: [0, 0],
    segment: [0, 0],
    picture: [0, 0],
    page: [0, 0],
    api: [0, 0],
    not_found: [0, 0],
  };
  const ask = async (kind: keyof typeof expected, path: string, init: RequestInit = {}) => {
    const response = await fetch(url + path, init);
    const body = await response.arrayBuffer();
    expected[kind][0] = (expected[kind][0] ?? 0) + 1;
    expected[kind][1] = (expected[kind][1] ?? 0) + body.byteLength;
  };
  const plain = { headers: { 'accept-encoding': 'identity' } };
  await ask('playlist', '/hls/test.m3u8', plain);
  await ask('playlist', '/hls/test/media.m3u8?token=x.ts', plain);
  await ask('playlist', '/hls/test/media.m3u8', { ...plain, headers: { 'if-none-match': '*' } });
  await ask('segment', `/hls/test/${segment}`, plain);
  await ask('segment', `/hls/test/${segment}?x=.m3u8`, { headers: { range: 'bytes=0-187' } });
  await ask('segment', `/hls/test/${segment}`, { method: 'HEAD' });
  await ask('page', '/', plain);
  await ask('page', '/player.js', plain);
  await ask('page', '/streams.json', plain);
  await ask('api', '/api/streams', plain);
  await ask('api', '/metrics', plain);
  await ask('not_found', '/nothing', plain);
  await ask('not_found', '/hls/nobody.m3u8', plain);
  await ask('not_found', '/api/nothing', plain);
  await until('the last answer to be counted', async () => counters.open === 0);
  const counted = Object.entries(counters.byKind).map(([kind, { requests, bytes }]) => [
    kind,
    [requests, bytes],
  ]);
  expect(Object.fromEntries(counted)).toEqual(expected);
});

it('a client that hangs up leaves nothing open, and its bytes are not counted', async () => {
  const counters = new RequestCounters();
  const app = Fastify({ forceCloseConnections: true });
  apps.push(app);
  countRequests(app, counters, () => 'segment');
  let asked = () => {};
  const arrived = new Promise<void>((resolve) => {
    asked = resolve;
  });
  app.get('/slow', (_request, reply) => {
    reply.raw.writeHead(200, { 'content-length': '1000' }).write('begin');
    asked();
    return reply.hijack();
  });
  const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
  const socket = connect(Number(url.port), '127.0.0.1');
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await arrived;
  expect(counters.open).toBe(1);
  socket.destroy();
  await once(socket, 'close');
  await until('the request to be given up', async () => counters.open === 0);
  expect(counters.byKind.segment).toEqual({ requests: 1, bytes: 0 });
});

it('a client that hangs up with answers outstanding one behind the other leaves nothing open', async () => {
  const counters = new RequestCounters();
  const app = Fastify({ forceCloseConnections: true });
  apps.push(app);
  countRequests(app, counters, () => 'segment');
  app.get('/slow', (_request, reply) => {
    reply.raw.writeHead(200, { 'content-length': '1000' }).write('begin');
    return reply.hijack();
  });
  const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
  const socket = connect(Number(url.port), '127.0.0.1');
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
  await until('all of them to be asked', async () => counters.open === 3);
  socket.destroy();
  await until('the requests to be given up', async () => counters.open === 0);
  expect(counters.byKind.segment).toEqual({ requests: 3, bytes: 0 });
});
