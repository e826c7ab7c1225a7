import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { expectNoComplaints, launchBrowser, moves, playbackIs, position, visit } from './support.ts';

const APPS = ['live', 'bars'];
const AWAY_SECONDS = 5;
/** Shorter than usual, so that players hold less and there is less to wait for. */
const PUBLISHER = ['-g', '25', '-keyint_min', '25', '-bf', '2'];

let gateway: TestGateway;
let browser: Browser;
const publishers: Running[] = [];
const first = new Map<string, Running>();

beforeAll(async () => {
  gateway = await startGateway({
    publish: { slate: 'last' },
    hls: { segmentDuration: 1 },
    applications: { bars: { publish: { slate: 'bars' } } },
  });
  // They begin while the browser does.
  for (const app of APPS) first.set(app, publish(app));
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  await gateway.stop();
});

function publish(app: string): Running {
  const publisher = publishTestPicture(gateway.rtmp('cam', app), PUBLISHER);
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

test.concurrent.each(APPS)(
  'the player page plays through a publisher that drops and returns (%s)',
  async (app) => {
    const query = app === 'live' ? '?stream=cam' : `?stream=${app}/cam`;
    const seen = await visit(browser, `${gateway.httpUrl}${query}`);
    const { page } = seen;
    await playbackIs(page, 'playing', 40_000);
    await moves(page, 1);
    await page.evaluate(COUNT_STALLS);
    const from = await position(page);
    const startedAt = performance.now();

    await first.get(app)?.stop();
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
    await until('playback beyond the return', async () => (await position(page)) > back + 5, 60_000);
    expect(await page.evaluate('[window.stalls, window.decodeErrors]')).toEqual([0, 0]);
    expect(seen.navigations()).toBe(0);
    expectNoComplaints(seen, gateway.httpUrl);
  },
);
