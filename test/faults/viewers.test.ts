import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { Bystanders } from './support/bystanders.ts';
import { type ChildGateway, type Level, startChild } from './support/child-gateway.ts';
import { closeAll, nextData, openSocket, openSockets, type RawSocket } from './support/sockets.ts';

const MISSING_NAMES = 100_000;
const SILENT_CONNECTIONS = 150;
const MUTE_VIEWERS = 20;
/** Of segments of 90 KB, asked for at once: more than the 4 MB that the kernel holds for a connection. */
const UNREAD_REQUESTS = 200;
const TOLERANCE = { held: 4e6, resident: 48e6, withinMs: 15_000 };

let gateway: ChildGateway;
let bystanders: Bystanders;
let before: Level;

beforeAll(async () => {
  gateway = await startChild({ http: { idleTimeout: 3 } });
  bystanders = await Bystanders.start(gateway);
  before = await gateway.level();
});
afterAll(async () => {
  await bystanders.leave();
  await gateway.stop();
});

const told = (code: string) => gateway.log.filter((line) => line.code === code);
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const newestSegment = () => `/hls/${Bystanders.stream}/${bystanders.listed.at(-1)}`;

test(`${MISSING_NAMES} names that do not exist cost one line`, async () => {
  const connections = 20;
  const counts = await Promise.all(
    Array.from({ length: connections }, (_, n) => askForMissing(`missing-${n}`, MISSING_NAMES / connections)),
  );
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(MISSING_NAMES);
  expect(told('SLUICE_HTTP_NOT_FOUND')[0]).toMatchObject({
    level: 40,
    msg: '1000 HTTP requests within ten seconds for what does not exist',
  });
  // One more for every ten seconds that it took.
  expect(told('SLUICE_HTTP_NOT_FOUND').length).toBeLessThanOrEqual(4);
  await bystanders.expectClean();
  await gateway.expectLevel(before, TOLERANCE);
});

describe.concurrent('at the same time', () => {
  test('viewers that never read are disconnected', async () => {
    const path = newestSegment();
    const viewers = await Promise.all(
      Array.from({ length: MUTE_VIEWERS }, () => openSocket(gateway.httpPort)),
    );
    for (const { socket } of viewers) {
      socket.pause();
      socket.write(get(path).repeat(UNREAD_REQUESTS));
    }
    await until('the line', () => told('SLUICE_HTTP_UNREAD').length > 0);
    expect(told('SLUICE_HTTP_UNREAD')).toMatchObject([
      { level: 30, msg: 'viewer disconnected: it does not read what it asked for' },
    ]);
    await bystanders.expectClean();
    // They are gone for the gateway, not for the kernel, which has megabytes for each.
    await closeAll(viewers);
  });

  test('connections that say nothing are closed', async () => {
    const silent = await openSockets(gateway.httpPort, SILENT_CONNECTIONS);
    await Promise.all(silent.map(({ closed }) => closed));
    await until('the line', () => told('SLUICE_HTTP_SILENT').length > 0);
    expect(told('SLUICE_HTTP_SILENT')).toMatchObject([
      { level: 40, msg: '100 HTTP connections within ten seconds on which nothing was asked' },
    ]);
    await bystanders.expectClean();
  });
});

test('those leave nothing behind', async () => {
  await gateway.expectLevel(before, TOLERANCE);
  expect(told('SLUICE_HTTP_UNREAD').length).toBeLessThanOrEqual(2);
  // The busy computer of a test may have a line of its own, without a code.
  const warned = gateway.warnings.flatMap(({ code }) => code ?? []);
  expect(warned.filter((code) => code !== 'SLUICE_HTTP_NOT_FOUND')).toEqual(['SLUICE_HTTP_SILENT']);
});

test.each([
  ['huge headers', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(1e6)}\r\n\r\n`, [431]],
  ['a huge path', get(`/hls/${'x'.repeat(1e6)}.m3u8`), [431]],
  ['a long path', get(`/hls/${'x/'.repeat(3000)}a.m3u8`), [404, 414]],
  ['a path that leaves its folder', get('/hls/../../../../../../etc/passwd'), [400]],
  ['the same encoded', get('/%2e%2e/%2e%2e/%2e%2e/etc/passwd'), [400]],
  ['the same with backslashes', get('/..%5c..%5cpackage.json'), [400]],
  ['NUL in a path', get('/hls/a\0b.m3u8'), [400]],
  ['NUL encoded', get('/hls/healthy%00.m3u8'), [400]],
  ['NUL encoded in a file name', get('/player.js%00.html'), [400]],
  ['broken percent signs', get('/hls/%zz%'), [400]],
  ['no HTTP at all', Buffer.alloc(100_000, 0xa5).toString('latin1'), [400]],
])('%s get a clear answer', async (_what, request, expected) => {
  const lines = gateway.log.length;
  const answer = await ask(request);
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  expect(expected).toContain(status);
  expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({
    code: expect.stringMatching(/^SLUICE_HTTP_/),
    message: expect.stringMatching(/./),
  });
  expect(answer).not.toMatch(/root:|node_modules|"name"/);
  // The first of a kind has its line now, the others together later.
  expect(gateway.log.length - lines).toBeLessThanOrEqual(2);
});

test('the answer gets through to those who still send when it comes', async () => {
  const request = get(`/hls/${'x'.repeat(1e6)}.m3u8`);
  // A connection that is closed too early loses one in a hundred.
  for (let n = 0; n < 300; n++) expect(await ask(request)).toMatch(/^HTTP\/1\.1 431 [\s\S]*}$/);
});

test('they leave a line for each kind, and nothing else', async () => {
  expect(gateway.log).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ code: 'SLUICE_HTTP_BAD_REQUEST', status: 431 }),
      expect.objectContaining({ code: 'SLUICE_HTTP_BAD_REQUEST', status: 400 }),
    ]),
  );
  expect(JSON.stringify(gateway.log)).not.toMatch(/passwd|xxxx/);
  await gateway.expectLevel(before, TOLERANCE);
  await bystanders.expectClean();
});

/** @returns how many answers said that there is nothing */
async function askForMissing(prefix: string, count: number): Promise<number> {
  const { socket } = await openSocket(gateway.httpPort);
  let text = '';
  let answered = 0;
  socket.setEncoding('latin1');
  socket.on('data', (some) => {
    text += String(some);
    const parts = text.split('HTTP/1.1 404');
    answered += parts.length - 1;
    // The beginning of the next answer may be here.
    text = (parts.at(-1) ?? '').slice(-12);
  });
  for (let first = 0; first < count; first += 100) {
    const some = Array.from({ length: 100 }, (_, n) => get(`/hls/${prefix}-${first + n}.m3u8`));
    socket.write(some.join(''));
    while (answered < first + 100 && !socket.destroyed) await nextData(socket);
  }
  socket.destroy();
  return answered;
}

/** Sends bytes on a connection of their own. @returns what comes back until the gateway closes, or is done */
async function ask(request: string): Promise<string> {
  const { socket, closed }: RawSocket = await openSocket(gateway.httpPort);
  let answer = '';
  const complete = new Promise<void>((resolve) => {
    socket.setEncoding('utf8').on('data', (some) => {
      answer += String(some);
      if (answer.includes('\r\n\r\n{') && answer.endsWith('}')) resolve();
    });
  });
  socket.write(Buffer.from(request, 'latin1'));
  await Promise.race([complete, closed]);
  socket.destroy();
  return answer;
}
