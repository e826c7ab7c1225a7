import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { platform } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { sharedReads } from '../../../src/servers/rtmp/shared-reads.ts';

let server: Server | null = null;

afterEach(async () => {
  if (server === null) return;
  const closed = once(server, 'close');
  server.close();
  await closed;
  server = null;
});

/** Two connections, client and accepted end of each. */
async function connections(take?: () => null): Promise<[Socket, Socket][]> {
  const beginReads = sharedReads(take);
  const accepted: Socket[] = [];
  server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(beginReads(socket));
    server?.emit('begun');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pairs: [Socket, Socket][] = [];
  for (let n = 0; n < 2; n++) {
    const client = connect(port, '127.0.0.1');
    await once(server, 'begun');
    const [end] = accepted.slice(-1);
    if (end !== undefined) pairs.push([client, end]);
  }
  return pairs;
}

async function received(client: Socket, end: Socket, text: string): Promise<Buffer> {
  const data = once(end, 'data');
  client.write(text);
  const [bytes] = await data;
  return bytes;
}

async function close(pairs: readonly [Socket, Socket][]): Promise<void> {
  await Promise.all(
    pairs.map(([client, end]) => {
      const closed = end.closed ? null : once(end, 'close');
      client.destroy();
      return closed;
    }),
  );
}

// Where Node changes what this builds on, the gateway goes on with Node's own reads, and this test says so.
it.skipIf(platform() === 'win32')('reads all sockets into the same memory', async () => {
  const pairs = await connections();
  const reads = [];
  for (const [client, end] of pairs) {
    const bytes = await received(client, end, 'hello');
    expect(bytes.toString()).toBe('hello');
    reads.push(bytes);
  }
  expect(reads[0]?.buffer).toBe(reads[1]?.buffer);
  expect(reads[0]?.byteOffset).toBe(reads[1]?.byteOffset);
  await close(pairs);
});

it('gives sockets that answer, know their peer, and end when it does', async () => {
  const pairs = await connections();
  for (const [client, end] of pairs) {
    expect(end.remoteAddress).toBe('127.0.0.1');
    end.write('answer');
    const [answer] = await once(client, 'data');
    expect(answer.toString()).toBe('answer');
    const ended = once(end.resume(), 'end');
    client.end('goodbye');
    await ended;
  }
  await close(pairs);
});

it('reads as Node does where a socket keeps its handle', async () => {
  const pairs = await connections(() => null);
  const reads = [];
  for (const [client, end] of pairs) reads.push(await received(client, end, 'hello'));
  expect(reads.map(String)).toEqual(['hello', 'hello']);
  expect(reads[0]?.buffer).not.toBe(reads[1]?.buffer);
  await close(pairs);
});
