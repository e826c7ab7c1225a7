import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { expectNoComplaints, launchBrowser, moves, playbackIs, position, visit } from './support.ts';

const AWAY_SECONDS = 14;

let gateway: TestGateway;
let browser: Browser;
const publishers: Running[] = [];

beforeAll(async () => {
  gateway = await startGateway({
    publish: { slate: 'last' },
    applications: { bars: { publish: { slate: 'bars' } } },
  });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  await gateway.stop();
});

function publish(app: string): Running {
  const publisher = publishTestPicture(gateway.rtmp('cam', app), ['-bf', '2']);
  publishers.push(publisher);
  return publisher;
}

/** Counts how often the player ran dry, and how often its buffers were given another format. */
const COUNT_STALLS = `
  window.stalls = 0;
  window.decodeErrors = 0;
  const video = document.getElementById('video');
  video.addEventListener('waiting', () => window.stalls++);
  video.addEventListener('error', () => window.decodeErrors++);
`;

test.each(['live', 'bars'])(
  'the player page plays through a publisher that drops and returns (%s)',
  async (app) => {
    const first = publish(app);
    const query = app === 'live' ? '?stream=cam' : `?stream=${app}/cam`;
    const seen = await visit(browser, `${gateway.httpUrl}${query}`);
    const { page } = seen;
    await playbackIs(page, 'playing', 40_000);
    await moves(page, 4);
    await page.evaluate(COUNT_STALLS);
    const from = await position(page);
    const startedAt = performance.now();

    await first.stop();
    await until(
      `${AWAY_SECONDS} s of slate`,
      async () => (await position(page)) > from + AWAY_SECONDS,
      60_000,
    );
    // More than was buffered: the slate was seen, and kept the pace.
    expect((performance.now() - startedAt) / 1000).toBeLessThan(AWAY_SECONDS + 3);
    publish(app);
    await until('the publisher', async () => {
      const stream = await gateway.stream('cam', app);
      return stream?.state === 'live' && !stream.slate;
    });
    const back = await position(page);
    await until('playback beyond the return', async () => (await position(page)) > back + 12, 60_000);
    expect(await page.evaluate('[window.stalls, window.decodeErrors]')).toEqual([0, 0]);
    expect(seen.navigations()).toBe(0);
    expectNoComplaints(seen, gateway.httpUrl);
  },
);
