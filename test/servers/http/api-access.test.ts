import { once } from 'node:events';
import { connect } from 'node:net';
import cors from '@fastify/cors';
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { gatewayPlugin } from '../../../src/servers/http/gateway-plugin.ts';
import { pluginOptions } from '../../support/plugin-options.ts';

const TOKEN = 'tok-3f9a7c';
const apps: FastifyInstance[] = [];
afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

async function start(token: string | null, prefix = '') {
  const options = pluginOptions();
  const kicked: string[] = [];
  const denials: string[] = [];
  const app = Fastify();
  apps.push(app);
  await app.register(
    gatewayPlugin({
      ...options,
      standalone: prefix === '',
      incidents: { ...options.incidents, denied: (peer, code) => denials.push(`${peer} ${code}`) },
      api: {
        ...options.api,
        token: () => token,
        kick: (application, name) => kicked.push(`${application}/${name}`) > 0,
      },
    }),
    { prefix },
  );
  return { app, kicked, denials, counters: options.counters };
}

const GUARDED = ['/api', '/api/', '/api/server', '/api/streams', '/api/streams/a/b', '/api/nothing'];
GUARDED.push('/api/openapi.json', '/metrics');
const OPEN = ['/streams.json', '/healthz', '/readyz', '/'];

describe('with a token configured', () => {
  it.each([
    ['none', undefined],
    ['a wrong one', 'Bearer tok-3f9a7d'],
    ['another scheme', `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}`],
    ['it in the wrong place', TOKEN],
  ])('a request with %s is told to bring one, wherever it comes from', async (_what, authorization) => {
    const { app, counters, denials } = await start(TOKEN);
    for (const url of GUARDED) {
      const answer = await app.inject({ url, headers: authorization === undefined ? {} : { authorization } });
      expect(answer.statusCode, url).toBe(401);
      expect(answer.headers).toMatchObject({ 'www-authenticate': 'Bearer', 'cache-control': 'no-store' });
      expect(answer.json()).toMatchObject({ code: 'SLUICE_API_UNAUTHORIZED' });
      expect(answer.body).not.toContain(TOKEN);
    }
    expect(counters.denied).toBe(GUARDED.length);
    expect(denials).toEqual(GUARDED.map(() => '127.0.0.1 SLUICE_API_UNAUTHORIZED'));
  });

  it('the token opens everything, from anywhere and through proxies', async () => {
    const { app, kicked, counters } = await start(TOKEN);
    const headers = {
      authorization: `Bearer ${TOKEN}`,
      host: 'live.example',
      'x-forwarded-for': '192.0.2.1',
    };
    const from = { headers, remoteAddress: '192.0.2.7' };
    expect((await app.inject({ ...from, url: '/api/server' })).statusCode).toBe(200);
    expect((await app.inject({ ...from, url: '/metrics' })).statusCode).toBe(200);
    expect((await app.inject({ ...from, url: '/api/nothing' })).statusCode).toBe(404);
    const kick = await app.inject({ ...from, method: 'DELETE', url: '/api/streams/live/cam' });
    expect(kick.statusCode).toBe(202);
    expect(kicked).toEqual(['live/cam']);
    expect(counters.denied).toBe(0);
  });

  it('a token in the query is none', async () => {
    const { app } = await start(TOKEN);
    for (const name of ['token', 'access_token']) {
      expect((await app.inject({ url: `/api/server?${name}=${TOKEN}` })).statusCode).toBe(401);
    }
  });
});

describe('without a token', () => {
  const local: InjectOptions = { url: '/api/streams', headers: { host: 'localhost:8080' } };

  it.each<[string, InjectOptions]>([
    ['IPv4', { remoteAddress: '127.0.0.1' }],
    ['another IPv4 loopback address', { remoteAddress: '127.8.9.10' }],
    ['IPv6', { remoteAddress: '::1', headers: { host: '[::1]:8080' } }],
    ['IPv4 on a dual-stack socket', { remoteAddress: '::ffff:127.0.0.1' }],
    ['a Host without port', { headers: { host: 'LOCALHOST' } }],
    ['a Host that is an address', { headers: { host: '127.0.0.1:1' } }],
    ['a link on some page', { headers: { host: 'localhost', 'sec-fetch-site': 'cross-site' } }],
  ])('this computer is let in: %s', async (_how, request) => {
    const { app } = await start(null);
    expect((await app.inject({ ...local, ...request })).statusCode).toBe(200);
  });

  it.each<[string, InjectOptions]>([
    ['from another computer', { remoteAddress: '192.0.2.1' }],
    ['from another computer over IPv6', { remoteAddress: '2001:db8::1' }],
    ['from an address that only looks alike', { remoteAddress: '::ffff:192.0.2.127' }],
    ['that a proxy passes on', { headers: { host: 'localhost', 'x-forwarded-for': '127.0.0.1' } }],
    ['that a proxy passes on, RFC 7239', { headers: { host: 'localhost', forwarded: 'for=127.0.0.1' } }],
    ['that nginx passes on', { headers: { host: 'localhost', 'x-real-ip': '127.0.0.1' } }],
    ['that a cache passes on', { headers: { host: 'localhost', via: '1.1 varnish' } }],
    ['for another name', { headers: { host: 'rebound.example' } }],
    ['for a name that begins alike', { headers: { host: 'localhost.rebound.example' } }],
    ['for a name that ends alike', { headers: { host: 'x-localhost' } }],
    ['for an address that begins alike', { headers: { host: '127.0.0.1.rebound.example' } }],
    ['for credentials in the Host', { headers: { host: 'localhost@rebound.example' } }],
  ])('a request is refused %s', async (_how, request) => {
    const { app, counters } = await start(null);
    for (const url of GUARDED) {
      const answer = await app.inject({ ...local, ...request, url });
      expect(answer.statusCode, url).toBe(403);
      expect(answer.json()).toMatchObject({
        code: 'SLUICE_API_LOOPBACK_ONLY',
        message: expect.stringContaining('api.token'),
      });
    }
    expect(counters.denied).toBe(GUARDED.length);
  });

  it.each([
    [{}, 202],
    [{ origin: 'http://localhost:8080', 'sec-fetch-site': 'same-origin' }, 202],
    [{ origin: 'https://localhost:8080' }, 202],
    [{ origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }, 403],
    [{ origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
  ])('a page can end a stream only when it is ours: %j', async (headers, status) => {
    const { app, kicked } = await start(null);
    const answer = await app.inject({
      method: 'DELETE',
      url: '/api/streams/live/cam',
      headers: { host: 'localhost:8080', ...headers },
    });
    expect(answer.statusCode).toBe(status);
    expect(kicked).toHaveLength(status === 202 ? 1 : 0);
  });

  it('what an app that trusts proxies takes for the client’s address is not believed', async () => {
    const app = Fastify({ trustProxy: true });
    apps.push(app);
    await app.register(gatewayPlugin({ ...pluginOptions(), standalone: false }), { prefix: '/tv' });
    const headers = { host: 'localhost', 'x-forwarded-for': '127.0.0.1' };
    const answer = await app.inject({ url: '/tv/api/streams', remoteAddress: '192.0.2.1', headers });
    expect(answer.statusCode).toBe(403);
  });

  it.each([
    ['HTTP/1.0, as nginx does by default', 'GET /api/streams HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', 403],
    ['HTTP/1.0 without a Host', 'GET /metrics HTTP/1.0\r\n\r\n', 403],
    ['HTTP/1.1', 'GET /api/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n', 200],
    [
      'an absolute address',
      'GET http://localhost/api/streams HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n',
      403,
    ],
    ['a second slash', 'GET //api/streams HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n', 404],
  ])('over a socket, %s', async (_how, request, status) => {
    const { app } = await start(null);
    const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
    const socket = connect(Number(url.port), '127.0.0.1');
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString();
    });
    socket.write(request);
    await once(socket, 'close');
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });
});

describe('under a prefix', () => {
  it('the same rule holds', async () => {
    const { app } = await start(TOKEN, '/tv');
    for (const url of GUARDED) expect((await app.inject(`/tv${url}`)).statusCode, url).toBe(401);
    for (const url of OPEN) expect((await app.inject(`/tv${url}`)).statusCode, url).toBe(200);
  });
});

describe('other sites', () => {
  const page = { origin: 'https://player.example', host: 'localhost' };

  it('may read what is open to everybody', async () => {
    const { app } = await start(null);
    for (const url of [...OPEN, '/hls/none.m3u8', '/nothing']) {
      const { headers } = await app.inject({ url, headers: page });
      expect(headers['access-control-allow-origin'], url).toBe('*');
    }
  });

  it.each([null, TOKEN])('cannot read the API (token: %s)', async (token) => {
    const { app } = await start(token);
    for (const url of GUARDED) {
      for (const method of ['GET', 'OPTIONS'] as const) {
        const preflight = { ...page, 'access-control-request-method': 'GET' };
        const { headers } = await app.inject({ url, method, headers: preflight });
        expect(headers['access-control-allow-origin'], `${method} ${url}`).toBeUndefined();
      }
    }
  });

  it('cannot read it either where the app around lets them read all the rest', async () => {
    const app = Fastify();
    apps.push(app);
    await app.register(cors, { origin: '*' });
    await app.register(gatewayPlugin({ ...pluginOptions(), standalone: false }), { prefix: '/tv' });
    const api = await app.inject({ url: '/tv/api/streams', headers: page });
    expect(api.statusCode).toBe(200);
    expect(api.headers['access-control-allow-origin']).toBeUndefined();
    const open = await app.inject({ url: '/tv/streams.json', headers: page });
    expect(open.headers['access-control-allow-origin']).toBe('*');
  });
});
