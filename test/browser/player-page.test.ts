import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import {
  expectNoComplaints,
  launchBrowser,
  moves,
  playback,
  playbackIs,
  position,
  visit,
} from './support.ts';

/** Signs the links to the streams of one application. */
const SECRET = 'a secret that is long enough for a signature';

let gateway: TestGateway;
let browser: Browser;
const publishers: Running[] = [];

beforeAll(async () => {
  gateway = await startGateway({ applications: { members: { play: { secrets: [SECRET] } } } });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  await gateway.stop();
});

const open = (query: string, prepare?: (page: Page) => Promise<unknown>) =>
  visit(browser, `${gateway.httpUrl}${query}`, prepare);

function publish(name: string, extra: readonly string[] = []): Running {
  const publisher = publishTestPicture(gateway.rtmp(name), extra);
  publishers.push(publisher);
  return publisher;
}

const text = (page: Page, id: string) => page.locator(`#${id}`).textContent();

/** All text, and all that can be copied or followed. */
const EVERYTHING_SHOWN = `[
  document.title,
  document.body.innerText,
  ...[...document.querySelectorAll('input')].map((field) => field.value),
  ...[...document.querySelectorAll('a')].map((link) => link.getAttribute('href')),
].join(' ')`;
const LIVE_PLAYLIST = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsegment.ts\n';

describe.concurrent('the player page', () => {
  test('lists who is live, and plays what is chosen', async () => {
    publish('listed');
    await gateway.streamWhen('listed', ({ state }) => state === 'live');
    const seen = await open('');
    const { page } = seen;
    const link = page.locator('#stream-list a', { hasText: 'listed' });
    await link.waitFor();
    expect(await link.locator('.badge').textContent()).toBe('Live');
    await link.click();
    await playbackIs(page, 'playing');
    expect(new URL(page.url()).searchParams.get('stream')).toBe('listed');
    await moves(page, 1);
    expectNoComplaints(seen, gateway.httpUrl);
  });

  test('waits for a stream, plays it, and survives a reconnect without a reload', async () => {
    const seen = await open('?stream=awaited');
    const { page, requests } = seen;
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
    expect(seen.navigations()).toBe(0);
    expectNoComplaints(seen, gateway.httpUrl);
  });

  test('takes the token of its address to the playlist, and shows it nowhere', async () => {
    const clip = await publishPaced({
      port: gateway.rtmpPort,
      app: 'members',
      key: 'signed',
      tags: readClip('h264_aac'),
      loop: true,
    });
    const sign = (expires: number) => signPlayback(SECRET, { app: 'members', name: 'signed', expires });
    const token = sign(Date.now() / 1000 + 600);
    const playlist = `${gateway.hls('members/signed')}?token=${token}`;
    await until('the stream', async () => (await fetch(playlist)).ok);
    const seen = await open(`?stream=members/signed&token=${token}`);
    const { page, requests } = seen;
    await playbackIs(page, 'playing');
    await moves(page, 1);
    expect(requests).toContain(playlist);
    expect(requests.filter((url) => url.includes('signed.m3u8') && url !== playlist)).toEqual([]);
    expect(await text(page, 'stream-badge')).toBe('Live');
    expect(await page.evaluate<string>(EVERYTHING_SHOWN)).not.toContain(token);
    expect(page.url()).toContain(token);
    await page.locator('.back').click();
    expect(page.url()).not.toContain(token);
    await page.goBack();
    await playbackIs(page, 'playing');
    expectNoComplaints(seen, gateway.httpUrl);

    for (const [query, message] of [
      [`&token=${sign(Date.now() / 1000 - 600)}`, 'This link has expired or is not valid'],
      ['', 'This stream needs a link of its own'],
    ] as const) {
      const refused = await open(`?stream=members/signed${query}`);
      await refused.page.locator('#overlay-title', { hasText: message }).waitFor();
      expect(await text(refused.page, 'stream-badge')).toBe('No access');
      expectNoComplaints(refused, gateway.httpUrl, /403/);
    }
    await clip.stop();
  });

  test('gives the token to a browser that plays HLS by itself', async () => {
    const token = 'e30.bmF0aXZl';
    const seen = await open(`?stream=plain&token=${token}`, async (page) => {
      await page.addInitScript('delete globalThis.MediaSource; delete globalThis.ManagedMediaSource;');
      await page.route('**/hls/**', (route) =>
        route.fulfill({ contentType: 'application/vnd.apple.mpegurl', body: LIVE_PLAYLIST }),
      );
    });
    await until(
      'the address in the video element',
      async () =>
        (await seen.page.evaluate<string>('document.getElementById("video").src')) ===
        `${gateway.hls('plain')}?token=${token}`,
    );
  });

  test('plays sound without a picture', async () => {
    publish('radio', ['-vn']);
    const seen = await open('?stream=radio');
    await playbackIs(seen.page, 'playing');
    await moves(seen.page, 1);
    expect(await seen.page.locator('body').getAttribute('data-audio-only')).toBe('true');
    expectNoComplaints(seen, gateway.httpUrl);
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
