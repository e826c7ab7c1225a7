import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChunkWriter } from '../../src/rtmp/chunk-writer.ts';
import { command, MESSAGE } from '../../src/rtmp/message.ts';
import { HlsValidator } from '../support/hls-validator/validator.ts';
import { readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { Bystanders } from './support/bystanders.ts';
import { type ChildGateway, type Level, startChild } from './support/child-gateway.ts';
import { rawPublisher } from './support/publishers.ts';

// What single publishers do, all at once on one gateway.

/** More than the first segment of the clip. */
const SOME_SECONDS = readClip('h264_aac').filter((tag) => tag.timestamp < 2500);
/** What the log says of every stream. */
const USUAL = ['publishing', 'media', 'no publisher, waiting for one', 'stream ended'];
/** Of a message of 4096 bytes, the header and a part. */
const HALF_A_MESSAGE = Buffer.concat([Buffer.from('040000000010000901000000', 'hex'), Buffer.alloc(100)]);

let gateway: ChildGateway;
let bystanders: Bystanders;
let before: Level;

beforeAll(async () => {
  gateway = await startChild({ rtmp: { idleTimeout: 4 }, publish: { graceWindow: 1 } });
  bystanders = await Bystanders.start(gateway);
  before = await gateway.level();
});
afterAll(async () => {
  await bystanders.leave();
  await gateway.stop();
});

/** Waits for the end of a stream; returns what the log says of it beside the usual. */
async function linesOf(name: string): Promise<(string | undefined)[]> {
  const own = () => gateway.log.filter(({ stream }) => stream === `live/${name}`);
  await until(`the end of ${name}`, () => own().some(({ msg }) => msg === 'stream ended'));
  // The beginning and the end of a stream have the same lines whatever happens.
  expect(own().map(({ msg }) => msg)).toEqual(expect.arrayContaining(USUAL));
  return own()
    .filter(({ msg }) => !USUAL.includes(msg))
    .map(({ msg, code }) => code ?? msg);
}

describe.concurrent('a publisher that', () => {
  test('stalls in the middle of a message is disconnected', async () => {
    const publisher = await rawPublisher(gateway.rtmpPort, 'stalls');
    publisher.send(SOME_SECONDS);
    publisher.socket.write(HALF_A_MESSAGE);
    await publisher.closed;
    expect(await linesOf('stalls')).toEqual(['SLUICE_RTMP_IDLE_TIMEOUT']);
    await bystanders.expectClean();
  });

  test('resets its connection in the middle of a message leaves a stream that ends', async () => {
    const publisher = await rawPublisher(gateway.rtmpPort, 'resets');
    publisher.send(SOME_SECONDS);
    publisher.socket.write(HALF_A_MESSAGE, () => publisher.socket.resetAndDestroy());
    expect(await linesOf('resets')).toEqual(['RTMP connection lost']);
    await bystanders.expectClean();
  });

  test('half-closes is disconnected at once', async () => {
    const publisher = await rawPublisher(gateway.rtmpPort, 'half-closes');
    publisher.send(SOME_SECONDS);
    publisher.socket.end(HALF_A_MESSAGE);
    await publisher.closed;
    expect(await linesOf('half-closes')).toEqual(['RTMP connection lost']);
    expect(gateway.log).toContainEqual(
      expect.objectContaining({ stream: 'live/half-closes', reason: 'closed without a goodbye' }),
    );
    await bystanders.expectClean();
  });

  test.each([
    ['of a message', '04 000000 ffffff 09 01000000', 'SLUICE_RTMP_LIMIT'],
    ['of a chunk', '02 000000 000004 01 00000000 00000001', 'SLUICE_RTMP_LIMIT'],
    ['of a string in a command', '03 000000 000005 14 00000000 02ffff6162', 'SLUICE_AMF_MALFORMED'],
  ])('lies about the length %s is disconnected', async (what, bytes, code) => {
    const name = `lies-${what.replaceAll(' ', '-')}`;
    const publisher = await rawPublisher(gateway.rtmpPort, name);
    publisher.send(SOME_SECONDS);
    publisher.socket.write(Buffer.from(bytes.replaceAll(' ', ''), 'hex'));
    await publisher.closed;
    expect(await linesOf(name)).toEqual([code]);
    await bystanders.expectClean();
  });

  test.each([
    ['of a picture', MESSAGE.VIDEO, '2701000000 00ffffff 41', 'SLUICE_FLV_MALFORMED'],
    ['of a decoder configuration', MESSAGE.VIDEO, '1700000000 0142c01effe1ffff', 'SLUICE_CODEC_MALFORMED'],
    ['of a sound', MESSAGE.AUDIO, 'af', 'SLUICE_FLV_MALFORMED'],
  ])('lies about the length %s loses that message', async (what, type, bytes, code) => {
    const name = `loses-${what.replaceAll(' ', '-')}`;
    const publisher = await rawPublisher(gateway.rtmpPort, name);
    publisher.send(SOME_SECONDS);
    for (let n = 0; n < 100; n++)
      publisher.session.sendMedia(type, 2500, Buffer.from(bytes.replaceAll(' ', ''), 'hex'));
    publisher.session.stop();
    publisher.socket.end();
    expect(await linesOf(name)).toEqual([code, 'damaged-media']);
    await bystanders.expectClean();
  });

  test('sends one byte at a time is a publisher like others', async () => {
    const bytes: Buffer[] = [];
    const publisher = await rawPublisher(gateway.rtmpPort, 'bytes', (socket, some) => {
      bytes.push(some);
      if (bytes.length === 1) void trickle();
      async function trickle(): Promise<void> {
        for (let next = bytes[0]; next !== undefined; next = bytes[0]) {
          for (let n = 0; n < next.length; n++) {
            socket.write(next.subarray(n, n + 1));
            if (n % 256 === 255) await nextTurn();
          }
          bytes.shift();
        }
      }
    });
    publisher.send(SOME_SECONDS);
    await until('all bytes to be sent', () => bytes.length === 0);
    const validator = new HlsValidator(gateway.hls('bytes'));
    await until('a segment', async () => (await fetch(gateway.hls('bytes'))).ok);
    await validator.poll();
    expect(validator.errors, validator.summary().text).toEqual([]);
    expect(validator.summary().variants).toMatchObject([{ segments: 1 }]);
    publisher.session.stop();
    await until('the goodbye to be sent', () => bytes.length === 0);
    publisher.socket.end();
    // It does no harm: the lines of every stream, once each, and no other.
    expect(await linesOf('bytes')).toEqual([]);
    const own = gateway.log.filter(({ stream }) => stream === 'live/bytes');
    expect(own.map(({ level, msg }) => ({ level, msg }))).toEqual(USUAL.map((msg) => ({ level: 30, msg })));
    await bystanders.expectClean();
  });

  test('floods the gateway with commands is disconnected when it does not read the answers', async () => {
    const publisher = await rawPublisher(gateway.rtmpPort, 'commands');
    publisher.send(SOME_SECONDS);
    publisher.socket.pause();
    const writer = new ChunkWriter();
    const questions = Buffer.concat(
      Array.from({ length: 500 }, () => writer.encode(command(0, 'connect', 1, { app: 'live' }))),
    );
    const feed = () => {
      while (!publisher.socket.destroyed && publisher.socket.write(questions));
    };
    publisher.socket.on('drain', feed);
    feed();
    await publisher.closed;
    expect(await linesOf('commands')).toEqual(['SLUICE_RTMP_LIMIT']);
    await bystanders.expectClean();
  });
});

test('they leave nothing behind', async () => {
  await gateway.expectLevel(before, { held: 4e6, resident: 48e6, withinMs: 20_000 });
  await bystanders.expectClean();
});
