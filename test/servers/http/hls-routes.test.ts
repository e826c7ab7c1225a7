import { gunzipSync } from 'node:zlib';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HlsPackager } from '../../../src/packaging/hls-packager.ts';
import { hlsRoutes } from '../../../src/servers/http/hls-routes.ts';
import { WaitingRequests } from '../../../src/servers/http/waiting-requests.ts';
import { OPEN_ACCESS } from '../../support/open-access.ts';
import { publishClip, Studio } from '../../support/publish-clip.ts';

let app: FastifyInstance;
let ended: HlsPackager;
const begun = new Studio().packager;

beforeAll(async () => {
  ended = (await publishClip('h264_aac')).packager;
  app = Fastify();
  // As @fastify/cors does in somebody's app.
  app.addHook('onRequest', async ({ headers }, reply) => {
    if (headers.origin !== undefined) reply.header('vary', 'Origin');
  });
  const streams = new Map([
    ['live/test', [ended]],
    // Published anew a moment ago: the new stream has no segment yet.
    ['live/again', [begun, ended]],
    ['live/empty', [begun]],
  ]);
  hlsRoutes(app, {
    defaultApp: 'live',
    find: (application, name) => streams.get(`${application}/${name}`) ?? [],
    access: OPEN_ACCESS,
    waiting: new WaitingRequests(),
    onRequest: () => {},
    onWanted: () => false,
  });
});
afterAll(() => app.close());

function get(url: string, headers: Record<string, string> = {}) {
  return app.inject({ url, headers });
}

describe('playlists', () => {
  it.each([
    ['gzip', true],
    ['br, gzip;q=0.5', true],
    ['gzip;q=0', false],
    ['gzip; q=0.0, identity', false],
    ['identity', false],
    ['', false],
  ])('Accept-Encoding "%s": gzip %s', async (accept, zipped) => {
    const plain = await get('/hls/test/media.m3u8');
    const answer = await get('/hls/test/media.m3u8', { 'accept-encoding': accept });
    expect(answer.headers['content-encoding']).toBe(zipped ? 'gzip' : undefined);
    expect(answer.headers.vary).toBe('Accept-Encoding');
    const body = zipped ? gunzipSync(answer.rawPayload) : answer.rawPayload;
    expect(body.toString()).toBe(plain.body);
    const again = await get('/hls/test/media.m3u8', {
      'accept-encoding': accept,
      'if-none-match': String(answer.headers.etag),
    });
    expect(again.statusCode).toBe(304);
    expect(again.body).toBe('');
  });

  it('what an app lets its answers vary by stays', async () => {
    const { headers } = await get('/hls/test/media.m3u8', { origin: 'https://example.org' });
    expect(headers.vary).toBe('Origin, Accept-Encoding');
  });

  it('of a stream without a segment are not there yet', async () => {
    // Not even where an ended stream of the name is still remembered: its ENDLIST would end the new one.
    for (const path of ['empty.m3u8', 'empty/media.m3u8', 'empty/x.ts', 'nobody.m3u8', 'again.m3u8']) {
      const answer = await get(`/hls/${path}`);
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ code: 'SLUICE_HTTP_NOT_FOUND' });
    }
  });
});

describe('segments', () => {
  const uri = () => ended.rendition.window.segments[0]?.uri ?? '';

  it('are immutable, whole or in one range', async () => {
    const whole = await get(`/hls/again/${uri()}`);
    expect(whole.headers).toMatchObject({
      'content-type': 'video/mp2t',
      'cache-control': 'public, max-age=31536000, immutable',
      'accept-ranges': 'bytes',
      etag: `"${uri()}"`,
    });
    const size = whole.rawPayload.length;
    expect(size % 188).toBe(0);
    const range = async (value: string) => {
      const answer = await get(`/hls/test/${uri()}`, { range: value });
      return [answer.statusCode, answer.headers['content-range'], answer.rawPayload.length];
    };
    expect(await range('bytes=0-187')).toEqual([206, `bytes 0-187/${size}`, 188]);
    expect(await range('bytes=-188')).toEqual([206, `bytes ${size - 188}-${size - 1}/${size}`, 188]);
    expect(await range(`bytes=${size}-`)).toEqual([416, `bytes */${size}`, 0]);
    expect(await range('bytes=0-1,5-6')).toEqual([200, undefined, size]);
    expect(await range('lines=1-2')).toEqual([200, undefined, size]);
  });
});
