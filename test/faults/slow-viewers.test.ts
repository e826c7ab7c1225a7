import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rawRequest } from '../support/hls-validator/validator.ts';
import { isHeader, isVideo, readClip } from '../support/publish-clip.ts';
import { until } from '../support/until.ts';
import { Bystanders } from './support/bystanders.ts';
import { type ChildGateway, type Level, startChild } from './support/child-gateway.ts';
import { emptyKeyframe, type RawPublisher, rawPublisher } from './support/publishers.ts';
import { descriptorLimit, ENOUGH_DESCRIPTORS } from './support/sockets.ts';

// A thousand viewers that read 1 KB/s of a segment that is larger than what the kernel takes for a connection, so that
// the gateway has to keep a part of each answer.

const VIEWERS = 1000;
const BYTES_PER_SECOND = 1024;
const SECONDS = 3;
const IDLE_SECONDS = 6;
const MEGABYTE = 1024 * 1024;
/** 1.6 seconds, in keyframes of a megabyte: more than the 4 MB that the kernel holds for a connection. */
const SEGMENT_BYTES = 8 * MEGABYTE;
/** What the kernel needs for that, and all else. */
const ENOUGH_MEMORY = 5e9;
const STREAM = 'large';
/** For a thousand connections with an answer each; 32 and 53 MB measured. A copy of the segment each is 8 GB. */
const MOST = { held: 64e6, resident: 128e6 };
const enough = descriptorLimit >= ENOUGH_DESCRIPTORS && availableMemory() >= ENOUGH_MEMORY;

let gateway: ChildGateway;
let bystanders: Bystanders;
let before: Level;

beforeAll(async () => {
  gateway = await startChild({ http: { idleTimeout: IDLE_SECONDS }, publish: { graceWindow: 1 } });
  bystanders = await Bystanders.start(gateway);
  before = await gateway.level();
});
afterAll(async () => {
  await bystanders.leave();
  await gateway.stop();
});

const unread = () => gateway.log.filter(({ code }) => code === 'SLUICE_HTTP_UNREAD');

test.skipIf(!enough)(
  `${VIEWERS} viewers that read 1 KB/s share one segment and slow nobody down (needs ulimit -n ${ENOUGH_DESCRIPTORS} and 5 GB)`,
  async () => {
    const publisher = await publishLargeSegments();
    const path = await until('a large segment', firstSegment);
    const alone = await gateway.level();
    const mediaAlone = await mediaMemory();

    const viewers: SlowViewer[] = [];
    // The backlog of a listener is finite.
    while (viewers.length < VIEWERS) {
      const some = Array.from({ length: 50 }, () => new SlowViewer(gateway.httpPort, path).connected);
      viewers.push(...(await Promise.all(some)));
    }
    await until('all answers to be open', async () => (await openRequests()) >= VIEWERS);
    const crowded = await gateway.level();
    expect(crowded.held - alone.held).toBeLessThan(MOST.held);
    expect(crowded.resident - alone.resident).toBeLessThan(MOST.resident);
    // Not even one more copy: all of them are sent what is there.
    expect((await mediaMemory()) - mediaAlone).toBeLessThan(SEGMENT_BYTES);
    await bystanders.expectClean();
    await until('all to have read some', () =>
      viewers.every(({ received }) => received >= SECONDS * BYTES_PER_SECOND),
    );
    expect(viewers.filter(({ isClosed }) => isClosed)).toEqual([]);

    // The segment outlives its stream for them.
    publisher.session.stop();
    publisher.socket.end();
    await bystanders.expectClean();

    // At this pace it takes the kernel longer than the idle timeout to have room for more.
    const disconnected = () => unread().reduce((sum, { count = 1 }) => sum + count, 0);
    await until('all to be told of', () => disconnected() === VIEWERS, 4 * IDLE_SECONDS * 1000);
    const [first, ...others] = unread();
    expect(first).toMatchObject({
      level: 30,
      msg: 'viewer disconnected: it does not read what it asked for',
    });
    expect(others[0]?.msg).toMatch(/^\d+ more of this kind from 1 address in 10 s/);
    expect(others.length).toBeLessThanOrEqual(2);
    await bystanders.expectClean();
    for (const viewer of viewers) viewer.leave();
  },
);

test('they leave nothing behind', async () => {
  await gateway.expectLevel(before, { held: 4e6, resident: 48e6, withinMs: 20_000 });
  await bystanders.expectClean();
});

/** Sends some segments at once and then nothing more. */
async function publishLargeSegments(): Promise<RawPublisher> {
  const publisher = await rawPublisher(gateway.rtmpPort, STREAM);
  const [header] = readClip('h264_aac').filter((tag) => isVideo(tag) && isHeader(tag));
  if (header === undefined) throw new Error('the clip has no header');
  const body = emptyKeyframe(MEGABYTE);
  const pictures = Array.from({ length: 20 }, (_, n) => ({ ...header, timestamp: 200 * n, body }));
  publisher.send([header, ...pictures]);
  return publisher;
}

/** Path of the oldest large segment; null before it is there. */
async function firstSegment(): Promise<string | null> {
  const url = gateway.hls(STREAM).replace('.m3u8', '/media.m3u8');
  const { status, body } = await rawRequest(url, { method: 'GET', headers: {} });
  if (status !== 200) return null;
  const lines = Buffer.from(body).toString().split('\n');
  return `/hls/${STREAM}/${lines.find((line) => line.endsWith('.ts'))}`;
}

/** Without the one that asks. */
async function openRequests(): Promise<number> {
  return ((await gateway.metrics()).value('sluice_http_open_requests') ?? 0) - 1;
}

async function mediaMemory(): Promise<number> {
  return (await gateway.metrics()).value('sluice_media_memory_bytes', { state: 'used' }) ?? Number.NaN;
}

function availableMemory(): number {
  return Number(/MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}

/** Takes a kilobyte out of the kernel each second, and no more. */
class SlowViewer {
  readonly connected: Promise<this>;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  received = 0;
  isClosed = false;

  constructor(port: number, path: string) {
    const buffer = Buffer.alloc(BYTES_PER_SECOND);
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      onread: {
        buffer,
        callback: (count) => {
          this.received += count;
          return false;
        },
      },
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.isClosed = true;
    });
    this.#timer = setInterval(() => this.#socket.resume(), 1000);
    this.connected = new Promise((resolve) => {
      this.#socket.once('connect', () => {
        this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        resolve(this);
      });
    });
  }

  leave(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}
