import { afterAll, beforeAll, expect, test } from 'vitest';
import { MESSAGE } from '../../src/rtmp/message.ts';
import { isHeader, isVideo, readClip } from '../support/publish-clip.ts';
import { until } from '../support/until.ts';
import { Bystanders } from './support/bystanders.ts';
import { type ChildGateway, type Level, startChild } from './support/child-gateway.ts';
import { emptyKeyframe, publishNames, type RawPublisher, rawPublisher } from './support/publishers.ts';
import { closeAll, descriptorLimit, ENOUGH_DESCRIPTORS, openSockets } from './support/sockets.ts';

// What many publishers do together, or one as fast as it can.

const CONNECTIONS = 1000;
const NAMES = 1000;
/** What one connection may publish at a time. */
const NAMES_PER_CONNECTION = 8;
const MEGABYTE = 1024 * 1024;
const DOCTORS = new Set(['faster-than-real-time', 'upload-behind', 'upload-stalled']);
/** The most that one stream may hold. */
const CEILING = 1024 * MEGABYTE;

/** A stream is gone a window after it ended, 12 s; busy computers take longer to find out. */
const AFTERLIFE_MS = 40_000;

let gateway: ChildGateway;
let bystanders: Bystanders;
let before: Level;

beforeAll(async () => {
  gateway = await startChild({ rtmp: { handshakeTimeout: 4 }, publish: { graceWindow: 1 } });
  bystanders = await Bystanders.start(gateway);
  before = await gateway.level();
});
afterAll(async () => {
  await bystanders.leave();
  await gateway.stop();
});

const told = (code: string) => gateway.log.filter((line) => line.code === code);

test.skipIf(descriptorLimit < ENOUGH_DESCRIPTORS)(
  `${CONNECTIONS} connections that say nothing keep nobody out and are closed (needs ulimit -n ${ENOUGH_DESCRIPTORS})`,
  async () => {
    const silent = await openSockets(gateway.rtmpPort, CONNECTIONS);
    const newcomer = await rawPublisher(gateway.rtmpPort, 'newcomer');
    await Promise.all(silent.map(({ closed }) => closed));
    newcomer.socket.destroy();
    await gateway.expectLevel(before, { held: 4e6, resident: 48e6, withinMs: 10_000 });
    expect(told('SLUICE_RTMP_HANDSHAKE_TIMEOUT')).toMatchObject([
      { level: 40, msg: 'RTMP connection closed: no RTMP handshake in time' },
    ]);
    // With one publisher there is room for 999 of them, and the newcomer took the place of another.
    expect(told('SLUICE_RTMP_LIMIT')).toMatchObject([
      { level: 40, msg: 'RTMP connection closed: too many are open, and it has not published' },
    ]);
    await bystanders.expectClean();
  },
);

test('a publisher faster than anybody can play is cut off when it holds too much', async () => {
  const publisher = await rawPublisher(gateway.rtmpPort, 'flood');
  expect(await flood(publisher)).toBeGreaterThan(CEILING);
  await publisher.closed;
  const lines = gateway.warnings.filter(({ stream }) => stream === 'live/flood');
  // Where that takes long, the doctor has told it before what is wrong.
  expect(lines.filter(({ code }) => !DOCTORS.has(code ?? ''))).toMatchObject([
    { code: 'SLUICE_RTMP_LIMIT', msg: 'stream closed: the stream holds more bytes than its segments may' },
  ]);
  await bystanders.expectClean();
});

test(`${NAMES} names by one address: those beyond the limit are refused, and another address gets in`, async () => {
  const connections = [];
  for (let first = 0; first < NAMES; first += NAMES_PER_CONNECTION) {
    const names = Array.from({ length: NAMES_PER_CONNECTION }, (_, n) => `name-${first + n}`);
    connections.push(await publishNames(gateway.rtmpPort, names, 3));
  }
  const refused = () => gateway.log.filter(({ msg }) => msg.includes('publish refused'));
  await until('the limit to be reached', () => refused().length > 0);
  const begun = new Set(
    gateway.log.map(({ stream }) => stream).filter((stream) => stream?.includes('name-')),
  );
  // A bystander is the first of the thousand that there may be, and what flooded the gateway may not be gone yet.
  expect(begun.size).toBeGreaterThanOrEqual(NAMES - 2);
  await bystanders.expectClean();
  const newcomers = await Bystanders.start(gateway, { name: 'other', localAddress: '127.0.0.2' });
  await newcomers.expectClean();
  await bystanders.expectClean();
  await closeAll(connections);
  await newcomers.expectClean();
  await bystanders.expectClean();
  await newcomers.leave();
  expect(refused()).toHaveLength(1);
  expect(refused()).toMatchObject([{ level: 40, code: 'SLUICE_RTMP_LIMIT' }]);
  // The newest goes, and with it what else its connection published.
  const displaced = gateway.warnings.filter(({ msg }) => msg.startsWith('stream closed for one of another'));
  expect(displaced).toMatchObject([
    { code: 'SLUICE_RTMP_LIMIT', peer: '127.0.0.1', stream: expect.stringMatching(/^live\/name-99\d$/) },
  ]);
});

test('they leave nothing behind', { timeout: 2 * AFTERLIFE_MS }, async () => {
  await bystanders.expectClean();
  // They go as well: of the memory that the crowd needed some was given to them, and until they need no more of it than
  // they did before takes another half minute.
  await bystanders.leave();
  // After a gibibyte the C library keeps some of its heap: 43 to 120 MB measured, differently each time.
  await gateway.expectLevel(before, { held: 4e6, resident: 160e6, withinMs: AFTERLIFE_MS });
  // The silent ones are long gone; all but the first are one more line.
  if (descriptorLimit >= ENOUGH_DESCRIPTORS) {
    expect(told('SLUICE_RTMP_HANDSHAKE_TIMEOUT')[1]).toMatchObject({
      msg: expect.stringMatching(/^\d+ more of this kind from 1 address in 10 s/),
      count: expect.toSatisfy((count: number) => count > 900 && count < CONNECTIONS),
    });
  }
  expect(told('SLUICE_RTMP_HANDSHAKE_TIMEOUT').length).toBeLessThanOrEqual(2);
  const again = await rawPublisher(gateway.rtmpPort, 'afterwards');
  again.socket.destroy();
});

/** Keyframes of a megabyte as fast as the connection takes them. @returns how much the gateway took */
async function flood({ socket, session, closed, send }: RawPublisher): Promise<number> {
  const clip = readClip('h264_aac');
  send(clip.filter((tag) => isVideo(tag) && isHeader(tag)));
  const keyframe = emptyKeyframe(MEGABYTE);
  let sent = 0;
  for (let timestamp = 0; socket.writable && sent < 2 * CEILING; timestamp += 40) {
    session.sendMedia(MESSAGE.VIDEO, timestamp, keyframe);
    sent += keyframe.length;
    if (!socket.writableNeedDrain) continue;
    await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
  }
  return sent;
}
