import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAmf0, encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { ERRORS, SluiceError } from '../../src/media/errors.ts';
import { ChunkReader } from '../../src/rtmp/chunk-reader.ts';
import { PublishSession } from '../../src/rtmp/publish-session.ts';
import { type PublishRequest, ServerSession } from '../../src/rtmp/server-session.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { ChunkEncoder, filled, split } from './support/chunk-encoder.ts';
import { Recorder } from './support/peer.ts';

const OPTIONS = { app: 'live', key: 'test?token=x', tcUrl: 'rtmp://h/live' };

/** Both sides with a wire between them that cuts the bytes into pieces of the given sizes. */
function connected(decide: (request: PublishRequest) => void, sizes: readonly number[] = [100_000]) {
  const events: string[] = [];
  const wire: [to: 'client' | 'server', bytes: Buffer][] = [];
  const put = (to: 'client' | 'server') => (bytes: Buffer) => {
    for (const piece of split(bytes, sizes)) wire.push([to, piece]);
  };
  const client = new PublishSession(OPTIONS, {
    write: put('server'),
    ready: () => events.push('ready'),
    refused: (code, description) => events.push(`${code}: ${description}`),
  });
  const server = new ServerSession({
    congested: () => false,
    write: put('client'),
    publish: decide,
    close: () => events.push('close'),
  });
  const run = () => {
    for (let next = wire.shift(); next !== undefined; next = wire.shift()) {
      const [to, bytes] = next;
      (to === 'client' ? client : server).push(bytes);
    }
  };
  client.start();
  run();
  return { client, server, events, run };
}

describe('against ServerSession', () => {
  it('is accepted, and its media arrives as it was sent, in any pieces', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            type: fc.constantFrom<8 | 9>(8, 9),
            timestamp: fc.oneof(fc.constantFrom(0, 0xfffffe, 0xffffff, 0xffffffff), fc.nat(0xffffffff)),
            length: fc.oneof(fc.constantFrom(0, 4095, 4096, 4097), fc.nat(9000)),
          }),
          { maxLength: 8 },
        ),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 4 }),
        (media, sizes) => {
          const recorder = new Recorder();
          const { client, events, run } = connected((request) => request.accept(recorder), sizes);
          expect(events).toEqual(['ready']);
          for (const { type, timestamp, length } of media) client.sendMedia(type, timestamp, filled(length));
          client.sendMetadata({ videocodecid: 7 });
          client.stop();
          run();
          expect(recorder.heard).toEqual([
            ...media.map(({ type, timestamp, length }) => [
              type === 8 ? 'audio' : 'video',
              timestamp,
              filled(length).toString('hex'),
            ]),
            ['data', { name: 'onMetaData', values: [{ videocodecid: 7 }] }],
            ['end'],
          ]);
          expect(events).toEqual(['ready']);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('asks for what it was told to', () => {
    const requests: PublishRequest[] = [];
    const { events } = connected((request) => requests.push(request));
    expect(requests).toMatchObject([
      { app: 'live', key: 'test?token=x', encoder: 'FMLE/3.0 (compatible; Sluice)' },
    ]);
    expect(events).toEqual([]);
  });

  it('says why it was refused', () => {
    const error = new SluiceError('SLUICE_RTMP_NAME_IN_USE', 'live/test already has a publisher');
    const { events } = connected((request) => request.reject(error));
    expect(events).toEqual([
      'close',
      `NetStream.Publish.BadName: live/test already has a publisher. ${error.advice}`,
    ]);
  });

  it('hears of its dismissal', () => {
    const { server, events, run } = connected((request) => request.accept(new Recorder()));
    server.dismiss('SLUICE_RTMP_REPLACED');
    run();
    expect(events).toEqual(['ready', 'close', `NetStream.Publish.BadName: ${ERRORS.SLUICE_RTMP_REPLACED}`]);
  });

  it('answers pings and sends nothing after stop', () => {
    const recorder = new Recorder();
    const { client, server, run } = connected((request) => request.accept(recorder));
    server.ping(7);
    run();
    client.stop();
    client.sendMedia(8, 0, hex('af01'));
    client.sendMetadata({});
    client.stop();
    run();
    expect(recorder.heard).toEqual([['end']]);
    expect(server.mediaMessages).toBe(0);
  });
});

describe('against other servers', () => {
  /** A client after its handshake, and what it writes from then on. */
  function client() {
    const written: Buffer[] = [];
    const events: string[] = [];
    const session = new PublishSession(OPTIONS, {
      write: (bytes) => written.push(bytes),
      ready: () => events.push('ready'),
      refused: (code, description) => events.push(`${code}: ${description}`),
    });
    session.start();
    session.push(Buffer.concat([hex('03'), filled(3072)]));
    const encoder = new ChunkEncoder();
    const say = (streamId: number, ...values: Parameters<typeof encodeAmf0>[0]) =>
      session.push(encoder.encode(3, { type: 20, timestamp: 0, streamId, body: encodeAmf0(values) }));
    return { session, written, events, say, encoder };
  }

  it('writes C0 C1, then C2 and connect like OBS, then what OBS sends back to back', () => {
    const { written, say } = client();
    expect(written.slice(0, 2).map((bytes) => bytes.length)).toEqual([1537, 1536]);
    expect(written[1]?.equals(filled(3072).subarray(0, 1536))).toBe(true);
    expect(written[2]).toEqual(hex('02 000000 000004 01 00000000 00001000'));
    say(0, '_result', 1, {}, {});
    say(0, '_result', 4, null, 7);
    const commands: unknown[] = [];
    const reader = new ChunkReader(({ streamId, body }) => commands.push([streamId, ...decodeAmf0(body)]));
    for (const bytes of written.slice(2)) reader.push(bytes);
    expect(commands).toEqual([
      [0, 'connect', 1, expect.objectContaining({ app: 'live', type: 'nonprivate', tcUrl: 'rtmp://h/live' })],
      [0, 'releaseStream', 2, null, 'test?token=x'],
      [0, 'FCPublish', 3, null, 'test?token=x'],
      [0, 'createStream', 4, null],
      [7, 'publish', 5, null, 'test?token=x', 'live'],
    ]);
  });

  it('answers a ping, acknowledges megabytes, ignores the rest', () => {
    const { session, written, encoder } = client();
    written.length = 0;
    session.push(hex('02 000000 000006 04 00000000 0006 00000009'));
    session.push(hex('02 000000 000006 04 00000000 0000 00000001'));
    session.push(hex('02 000000 000002 04 00000000 0006'));
    expect(written).toEqual([hex('02 000000 000006 04 00000000 0007 00000009')]);
    session.push(encoder.encode(6, { type: 9, timestamp: 0, streamId: 1, body: Buffer.alloc(1_300_000) }));
    expect(written.length).toBe(2);
    expect(written[1]?.subarray(0, 12)).toEqual(hex('02 000000 000004 03 00000000'));
  });

  it('reports a refused connect', () => {
    const { say, events } = client();
    say(0, '_error', 1, null, { code: 'NetConnection.Connect.Rejected', description: 'no' });
    expect(events).toEqual(['NetConnection.Connect.Rejected: no']);
  });

  it('is not content with a createStream without an id', () => {
    const { say } = client();
    expect(failure(() => say(0, '_result', 4, null, null))).toBe('SLUICE_RTMP_BAD_MESSAGE');
  });
});
