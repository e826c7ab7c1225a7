import { Agent, request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import type { StreamView } from '../../src/servers/http/stream-view.ts';
import type { RequestFunction } from '../support/hls-validator/validator.ts';
import { type PacedPublisher, publishPaced } from '../support/paced-publisher.ts';
import { readClip, repeated } from '../support/publish-clip.ts';
import { until } from '../support/until.ts';
import { Bystanders } from './support/bystanders.ts';
import { type ChildGateway, type Level, startChild } from './support/child-gateway.ts';
import { rawPublisher } from './support/publishers.ts';
import { closeAll, openSocket, type RawSocket } from './support/sockets.ts';

// What happens to the computer, or to the process.

const HOUR_MS = 3_600_000;
const BLOCK_MS = 500;
/** What the gateway may still open when descriptors run out, and how many connections come. */
const ROOM = 20;
const CONNECTIONS = 200;

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
  bystanders = await Bystanders.start(gateway, askOnOneConnection);
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
  const sockets: RawSocket[] = [];
  for (let n = 0; n < CONNECTIONS / 2; n++) {
    sockets.push(await openSocket(gateway.rtmpPort), await openSocket(gateway.httpPort));
  }
  for (const { socket } of sockets) socket.resume();
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
