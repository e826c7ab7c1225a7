import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

let gateway: TestGateway;
let browser: Browser;
const publishers: Running[] = [];

beforeAll(async () => {
  gateway = await startGateway();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
      ...['--no-first-run', '--autoplay-policy=no-user-gesture-required'],
    ],
  });
});

afterAll(async () => {
  await browser.close();
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  await gateway.stop();
});

/** A page, and everything that went wrong in it or was asked of another server. */
interface Visit {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

async function visit(query: string): Promise<Visit> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`${gateway.httpUrl}${query}`);
  return { page, complaints, requests };
}

function publish(name: string, extra: readonly string[] = []): Running {
  const publisher = publishTestPicture(gateway.rtmp(name), extra);
  publishers.push(publisher);
  return publisher;
}

const playback = (page: Page) => page.locator('body').getAttribute('data-playback');
const text = (page: Page, id: string) => page.locator(`#${id}`).textContent();
const position = (page: Page) => page.evaluate<number>('document.getElementById("video").currentTime');

async function playbackIs(page: Page, state: string, withinMs = 20_000): Promise<void> {
  await until(`playback to be ${state}`, async () => (await playback(page)) === state, withinMs);
}

/** The picture really moves on. */
async function moves(page: Page, seconds: number): Promise<void> {
  const from = await position(page);
  await until(`${seconds} s of playback`, async () => (await position(page)) > from + seconds, 20_000);
}

/** A missing stream is asked for and answered with 404, which the browser writes to the console by itself. */
function expectNoComplaints({ complaints, requests }: Visit): void {
  expect(complaints.filter((line) => !/Failed to load resource.* 404/.test(line))).toEqual([]);
  const foreign = requests.filter((url) => !url.startsWith(gateway.httpUrl) && !url.startsWith('blob:'));
  expect(foreign).toEqual([]);
}

describe.concurrent('the player page', () => {
  test('lists who is live, and plays what is chosen', async () => {
    publish('listed');
    await gateway.streamWhen('listed', ({ state }) => state === 'live');
    const seen = await visit('');
    const { page } = seen;
    const link = page.locator('#stream-list a', { hasText: 'listed' });
    await link.waitFor();
    expect(await link.locator('.badge').textContent()).toBe('Live');
    await link.click();
    await playbackIs(page, 'playing');
    expect(new URL(page.url()).searchParams.get('stream')).toBe('listed');
    await moves(page, 1);
    expectNoComplaints(seen);
  });

  test('waits for a stream, plays it, and survives a reconnect without a reload', async () => {
    const seen = await visit('?stream=awaited');
    const { page, requests } = seen;
    let navigations = 0;
    page.on('framenavigated', () => navigations++);
    await playbackIs(page, 'waiting');
    await page.locator('#overlay-title', { hasText: 'Waiting for the stream' }).waitFor();

    const first = publish('awaited');
    await playbackIs(page, 'playing');
    await moves(page, 2);

    expect(requests).toContain(gateway.hls('awaited'));
    expect(requests).toContain(`${gateway.httpUrl}hls/awaited/media.m3u8`);
    await expectStatistics(page);

    await first.stop();
    await gateway.streamWhen('awaited', ({ state }) => state === 'grace');
    // The buffer runs dry before the encoder is back.
    await playbackIs(page, 'stalled');
    const interruptedAt = await position(page);
    publish('awaited');
    await playbackIs(page, 'playing');
    await until(
      'playback beyond the interruption',
      async () => (await position(page)) > interruptedAt + 3,
      20_000,
    );
    expect(await playback(page)).toBe('playing');
    expect(navigations).toBe(0);
    expectNoComplaints(seen);
  });

  test('plays sound without a picture', async () => {
    publish('radio', ['-vn']);
    const seen = await visit('?stream=radio');
    await playbackIs(seen.page, 'playing');
    await moves(seen.page, 1);
    expect(await seen.page.locator('body').getAttribute('data-audio-only')).toBe('true');
    expectNoComplaints(seen);
  });
});

async function expectStatistics(page: Page): Promise<void> {
  expect(await text(page, 'stat-resolution')).toBe('320 × 240');
  expect(await text(page, 'fact-video')).toBe('H.264, 320 × 240');
  const seconds = /^(\d+\.\d) s$/;
  for (const id of ['stat-latency', 'stat-buffer']) {
    await until(`a number in ${id}`, async () => seconds.test((await text(page, id)) ?? ''));
  }
  const latency = Number(seconds.exec((await text(page, 'stat-latency')) ?? '')?.[1]);
  // Segments of 2 s and three target durations from the end: far less would be wrong, far more a fault.
  expect(latency).toBeGreaterThan(0.5);
  expect(latency).toBeLessThan(15);
  await until('a bit rate', async () => /^[\d.]+ [km]b\/s$/i.test((await text(page, 'stat-bitrate')) ?? ''));
  await until('dropped frames', async () => /^\d+ of \d+$/.test((await text(page, 'stat-dropped')) ?? ''));
}
