import { afterEach, describe, expect, it } from 'vitest';
import { encodeAmf0 } from '../../../src/formats/amf/amf0.ts';
import type { AmfValue } from '../../../src/formats/amf/value.ts';
import { ChunkWriter } from '../../../src/rtmp/chunk-writer.ts';
import { command } from '../../../src/rtmp/message.ts';
import { hex } from '../../formats/amf/support.ts';
import { ChunkEncoder } from '../../rtmp/support/chunk-encoder.ts';
import { isFrame, isVideo, readClip } from '../../support/publish-clip.ts';
import {
  FAREWELL_MS,
  HANDSHAKE_TIMEOUT_MS,
  Harness,
  type HarnessOptions,
  IDLE_TIMEOUT_MS,
  Publisher,
} from './support/harness.ts';

let harness: Harness | null = null;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await Harness.start(options);
  return harness;
}

afterEach(async () => {
  await harness?.stop();
  harness = null;
});

function commands(...list: [streamId: number, ...values: AmfValue[]][]): Buffer {
  const encoder = new ChunkEncoder();
  return Buffer.concat(
    list.map(([streamId, ...values]) =>
      encoder.encode(3, { type: 20, timestamp: 0, streamId, body: encodeAmf0(values) }),
    ),
  );
}

const AUDIO = hex('04 000000 000004 08 01000000 af001190');

describe('publishing', () => {
  it('makes a stream, with the query kept out of its name', async () => {
    const h = await start();
    const publisher = await h.publisher('test?token=secret');
    expect(h.states).toEqual(['live/test live']);
    expect(h.registry.get('live', 'test')?.publisher).toMatchObject({
      address: '127.0.0.1',
      encoder: 'FMLE/3.0 (compatible; Sluice)',
      claims: { query: 'token=secret', tcUrl: 'rtmp://127.0.0.1/live', swfUrl: null, pageUrl: null },
    });
    publisher.session.sendMetadata({ audiocodecid: 10 });
    publisher.audio(200);
    await h.until(() => (h.packets.get('test') ?? 0) > 100);
    publisher.session.stop();
    await h.until(() => h.states.length === 2);
    expect(h.states).toEqual(['live/test live', 'live/test closed']);
    expect(h.log).toEqual([]);
  });

  it('delivers the last of a publisher that sends nothing more within a second', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    const clip = readClip('h264_only').slice(0, -4);
    for (const tag of clip) publisher.session.sendMedia(isVideo(tag) ? 9 : 8, tag.timestamp, tag.body);
    const frames = clip.filter(isFrame).length;
    await publisher.client.sync();
    expect(h.registry.get('live', 'test')?.stats.videoFrames).toBeLessThan(frames);
    expect(h.registry.get('live', 'test')?.queuedBytes).toBeGreaterThan(0);
    h.pass(1000);
    expect(h.registry.get('live', 'test')?.stats.videoFrames).toBe(frames);
    expect(h.registry.get('live', 'test')?.queuedBytes).toBe(0);
    expect(h.states).toEqual(['live/test live']);
  });

  it('takes the query in the application as well', async () => {
    const h = await start();
    await h.publisher('test', 'live/event?token=secret');
    expect(h.states).toEqual(['live/event/test live']);
  });

  it('keeps the stream key out of what the publisher has sent besides', async () => {
    const h = await start();
    h.authorize = () => 'cam';
    await h.publisher('', 'live/s3cret-key?again=s3cret-key');
    const publisher = h.registry.get('live', 'cam')?.publisher;
    expect(publisher?.claims).toMatchObject({
      query: 'again=cam',
      tcUrl: 'rtmp://127.0.0.1/live/cam?again=cam',
    });
    expect(JSON.stringify(publisher)).not.toContain('s3cret-key');
  });

  it('refuses a bad name with a status, closes after a while, and logs no key', async () => {
    const h = await start();
    const publisher = new Publisher(await h.client(), 'live', '../secret');
    expect(await publisher.refused).toBe('NetStream.Publish.Denied');
    expect(publisher.client.isClosed).toBe(false);
    h.clock.advance(FAREWELL_MS);
    expect(await publisher.client.closed).toBe(false);
    expect(h.codes()).toEqual(['SLUICE_RTMP_BAD_NAME']);
    expect(JSON.stringify(h.log)).not.toContain('secret');
    expect(h.states).toEqual([]);
  });

  it('goes on when a message is damaged, and says so once', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    for (let n = 0; n < 5; n++) publisher.session.sendMedia(9, n, hex('17'));
    publisher.audio(300);
    publisher.session.sendMetadata({ audiocodecid: 10 });
    await h.until(() => (h.packets.get('test') ?? 0) > 0);
    expect(h.codes()).toEqual(['SLUICE_FLV_MALFORMED']);
    expect(h.log[0]?.fields).toMatchObject({ peer: '127.0.0.1', stream: 'live/test' });
    expect(h.registry.get('live', 'test')?.stats.damagedMessages).toBe(5);
    expect(publisher.client.isClosed).toBe(false);
  });
});

describe('timeouts', () => {
  it.each([
    ['nothing', Buffer.alloc(0), 0],
    ['half of C1', Buffer.concat([hex('03'), Buffer.alloc(700)]), 0],
    ['no C2', Buffer.concat([hex('03'), Buffer.alloc(1536)]), 3073],
  ])('end a handshake that sends %s', async (_what, bytes, answer) => {
    const h = await start();
    const client = await h.client();
    client.socket.write(bytes);
    await client.receive(answer);
    await h.eventually(() => h.server.connectionCount === 1);
    h.pass(HANDSHAKE_TIMEOUT_MS);
    expect(h.log).toEqual([]);
    h.pass(1);
    await client.closed;
    expect(h.codes()).toEqual(['SLUICE_RTMP_HANDSHAKE_TIMEOUT']);
  });

  it('end a publisher without media', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    h.pass(IDLE_TIMEOUT_MS);
    expect(h.log).toEqual([]);
    h.pass(1);
    await publisher.client.closed;
    expect(h.codes()).toEqual(['SLUICE_RTMP_IDLE_TIMEOUT']);
    expect(h.states).toEqual(['live/test live', 'live/test closed']);
  });

  it('end a client that never publishes', async () => {
    const h = await start();
    const client = await h.client();
    await client.handshake();
    h.pass(IDLE_TIMEOUT_MS + 1);
    await client.closed;
    expect(h.codes()).toEqual(['SLUICE_RTMP_IDLE_TIMEOUT']);
  });

  it('count from the last media, whatever else comes', async () => {
    const h = await start();
    const client = await h.client();
    await client.handshake();
    const writer = new ChunkWriter();
    client.socket.write(writer.encode(command(0, 'connect', 1, { app: 'live' })));
    client.socket.write(writer.encode(command(1, 'publish', 2, null, 'quiet', 'live')));
    for (let n = 0; n < 5; n++) {
      client.socket.write(AUDIO);
      await client.sync();
      h.pass(9000);
    }
    expect(h.log).toEqual([]);
    // Pings of the client are no media.
    await client.sync();
    h.pass(IDLE_TIMEOUT_MS - 1000);
    expect(client.isClosed).toBe(false);
    await client.sync();
    h.pass(2000);
    await client.closed;
    expect(h.codes()).toEqual(['SLUICE_RTMP_IDLE_TIMEOUT']);
  });

  it('do not count media that belongs to no publication', async () => {
    const h = await start();
    const client = await h.client();
    await client.handshake();
    h.pass(IDLE_TIMEOUT_MS - 1000);
    client.socket.write(AUDIO);
    await client.sync();
    h.pass(2000);
    await client.closed;
    expect(h.codes()).toEqual(['SLUICE_RTMP_IDLE_TIMEOUT']);
  });

  it('come with pings', async () => {
    const h = await start();
    const client = await h.client();
    await client.handshake();
    h.pass(10_000);
    expect(client.received.length).toBe(0);
    h.pass(1);
    // Stream control event 6 with the age of the connection.
    expect(await client.receive(18)).toEqual(hex('02 000000 000006 04 00000000 0006 00002711'));
  });
});

describe('something else than RTMP', () => {
  it('gets a line of HTTP when it asks for a page', async () => {
    const h = await start({ httpPort: 8080 });
    const client = await h.client();
    client.socket.write('GET / HTTP/1.1\r\nHost: gateway.example:1935\r\n\r\n');
    expect(await client.closed).toBe(false);
    const [head, body] = client.received.toString().split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    expect(body).toBe(
      'This port speaks RTMP, not HTTP. The player page is at http://gateway.example:8080/\n',
    );
    expect(h.log).toEqual([
      {
        level: 'info',
        fields: { peer: '127.0.0.1', code: 'SLUICE_RTMP_NOT_RTMP' },
        message: 'HTTP request on the RTMP port',
      },
    ]);
  });

  it('gets no address where there is no page', async () => {
    const h = await start({ httpPort: null });
    const client = await h.client();
    client.socket.write('HEAD / HTTP/1.1\r\n\r\n');
    await client.closed;
    expect(client.received.toString()).toMatch(/This port speaks RTMP, not HTTP\.\n$/);
  });

  it.each([
    ['garbage', Buffer.alloc(5000, 0xa5)],
    ['TLS', hex('16 0301 0200 0100 01fc 0303')],
    ['SSH', Buffer.from('SSH-2.0-x\r\n')],
    ['one byte', hex('ff')],
  ])('is closed: %s, with exactly one log line', async (_what, bytes) => {
    const h = await start();
    const client = await h.client();
    client.socket.write(bytes);
    client.socket.write(bytes);
    await client.closed;
    await h.until(() => h.log.length > 0);
    expect(client.received.length).toBe(0);
    expect(h.log).toEqual([
      {
        level: 'warn',
        fields: { peer: '127.0.0.1', code: 'SLUICE_RTMP_NOT_RTMP' },
        message: expect.stringMatching(/^RTMP connection closed: /),
      },
    ]);
  });
});

describe('broken connections', () => {
  it.each([
    ['an impossible chunk', hex('c9'), 'SLUICE_RTMP_BAD_CHUNK'],
    ['a message that is too long', hex('04 000000 ffffff 09 01000000'), 'SLUICE_RTMP_LIMIT'],
    ['a chunk size of 1', hex('02 000000 000004 01 00000000 00000001'), 'SLUICE_RTMP_LIMIT'],
    ['half a command', hex('03 000000 000003 14 00000000 020005'), 'SLUICE_AMF_MALFORMED'],
    ['publish before connect', commands([1, 'publish', 1, null, 'x']), 'SLUICE_RTMP_BAD_MESSAGE'],
  ])('by %s are closed with one line and do not disturb others', async (_what, bytes, code) => {
    const h = await start();
    const other = await h.publisher('other');
    other.session.sendMetadata({ audiocodecid: 10 });
    other.audio(200);
    await h.until(() => (h.packets.get('other') ?? 0) > 0);
    const client = await h.client();
    await client.handshake();
    client.socket.write(bytes);
    await client.closed;
    expect(h.codes()).toEqual([code]);
    const before = h.packets.get('other') ?? 0;
    other.audio(200, 5000);
    await h.until(() => (h.packets.get('other') ?? 0) > before + 100);
    expect(h.states).toEqual(['live/other live']);
    expect(h.server.connectionCount).toBe(1);
  });

  it('end their stream', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    publisher.client.socket.write(hex('c9'));
    await publisher.client.closed;
    expect(h.states).toEqual(['live/test live', 'live/test closed']);
    expect(h.log.map(({ fields }) => fields)).toEqual([
      { peer: '127.0.0.1', code: 'SLUICE_RTMP_BAD_CHUNK', stream: 'live/test' },
    ]);
  });

  it('of peers that never read our answers are closed', async () => {
    const h = await start();
    const client = await h.client();
    await client.handshake();
    client.socket.pause();
    // The answers are many times as long as the questions; the socket buffers take some megabytes first.
    const question = commands([0, 'connect', 1, {}]);
    const questions = Buffer.alloc(question.length * 1000, question);
    const feed = () => {
      while (!client.socket.destroyed && client.socket.write(questions));
    };
    client.socket.on('drain', feed);
    feed();
    await h.until(() => h.log.length > 0);
    expect(h.codes()[0]).toBe('SLUICE_RTMP_LIMIT');
  });
});

describe('connections that go away', () => {
  it('by half close end their stream and are closed', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    publisher.client.socket.end();
    expect(await publisher.client.closed).toBe(false);
    await h.until(() => h.states.length === 2);
    expect(h.states).toEqual(['live/test live', 'live/test closed']);
    expect(h.log).toEqual([
      {
        level: 'info',
        message: 'RTMP connection lost',
        fields: expect.objectContaining({ stream: 'live/test', reason: 'closed without a goodbye' }),
      },
    ]);
  });

  it('by reset end their stream, with a line that is no warning', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    publisher.client.socket.resetAndDestroy();
    await h.until(() => h.states.length === 2);
    expect(h.states).toEqual(['live/test live', 'live/test closed']);
    expect(h.log.map(({ level }) => level)).toEqual(['info']);
    expect(h.log[0]?.message).toBe('RTMP connection lost');
  });

  it('of strangers are told in one line, and one for all that followed', async () => {
    const h = await start({ maxConnections: 30 });
    const clients = await Promise.all(Array.from({ length: 30 }, () => h.client()));
    await h.eventually(() => h.server.connectionCount === 30);
    h.pass(HANDSHAKE_TIMEOUT_MS + 1);
    await Promise.all(clients.map((client) => client.closed));
    expect(h.codes()).toEqual(['SLUICE_RTMP_HANDSHAKE_TIMEOUT']);
    h.clock.advance(10_000);
    expect(h.codes()).toEqual(['SLUICE_RTMP_HANDSHAKE_TIMEOUT', 'SLUICE_RTMP_HANDSHAKE_TIMEOUT']);
    expect(h.log.at(-1)).toMatchObject({
      fields: { count: 29 },
      message: expect.stringMatching(/^29 more of this kind from 1 address in 10 s/),
    });
  });

  it('of strangers give way to newer ones, those of publishers do not', async () => {
    const h = await start({ maxConnections: 3 });
    const publisher = await h.publisher('test');
    const oldest = await h.client();
    const silent = await h.client();
    await h.eventually(() => h.server.connectionCount === 3);
    const newer = await h.publisher('newer');
    await oldest.closed;
    expect(silent.isClosed).toBe(false);
    await h.publisher('newest');
    await silent.closed;
    const refused = await h.client();
    await refused.closed;
    expect([publisher, newer].map(({ client }) => client.isClosed)).toEqual([false, false]);
    expect(h.log.map(({ message }) => message)).toEqual([
      'RTMP connection closed: too many are open, and it has not published',
      'RTMP connection refused: 3 are open already',
    ]);
  });

  it('of an address that publishes in all of them keep no other address out', async () => {
    const h = await start({ maxConnections: 3 });
    const crowd = [await h.publisher('a'), await h.publisher('b'), await h.publisher('c')];
    const other = await h.publisher('other', 'live', '127.0.0.2');
    expect(crowd.map(({ client }) => client.isClosed)).toEqual([false, false, false]);
    // Whoever only connects displaces nobody, and gives way itself.
    const silent = await h.client('127.0.0.3');
    await crowd[2]?.client.closed;
    const next = await h.publisher('next', 'live', '127.0.0.4');
    await silent.closed;
    // The crowd has no more than others now.
    const refused = await h.client('127.0.0.1');
    await refused.closed;
    const publishers = [...crowd, other, next];
    expect(publishers.map(({ client }) => client.isClosed)).toEqual([false, false, true, false, false]);
    expect(h.log.map(({ message }) => message)).toEqual([
      'RTMP connection closed: 3 are open already, and most are of this address',
      'RTMP connection closed: too many are open, and it has not published',
      'RTMP connection refused: 3 are open already',
    ]);
  });

  it('make room for others', async () => {
    const h = await start({ maxConnections: 1 });
    const first = await h.publisher('one');
    const refused = await h.client();
    await refused.closed;
    expect(h.codes()).toEqual(['SLUICE_RTMP_LIMIT']);
    expect(h.server.connectionCount).toBe(1);
    first.client.socket.destroy();
    await h.until(() => h.states.length === 2);
    await h.eventually(() => h.server.connectionCount === 0);
    await h.publisher('two');
    expect(h.states).toEqual(['live/one live', 'live/one closed', 'live/two live']);
  });
});

describe('two publishers of one name', () => {
  it('newest: the old one is told and closed, the new one goes on', async () => {
    const h = await start({ takeover: 'newest' });
    const old = await h.publisher('test');
    old.session.sendMetadata({ audiocodecid: 10 });
    old.audio(200);
    await h.until(() => (h.packets.get('test') ?? 0) > 0);
    const young = await h.publisher('test');
    expect(await old.refused).toBe('NetStream.Publish.BadName');
    old.audio(200, 5000);
    young.session.sendMetadata({ audiocodecid: 10 });
    const before = h.packets.get('test') ?? 0;
    young.audio(200);
    await h.until(() => (h.packets.get('test') ?? 0) > before + 100);
    h.clock.advance(FAREWELL_MS);
    // By an end or a reset: some of its media may still be on its way.
    await old.client.closed;
    expect(young.client.isClosed).toBe(false);
    expect(h.states.filter((state) => state !== 'live/test live')).toEqual([]);
    expect(h.registry.get('live', 'test')?.state).toBe('live');
  });

  it('newest, in one connection: nobody is left over', async () => {
    const h = await start({ takeover: 'newest' });
    const client = await h.client();
    await client.handshake();
    client.socket.write(
      commands(
        [0, 'connect', 1, { app: 'live' }],
        [1, 'publish', 2, null, 'test'],
        [2, 'publish', 3, null, 'test'],
      ),
    );
    await h.until(() => h.states.at(-1) === 'live/test closed');
    h.clock.advance(FAREWELL_MS);
    await client.closed;
    expect(h.registry.list()).toEqual([]);
  });

  it('reject: the new one is told and closed, the old one goes on', async () => {
    const h = await start({ takeover: 'reject' });
    const old = await h.publisher('test');
    const young = new Publisher(await h.client(), 'live', 'test');
    expect(await young.refused).toBe('NetStream.Publish.BadName');
    h.clock.advance(FAREWELL_MS);
    expect(await young.client.closed).toBe(false);
    expect(h.codes()).toEqual(['SLUICE_RTMP_NAME_IN_USE']);
    old.session.sendMetadata({ audiocodecid: 10 });
    old.audio(200);
    await h.until(() => (h.packets.get('test') ?? 0) > 100);
    expect(h.states).toEqual(['live/test live']);
    old.session.stop();
    await h.until(() => h.states.length === 2);
    await h.publisher('test');
    expect(h.states.at(-1)).toBe('live/test live');
  });
});

describe('the server', () => {
  it('dismisses publishers when it is closed, and waits for them', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    const stranger = await h.client();
    await stranger.handshake();
    const closed = h.server.close();
    expect(await publisher.refused).toBe('NetConnection.Connect.AppShutdown');
    h.clock.advance(FAREWELL_MS);
    await closed;
    await publisher.client.closed;
    await stranger.closed;
    expect(h.states.at(-1)).toBe('live/test closed');
    expect(h.server.connectionCount).toBe(0);
    expect(h.server.port).toBeNull();
    await h.server.close();
  });

  it('keeps its connections when it only stops listening', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    h.server.stopListening();
    h.server.stopListening();
    await expect(h.client()).rejects.toThrow();
    publisher.session.sendMetadata({ audiocodecid: 10 });
    publisher.audio(200);
    await h.until(() => (h.packets.get('test') ?? 0) > 100);
    const closed = h.server.close();
    h.clock.advance(FAREWELL_MS);
    await closed;
    expect(h.server.connectionCount).toBe(0);
  });

  it('can be closed again while the last sockets are still closing', async () => {
    const h = await start();
    const publisher = await h.publisher('test');
    h.server.stopListening();
    const closes = [h.server.close(), h.server.close()];
    h.clock.advance(FAREWELL_MS);
    await publisher.client.closed;
    await Promise.all([...closes, h.server.close()]);
    expect(h.server.connectionCount).toBe(0);
    await h.server.close();
  });

  it('says which port it cannot have', async () => {
    const h = await start();
    const second = h.another();
    expect(await second.listen(h.port, '127.0.0.1').catch((error: unknown) => error)).toMatchObject({
      code: 'SLUICE_PORT_UNAVAILABLE',
      message: expect.stringContaining(`port ${h.port}`),
    });
    expect(second.port).toBeNull();
    await second.close();
  });
});
