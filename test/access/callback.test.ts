import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askCallback, type CallbackQuestion } from '../../src/access/callback.ts';

const QUESTION: CallbackQuestion = {
  action: 'publish',
  app: 'live',
  name: 'test',
  address: '192.0.2.1',
  query: 'user=a&pass=b%20c',
};

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Callback {
  readonly url: string;
  readonly requests: { readonly request: IncomingMessage; readonly body: string }[];
}

async function callback(answer: RequestListener): Promise<Callback> {
  const requests: Callback['requests'] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    requests.push({ request, body });
    answer(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/ask?from=sluice`, requests };
}

function ask(url: string, onError: 'deny' | 'allow' = 'deny', timeout = 5) {
  return askCallback({ url, actions: ['publish'], timeout, onError }, QUESTION);
}

describe('the callback', () => {
  it('gets the question as JSON, at the address that was given', async () => {
    const { url, requests } = await callback((_request, response) => response.end());
    await ask(url);
    const [{ request, body } = expect.unreachable('nobody asked')] = requests;
    expect(request).toMatchObject({ method: 'POST', url: '/ask?from=sluice' });
    expect(request.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'sluice' });
    expect(request.headers).not.toHaveProperty('authorization');
    expect(JSON.parse(body)).toEqual(QUESTION);
  });

  it('gets user and password of the address as HTTP knows them', async () => {
    const { url, requests } = await callback((_request, response) => response.end());
    const verdict = await ask(url.replace('//', '//me:p%40ss%20w%C3%B6rd@'));
    expect(verdict).toEqual({ allowed: true, failed: null });
    const authorization = requests[0]?.request.headers.authorization ?? '';
    expect(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()).toBe('me:p@ss wörd');
  });

  it.each([
    [200, true],
    [201, true],
    [204, true],
    [302, false],
    [304, false],
    [400, false],
    [401, false],
    [403, false],
    [404, false],
    [429, false],
  ])('%i: allowed %s, whatever onError says', async (status, allowed) => {
    const { url, requests } = await callback((_request, response) =>
      response.writeHead(status, { location: '/elsewhere' }).end(),
    );
    expect(await ask(url, 'deny')).toEqual({ allowed, failed: null });
    expect(await ask(url, 'allow')).toEqual({ allowed, failed: null });
    // A redirect would take the question to somebody who was not configured.
    expect(requests.map(({ request }) => request.url)).toEqual(Array(2).fill('/ask?from=sluice'));
  });

  it.each([500, 502, 503, 599])('%i is a failure that onError decides', async (status) => {
    const { url } = await callback((_request, response) => response.writeHead(status).end('trouble'));
    const failed = `it answered ${status}`;
    expect(await ask(url, 'deny')).toEqual({ allowed: false, failed });
    expect(await ask(url, 'allow')).toEqual({ allowed: true, failed });
  });

  it('that never answers has failed when the time is over, and is not waited for', async () => {
    let gone = 0;
    const { url } = await callback((request) => request.socket.once('close', () => gone++));
    const failed = 'no answer within 0.05 s';
    expect(await ask(url, 'deny', 0.05)).toEqual({ allowed: false, failed });
    expect(await ask(url, 'allow', 0.05)).toEqual({ allowed: true, failed });
    await expect.poll(() => gone).toBe(2);
  });

  it('that answers late but in time counts', async () => {
    const { url } = await callback((_request, response) => setTimeout(() => response.end(), 50));
    expect(await ask(url)).toEqual({ allowed: true, failed: null });
  });

  it('that closes the connection has failed', async () => {
    const { url } = await callback((request) => request.socket.destroy());
    expect(await ask(url, 'deny')).toMatchObject({
      allowed: false,
      failed: expect.stringContaining('the request failed'),
    });
    expect(await ask(url, 'allow')).toMatchObject({ allowed: true });
  });

  it('that does not speak HTTP has failed', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.end('220 ready\r\n', () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await ask(`http://127.0.0.1:${port}/`)).toMatchObject({
      allowed: false,
      failed: expect.stringMatching(/^the request failed/),
    });
    await new Promise((resolve) => server.close(resolve));
  });

  it('may send a body without end: it is not read', async () => {
    let written = 0;
    let gone = false;
    const { url } = await callback((_request, response) => {
      const piece = Buffer.alloc(64 * 1024);
      const more = () => {
        while (!gone && written < 1e9) {
          written += piece.length;
          if (!response.write(piece)) return;
        }
      };
      response.on('drain', more).once('close', () => {
        gone = true;
      });
      more();
    });
    expect(await ask(url)).toEqual({ allowed: true, failed: null });
    await expect.poll(() => gone).toBe(true);
    // What fits into the buffers of two sockets.
    expect(written).toBeLessThan(50_000_000);
  });

  it('that breaks off in its body has answered', async () => {
    const { url } = await callback((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('part', () => response.destroy());
    });
    expect(await ask(url)).toEqual({ allowed: true, failed: null });
  });

  it('never has its address in what is reported', async () => {
    const { url } = await callback((request) => request.socket.destroy());
    const nobody = 'http://user:hunter2@127.0.0.1:2/secret-path';
    for (const address of [
      url.replace('//', '//user:hunter2@').replace('/ask', '/secret-path'),
      nobody,
      'http://user:hunter2@nowhere.invalid/secret-path',
      'http://user:hunter2%zz@127.0.0.1:2/secret-path',
      'https://user:hunter2@127.0.0.1:2/secret-path',
    ]) {
      const { allowed, failed } = await ask(address);
      expect(allowed).toBe(false);
      expect(failed).toMatch(/^the request failed( \([A-Z_]+\))?$/);
    }
    expect((await ask(nobody)).failed).toBe('the request failed (ECONNREFUSED)');
  });
});
