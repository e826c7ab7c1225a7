import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { long } from '../support/long.ts';
import { until } from '../support/until.ts';
import { expectNoComplaints, launchBrowser, moves, playbackIs, position, visit } from './support.ts';

let gateway: TestGateway;
let browser: Browser;
let publisher: Running;

beforeAll(async () => {
  gateway = await startGateway();
  publisher = publishTestPicture(gateway.rtmp('cam'));
  browser = await launchBrowser();
  await gateway.streamWhen('cam', ({ targetDuration }) => targetDuration !== null);
});
afterAll(async () => {
  await browser.close();
  await publisher.stop();
  await gateway.stop();
});

const SOURCE = 'media.m3u8';
const variant = (file: string, height: number, bitrate: number) =>
  `#EXT-X-STREAM-INF:BANDWIDTH=${bitrate},CODECS="avc1.42c015,mp4a.40.2",RESOLUTION=${(height * 4) / 3}x${height},FRAME-RATE=25.000\ncam/${file}\n`;
const ALL = [
  variant(SOURCE, 240, 500_000),
  variant('180p.m3u8', 180, 250_000),
  variant('120p.m3u8', 120, 120_000),
];

/** The renditions are the source under other names; the page cannot tell. */
interface Ladder {
  variants: readonly string[];
  /** Files of the media playlists that were asked for, in order. */
  readonly loaded: string[];
  /** How often the multivariant playlist was. */
  reads: number;
}

async function offer(page: Page, ladder: Ladder): Promise<void> {
  await page.route('**/hls/cam.m3u8*', (route) => {
    ladder.reads++;
    return route.fulfill({
      contentType: 'application/vnd.apple.mpegurl',
      body: `#EXTM3U\n#EXT-X-VERSION:6\n${ladder.variants.join('')}`,
    });
  });
  await page.route('**/hls/cam/*.m3u8', async (route) => {
    ladder.loaded.push(new URL(route.request().url()).pathname.split('/').at(-1) ?? '');
    const response = await fetch(`${gateway.httpUrl}hls/cam/${SOURCE}`);
    return route.fulfill({ contentType: 'application/vnd.apple.mpegurl', body: await response.text() });
  });
}

async function watch(variants: readonly string[]) {
  const ladder: Ladder = { variants, loaded: [], reads: 0 };
  const seen = await visit(browser, `${gateway.httpUrl}?stream=cam`, (page) => offer(page, ladder));
  await playbackIs(seen.page, 'playing');
  return { seen, ladder, page: seen.page, menu: seen.page.locator('#quality-select') };
}

const entries = (page: Page) => page.locator('#quality-select option').allTextContents();
const now = (page: Page) => page.locator('#quality-now').textContent();

describe.concurrent('the quality menu', () => {
  test('is absent where there is nothing to choose from', async () => {
    const { seen, page } = await watch(ALL.slice(0, 1));
    expect(await page.locator('#quality').isHidden()).toBe(true);
    expectNoComplaints(seen, gateway.httpUrl);
  });

  long('shows what plays and plays what is chosen, by keyboard too', async () => {
    // hls.js leaves out sound alone where there is a picture, and so does the menu.
    const sound = '#EXT-X-STREAM-INF:BANDWIDTH=96000,CODECS="mp4a.40.2"\ncam/audio.m3u8\n';
    const { seen, page, menu, ladder } = await watch([...ALL, sound]);
    await menu.waitFor();
    expect(await entries(page)).toEqual(['Auto', '240p · 500 kb/s', '180p · 250 kb/s', '120p · 120 kb/s']);
    expect(await menu.inputValue()).toBe('');
    await until('the quality that plays', async () => /^\d+p$/.test((await now(page)) ?? ''));
    expect(await page.locator('#quality-mode').isVisible()).toBe(true);

    await menu.selectOption({ label: '120p · 120 kb/s' });
    await until(
      'the smallest',
      async () => (await now(page)) === '120p' && ladder.loaded.at(-1) === '120p.m3u8',
    );
    expect(await page.locator('#quality-mode').isHidden()).toBe(true);
    await moves(page, 2);

    await menu.focus();
    await page.keyboard.press('ArrowUp');
    await until('the next larger', () => ladder.loaded.at(-1) === '180p.m3u8');
    // A letter that picks an entry is no shortcut of the player.
    await page.keyboard.press('a');
    expect(await menu.inputValue()).toBe('');
    await page.locator('#quality-mode').waitFor();
    expect(await page.locator('body').getAttribute('data-playback')).toBe('playing');
    expectNoComplaints(seen, gateway.httpUrl);
  });

  long('gets what comes just after the start, and what comes later without an interruption', async () => {
    const { seen, page, menu, ladder } = await watch(ALL.slice(0, 1));
    ladder.variants = ALL.slice(0, 2);
    // Playback begins anew, with both.
    await until('the menu', () => menu.isVisible());
    await until('the second', async () => (await entries(page)).length === 3);
    await playbackIs(page, 'playing');
    await moves(page, 11);

    ladder.variants = ALL;
    const at = await position(page);
    await until('the third', async () => (await entries(page)).length === 4, 20_000);
    expect(await position(page)).toBeGreaterThan(at);
    expect(ladder.loaded).not.toContain('120p.m3u8');
    await menu.selectOption({ label: '120p · 120 kb/s' });
    await until(
      'the third to play',
      async () => (await now(page)) === '120p' && ladder.loaded.includes('120p.m3u8'),
    );
    await playbackIs(page, 'playing');
    await moves(page, 1);

    ladder.variants = ALL.slice(0, 1);
    await until('the menu to go', () => page.locator('#quality').isHidden(), 20_000);
    expectNoComplaints(seen, gateway.httpUrl);
  });
});

describe('pictures of streams', () => {
  test('are in the list, and refreshed', async () => {
    const { page, requests, ...seen } = await visit(browser, gateway.httpUrl);
    const image = page.locator('#stream-list img');
    await image.waitFor();
    const first = await image.getAttribute('src');
    expect(await image.evaluate((node: { naturalWidth: number }) => node.naturalWidth)).toBeGreaterThan(100);
    await until('another', async () => (await image.getAttribute('src')) !== first, 20_000);
    expectNoComplaints({ page, requests, ...seen }, gateway.httpUrl);
  });

  test('stand in for the video until it plays', async () => {
    const { page } = await visit(browser, `${gateway.httpUrl}?stream=cam`, (opened) =>
      opened.route('**/hls/cam.m3u8*', (route) => route.fulfill({ status: 404, body: '{}' })),
    );
    const poster = page.locator('video[poster^="blob:"]');
    await poster.waitFor();
    await page.unroute('**/hls/cam.m3u8*');
    await playbackIs(page, 'playing');
    await page.locator('.back').click();
    await until('the poster to go', async () => (await poster.count()) === 0);
  });

  test.each([
    [501, 1],
    [404, 2],
  ])('are absent after %i, which is asked %i times in 15 s', async (status, times) => {
    let asked = 0;
    const { page } = await visit(browser, gateway.httpUrl, async (opened) => {
      await opened.clock.install();
      await opened.route('**/thumbnail.jpg*', (route) => {
        asked++;
        return route.fulfill({ status, body: '{}' });
      });
    });
    await page.locator('#stream-list a').waitFor();
    await until('the first request', () => asked === 1);
    for (let second = 0; second < 15; second++) await page.clock.runFor(1000);
    await until('all requests', () => asked === times);
    expect(await page.locator('#stream-list img').isHidden()).toBe(true);
  });
});
