import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startDemo } from '../../../src/servers/rtmp/demo-publisher.ts';
import { publishRtmp } from '../../../src/servers/rtmp/rtmp-publisher.ts';
import { Harness } from './support/harness.ts';

let harness: Harness | null = null;
let bare: Server | null = null;
const accepted: Socket[] = [];

async function start(): Promise<Harness> {
  harness = await Harness.start({ takeover: 'reject' });
  return harness;
}

/** A server that does with its sockets what the test says; returns its port. */
async function serve(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    handle(socket);
  });
  bare = server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

afterEach(async () => {
  await harness?.stop();
  harness = null;
  for (const socket of accepted.splice(0)) socket.destroy();
  bare?.close();
  bare = null;
});

describe('publishRtmp', () => {
  it('publishes until it is stopped', async () => {
    const h = await start();
    const publisher = await publishRtmp({ host: '127.0.0.1', port: h.port, app: 'live', key: 'test' });
    publisher.metadata({ audiocodecid: 10 });
    publisher.audio(0, Buffer.from('af001190', 'hex'));
    for (let n = 0; n < 200; n++) {
      publisher.audio(Math.round((n * 64) / 3), Buffer.from('af01211004608c1c', 'hex'));
    }
    await publisher.drained();
    await h.until(() => (h.packets.get('test') ?? 0) > 100);
    await publisher.stop();
    await publisher.closed;
    await h.until(() => h.states.length === 2);
    expect(h.states).toEqual(['live/test live', 'live/test closed']);
    expect(h.log).toEqual([]);
  });

  it('can be cut off', async () => {
    const h = await start();
    const publisher = await publishRtmp({ host: '127.0.0.1', port: h.port, app: 'live', key: 'test' });
    publisher.abort();
    await publisher.closed;
    await h.until(() => h.states.length === 2);
    expect(h.log.map(({ message }) => message)).toEqual(['RTMP connection lost']);
  });

  it('fails with what the server says', async () => {
    const h = await start();
    await h.publisher('test');
    await expect(publishRtmp({ host: '127.0.0.1', port: h.port, app: 'live', key: 'test' })).rejects.toThrow(
      /^NetStream\.Publish\.BadName: live\/test already has a publisher\./,
    );
  });

  it('fails when nobody listens', async () => {
    const h = await start();
    const { port } = h;
    h.server.stopListening();
    await expect(publishRtmp({ host: '127.0.0.1', port, app: 'live', key: 'test' })).rejects.toThrow(
      /ECONNREFUSED/,
    );
  });

  it('fails when the server closes', async () => {
    const port = await serve((socket) => socket.end());
    await expect(publishRtmp({ host: '127.0.0.1', port, app: 'live', key: 'test' })).rejects.toThrow();
  });

  it('fails when the server breaks the protocol', async () => {
    // S0 S1 S2, then fmt 3 on a chunk stream that nobody has used.
    const port = await serve((socket) =>
      socket.write(Buffer.concat([Buffer.alloc(3073, 3), Buffer.of(0xc9)])),
    );
    await expect(publishRtmp({ host: '127.0.0.1', port, app: 'live', key: 'test' })).rejects.toMatchObject({
      code: 'SLUICE_RTMP_BAD_CHUNK',
    });
  });
});

describe('startDemo', () => {
  it('fails when it is refused', async () => {
    const h = await start();
    await expect(startDemo({ host: '127.0.0.1', port: h.port, app: 'live', key: '..' })).rejects.toThrow(
      /NetStream\.Publish\.Denied/,
    );
  });

  it('is a publisher like any other', async () => {
    const h = await start();
    // Its pace is an interval, which the harness holds: only the connection is looked at here.
    await startDemo({ host: '127.0.0.1', port: h.port, app: 'live', key: 'demo' });
    expect(h.states).toEqual(['live/demo live']);
    expect(h.registry.get('live', 'demo')?.publisher?.encoder).toContain('Sluice');
  });
});
