import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect as connectHttp2, Http2ServerResponse } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { BLOCK_BYTES, BlockPool } from '../../../src/media/block-pool.ts';
import { BodyWriter, type SegmentBody } from '../../../src/media/segment-body.ts';
import { sendBody } from '../../../src/servers/http/send-body.ts';

const SIZE = 20 * BLOCK_BYTES + 1234;
const BYTES = Buffer.from(
  Uint32Array.from({ length: SIZE / 2 }, (_, index) => index * 2654435761).buffer,
).subarray(0, SIZE);

const apps: FastifyInstance[] = [];

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

/** A server that sends `BYTES`, or a part of them, from a pool of its own. */
async function serve(prepare: (app: FastifyInstance) => void = () => {}, http2 = false) {
  const pool = new BlockPool();
  const writer = new BodyWriter(pool);
  const app = (http2 ? Fastify({ http2 }) : Fastify({ forceCloseConnections: true })) as FastifyInstance;
  apps.push(app);
  prepare(app);
  const body = (): SegmentBody => {
    writer.write(BYTES.buffer, 0, BYTES.length);
    return writer.take();
  };
  app.get('/whole', (request, reply) => sendBody(request, reply, body(), 0, SIZE));
  app.get('/part', (request, reply) => sendBody(request, reply, body(), 40_000, 300_000));
  app.get('/nothing', (request, reply) => sendBody(request, reply, body(), 5, 5));
  app.get('/left', (request, reply) => {
    const answer = sendBody(request, reply, body(), 0, SIZE);
    if (reply.raw instanceof Http2ServerResponse) reply.raw.stream.destroy();
    else reply.raw.destroy();
    return answer;
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { pool, port, url: `http://127.0.0.1:${port}` };
}

async function read(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('sendBody', () => {
  it.each([
    ['whole', 0, SIZE],
    ['part', 40_000, 300_000],
    ['nothing', 5, 5],
  ])('sends the %s and gives the memory back', async (name, start, end) => {
    const { pool, url } = await serve();
    const response = await fetch(`${url}/${name}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(BYTES.subarray(start, end))).toBe(true);
    expect(response.headers.get('content-length')).toBe(String(end - start));
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('answers HEAD with the length only', async () => {
    const { pool, url } = await serve();
    const response = await fetch(`${url}/whole`, { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe(String(SIZE));
    expect((await response.arrayBuffer()).byteLength).toBe(0);
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('keeps the memory for a viewer that does not read, and has it back when it leaves', async () => {
    const { pool, port } = await serve();
    const viewer = connect(port, '127.0.0.1');
    await once(viewer, 'connect');
    viewer.pause();
    // More than the kernel takes for somebody who does not read.
    const count = 16;
    viewer.write('GET /whole HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count));
    await expect.poll(() => pool.bytesInUse).toBeGreaterThan(BYTES.length);
    viewer.resetAndDestroy();
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('sends what stands in line on a connection one after the other', async () => {
    const { pool, port } = await serve();
    const viewer = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    viewer.on('data', (chunk) => chunks.push(chunk));
    viewer.write('GET /whole HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(14));
    viewer.write('GET /part HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await once(viewer, 'close');
    const all = Buffer.concat(chunks);
    let position = 0;
    for (const expected of [...Array<Buffer>(14).fill(BYTES), BYTES.subarray(40_000, 300_000)]) {
      const start = all.indexOf('\r\n\r\n', position) + 4;
      expect(all.subarray(start, start + expected.length).equals(expected)).toBe(true);
      position = start + expected.length;
    }
    expect(position).toBe(all.length);
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('never sends what was written into the memory afterwards', { timeout: 30_000 }, async () => {
    // More than the kernel takes at once, so that a part of it waits in the memory.
    const size = 200 * BLOCK_BYTES + 1;
    const pool = new BlockPool();
    const writer = new BodyWriter(pool);
    const app = Fastify({ forceCloseConnections: true });
    apps.push(app);
    app.get<{ Params: { fill: string } }>('/:fill', (request, reply) => {
      const bytes = Buffer.alloc(size, Number(request.params.fill));
      writer.write(bytes.buffer, bytes.byteOffset, bytes.byteOffset + bytes.length);
      return sendBody(request, reply, writer.take(), 0, size);
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    let whole = 0;
    /** Asks for one body after the other; reads slowly, or leaves in the middle of one. */
    const watch = async (viewer: number) => {
      for (let turn = 0; turn < 4; turn++) {
        const fill = (viewer * 4 + turn) % 256;
        const socket = connect(port, '127.0.0.1');
        socket.write(`GET /${fill} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        const leavesAfter = viewer % 3 === 0 ? 1_000_000 * turn : Number.POSITIVE_INFINITY;
        let head = '';
        let received = 0;
        let wrong = 0;
        for await (const chunk of socket as AsyncIterable<Buffer>) {
          let body = chunk;
          if (!head.includes('\r\n\r\n')) {
            const text = chunk.toString('latin1');
            const end = text.indexOf('\r\n\r\n');
            head += text.slice(0, end + 4);
            body = chunk.subarray(end + 4);
          }
          received += body.length;
          if (!body.equals(Buffer.alloc(body.length, fill))) wrong++;
          if (received > leavesAfter) break;
          if (viewer % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        socket.destroy();
        expect(wrong).toBe(0);
        if (received === size) whole++;
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, viewer) => watch(viewer)));
    expect(whole).toBeGreaterThanOrEqual(8 * 4);
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('leaves with the headers that hooks have set, and unchanged by those that change answers', async () => {
    const { pool, url } = await serve((app) => {
      app.addHook('onRequest', async (_request, reply) => void reply.header('x-app', 'here'));
      app.addHook('onSend', async () => 'something else');
    });
    const response = await fetch(`${url}/whole`);
    expect(response.headers.get('x-app')).toBe('here');
    expect(Buffer.from(await response.arrayBuffer()).equals(BYTES)).toBe(true);
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('is an error, and no more, where the app has set a header that cannot be sent', async () => {
    const { pool, url } = await serve((app) =>
      app.addHook('onRequest', async ({ url }, reply) => {
        if (url === '/whole') reply.header('x-app', 'two\nlines');
      }),
    );
    expect((await fetch(`${url}/whole`)).status).toBe(500);
    expect((await fetch(`${url}/part`)).status).toBe(200);
    await expect.poll(() => pool.bytesInUse).toBe(0);
  });

  it('is answered to the end before hooks on finished answers hear of it', async () => {
    const statuses: number[] = [];
    const { pool, url } = await serve((app) =>
      app.addHook('onResponse', async (_request, reply) => void statuses.push(reply.statusCode)),
    );
    await (await fetch(`${url}/part`)).arrayBuffer();
    await expect.poll(() => statuses).toEqual([200]);
    expect(pool.bytesInUse).toBe(0);
  });

  it('answers when all requests that came together are read', async () => {
    const asked: boolean[] = [];
    const raws: ServerResponse[] = [];
    const { port } = await serve((app) =>
      app.addHook('onRequest', (_request, { raw }, done) => {
        raws.push(raw);
        asked.push(raws.some(({ writableEnded }) => writableEnded));
        done();
      }),
    );
    const viewer = connect(port, '127.0.0.1');
    viewer.write('GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
    await expect.poll(() => raws.filter(({ writableEnded }) => writableEnded).length).toBe(3);
    viewer.destroy();
    expect(asked).toEqual([false, false, false]);
  });

  it('sends nothing to a client that has left in the meantime', async () => {
    const { pool, port, url } = await serve();
    const viewer = connect(port, '127.0.0.1');
    let received = 0;
    viewer.on('data', ({ length }) => (received += length)).on('error', () => {});
    viewer.write('GET /left HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(viewer, 'close');
    expect(received).toBe(0);
    await expect.poll(() => pool.bytesInUse).toBe(0);
    expect((await fetch(`${url}/part`)).status).toBe(200);
  });

  it('sends nothing over HTTP/2 to a client that has left in the meantime', async () => {
    const { url } = await serve(undefined, true);
    const session = connectHttp2(url);
    expect(await read(session.request({ ':path': '/left' }))).toEqual(Buffer.alloc(0));
    expect(await read(session.request({ ':path': '/part' }))).toEqual(BYTES.subarray(40_000, 300_000));
    session.close();
  });

  it('copies for HTTP/2', async () => {
    const { pool, url } = await serve(undefined, true);
    const session = connectHttp2(url);
    const bytes = await read(session.request({ ':path': '/part' }));
    session.close();
    expect(bytes.equals(BYTES.subarray(40_000, 300_000))).toBe(true);
    expect(pool.bytesInUse).toBe(0);
  });
});
