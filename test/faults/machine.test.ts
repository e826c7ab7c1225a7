import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import type { StreamView } from '../../src/servers/http/stream-view.ts';
import { temporaryDirectory } from '../storage/support/folder.ts';
import type { RequestFunction } from '../support/hls-validator/validator.ts';
import { type PacedPublisher, publishPaced } from '../support/paced-publisher.ts';
import { readClip, repeated } from '../support/publish-clip.ts';
import { until } from '../support/until.ts';
import { Bystanders } from './support/bystanders.ts';
import { type ChildGateway, type Level, type LogLine, startChild } from './support/child-gateway.ts';
import { rawPublisher } from './support/publishers.ts';
import { closeAll, openSocket, type RawSocket } from './support/sockets.ts';

// What happens to the computer, or to the process.

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How often the disk store looks for files of no stream. */
const SWEEP_INTERVAL_MS = 60_000;
/** Segments in a playlist that is full. */
const LISTED = 6;
const BLOCK_MS = 500;
/** What the gateway may still open when descriptors run out, and how many connections come. */
const ROOM = 20;
const CONNECTIONS = 200;
/** Of a gateway that knows its limit from the start: it leaves 40 for HTTP, and as many for RTMP. */
const FEW_DESCRIPTORS = 160;

/** A stream whose addresses are signed. */
const SIGNED = { app: 'members', name: 'signed' };
const SECRET = 'sixteen characters and some';
/** Ten seconds each; more than these tests take. */
const ROUNDS = 30;
const TOLERANCE = { held: 4e6, resident: 48e6, withinMs: 15_000 };

/** One connection for all requests, as players have: a new one finds no descriptor. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

let gateway: ChildGateway;
let bystanders: Bystanders;
let signed: PacedPublisher;
let before: Level;

beforeAll(async () => {
  gateway = await startChild({
    rtmp: { handshakeTimeout: 2 },
    applications: { [SIGNED.app]: { play: { secrets: [SECRET] } } },
  });
  signed = await publishPaced({
    port: gateway.rtmpPort,
    app: SIGNED.app,
    key: SIGNED.name,
    tags: repeated(readClip('h264_aac'), ROUNDS),
  });
  bystanders = await Bystanders.start(gateway, { request: askOnOneConnection });
  await until('the signed stream', async () => (await statusOfSigned(Date.now())) === 200);
  before = await gateway.level();
});
afterAll(async () => {
  await bystanders.leave();
  await signed.stop();
  agent.destroy();
  await gateway.stop();
});

test('the system clock steps an hour forward', async () => {
  const now = Date.now();
  expect(await statusOfSigned(now + HOUR_MS / 2)).toBe(200);
  await stepClock(HOUR_MS, 'stepped by +3600.0 s');
  // Addresses end by the clock on the wall, whose dates they have.
  expect(await statusOfSigned(now + HOUR_MS / 2)).toBe(403);
  expect(await statusOfSigned(now + 1.5 * HOUR_MS)).toBe(200);
});

test(`the event loop stands still for ${BLOCK_MS} ms`, async () => {
  await gateway.block(BLOCK_MS);
  const told = () => gateway.warnings.filter(({ msg }) => msg.startsWith('nothing happened for'));
  await until('the line', () => told().length > 0);
  await bystanders.expectClean();
  await bystanders.expectClean();
  expect(told().length).toBeLessThanOrEqual(2);
  await gateway.expectLevel(before, TOLERANCE);
});

test('no file descriptor is left', async () => {
  const lines = gateway.warnings.length;
  const { descriptors } = await gateway.level();
  gateway.limitDescriptors(descriptors + ROOM);
  const sockets = await openCrowd(gateway);
  const told = () => gateway.warnings.slice(lines).filter((line) => line.code !== undefined);
  await until('the line', () => told().length > 0);
  expect(told()).toMatchObject([
    {
      code: 'SLUICE_DESCRIPTORS_EXHAUSTED',
      msg: 'no file descriptor is left: new connections are closed at once',
    },
  ]);
  await bystanders.expectClean();
  await closeAll(sockets);
  await gateway.expectLevel(before, TOLERANCE);
  // It lets others in again, with no more descriptors than before.
  const publisher = await rawPublisher(gateway.rtmpPort, 'afterwards');
  publisher.socket.destroy();
  expect((await fetch(`http://127.0.0.1:${gateway.httpPort}/`)).status).toBe(200);
  await bystanders.expectClean();
});

test('the system clock steps back', async () => {
  const now = Date.now();
  expect(await statusOfSigned(now + HOUR_MS / 2)).toBe(403);
  await stepClock(-HOUR_MS, 'stepped by -3600.0 s');
  expect(await statusOfSigned(now + HOUR_MS / 2)).toBe(200);
  expect(await statusOfSigned(now - HOUR_MS / 2)).toBe(403);
});

// With gateways of their own, at the same time.
test.concurrent('more connections come than there are descriptors for, and segments go to the disk', async ({
  onTestFinished,
}) => {
  const few = await startChild({ storage: { type: 'disk' } }, FEW_DESCRIPTORS);
  onTestFinished(() => few.stop());
  const viewers = await Bystanders.start(few, { request: askOnOneConnection });
  onTestFinished(() => viewers.leave());
  const level = await few.level();
  expect(few.warnings.map(({ msg }) => msg)).toContainEqual(expect.stringMatching(/^160 .*: it is 40$/));
  const lines = few.warnings.length;
  const sockets = await openCrowd(few);
  onTestFinished(() => closeAll(sockets));
  await until('the line', () => few.warnings.slice(lines).some(isOfDescriptors));
  expect(few.warnings.slice(lines).filter(isOfDescriptors)).toEqual([
    expect.objectContaining({
      msg: expect.stringMatching(/^HTTP connection refused: /),
      fix: expect.stringContaining('LimitNOFILE='),
    }),
  ]);
  // Encoders come in: connections that have not published give way to them.
  const publisher = await rawPublisher(few.rtmpPort, 'meanwhile');
  publisher.socket.destroy();
  await viewers.expectClean();
  await viewers.expectClean();
  await closeAll(sockets);
  await few.expectLevel(level, TOLERANCE);
  const metrics = await few.metrics();
  const failures = ['sluice_segments_lost_total', 'sluice_store_errors_total'];
  expect(failures.map((name) => metrics.value(name))).toEqual([0, 0]);
  expect(few.warnings.filter(({ code }) => code?.startsWith('SLUICE_STORE'))).toEqual([]);
});

test.concurrent('the system clock steps to and fro, and segments are on the disk', {
  timeout: 120_000,
}, async ({ onTestFinished }) => {
  const directory = await temporaryDirectory();
  const onDisk = await startChild({
    storage: { type: 'disk', directory, maxAge: HOUR_MS / 1000 },
    // The alarm of the cleaning is the only one of a minute.
    publish: { graceWindow: 30 },
  });
  onTestFinished(() => onDisk.stop());
  const viewers = await Bystanders.start(onDisk);
  onTestFinished(() => viewers.leave());
  await until('a full list', () => viewers.listed.length === LISTED);
  for (const step of [HOUR_MS, -HOUR_MS, -HOUR_MS]) {
    await viewers.expectClean();
    const listed = viewers.listed;
    await onDisk.stepClock(step);
    await sweep(onDisk, directory);
    await viewers.expectClean();
    await sweep(onDisk, directory);
    // What has left the list stays for those who read it before.
    expect(viewers.listed).not.toContain(listed[0]);
    const files = await readdir(join(directory, 'segments', `live@${Bystanders.stream}`));
    expect(files).toEqual(expect.arrayContaining([...listed, ...viewers.listed]));
    for (const name of listed) {
      const url = `http://127.0.0.1:${onDisk.httpPort}/hls/${Bystanders.stream}/${name}`;
      expect((await fetch(url)).status).toBe(200);
    }
    await viewers.expectClean();
  }
  const metrics = await onDisk.metrics();
  const failures = ['sluice_segments_lost_total', 'sluice_store_errors_total'];
  expect(failures.map((name) => metrics.value(name))).toEqual([0, 0]);
  expect(onDisk.warnings.filter(({ code }) => code?.startsWith('SLUICE_STORE'))).toEqual([]);
});

/** Lets the cleaning come now: it takes a file of no stream, which is old by any clock, and no other. */
async function sweep({ ring, log }: ChildGateway, directory: string): Promise<void> {
  const swept = () => log.filter(({ msg }) => msg === 'files of no stream deleted');
  const before = swept().length;
  const stray = join(directory, 'segments/live@gone/stray.ts');
  await mkdir(dirname(stray), { recursive: true });
  await writeFile(stray, 'x');
  const old = new Date(Date.now() - 2 * DAY_MS);
  await utimes(stray, old, old);
  // The one before it has to be over.
  await until('the alarm of the cleaning', async () => (await ring(SWEEP_INTERVAL_MS)) === 1);
  await until('the cleaning', () => swept().length > before);
  expect(swept().slice(before)).toMatchObject([{ files: 1 }]);
}

/** Connections that say nothing, of both kinds. */
async function openCrowd({ rtmpPort, httpPort }: ChildGateway): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  for (let n = 0; n < CONNECTIONS / 2; n++) {
    sockets.push(await openSocket(rtmpPort), await openSocket(httpPort));
  }
  for (const { socket } of sockets) socket.resume();
  return sockets;
}

function isOfDescriptors({ code }: LogLine): boolean {
  return code === 'SLUICE_DESCRIPTORS_EXHAUSTED';
}

async function stepClock(step: number, words: string): Promise<void> {
  const told = () => gateway.warnings.filter(({ msg }) => msg.includes(words));
  await gateway.stepClock(step);
  await until('the line', () => told().length > 0);
  // The validator compares dates of segments with each other and over time.
  await bystanders.expectClean();
  await bystanders.expectClean();
  const { body } = await ask(`http://127.0.0.1:${gateway.httpPort}/api/streams`);
  const { streams } = JSON.parse(Buffer.from(body).toString()) as { streams: StreamView[] };
  const uptime = streams.find(({ name }) => name === Bystanders.stream)?.uptime;
  expect(uptime).toBeGreaterThan(0);
  expect(uptime).toBeLessThan(600);
  expect(told()).toHaveLength(1);
  await gateway.expectLevel(before, TOLERANCE);
}

/** What the gateway answers to a viewer whose address is good until this time. */
async function statusOfSigned(expiresAt: number): Promise<number> {
  const token = signPlayback(SECRET, { ...SIGNED, expires: expiresAt / 1000 });
  return (await ask(`${gateway.hls(`${SIGNED.app}/${SIGNED.name}`)}?token=${token}`)).status;
}

function ask(url: string): ReturnType<RequestFunction> {
  return askOnOneConnection(url, { method: 'GET', headers: {} });
}

function askOnOneConnection(
  url: string,
  { method, headers }: Parameters<RequestFunction>[1],
): ReturnType<RequestFunction> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent, timeout: 15_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        resolve({
          status: response.statusCode ?? 0,
          headers: Object.fromEntries(flat),
          body: Buffer.concat(chunks),
        });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer within 15 s')));
    sent.on('error', reject);
    sent.end();
  });
}
