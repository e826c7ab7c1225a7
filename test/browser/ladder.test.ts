import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishSource, TINY_LADDER } from '../support/ladder-source.ts';
import { long } from '../support/long.ts';
import { until } from '../support/until.ts';
import { launchBrowser } from './support.ts';

const SWITCHES = 10;
const EVERY_MS = 4000;
const LEVELS = 3;
const LONGEST_WAIT_MS = 500;

let gateway: TestGateway;
let browser: Browser;
let source: Running;

beforeAll(async () => {
  gateway = await startGateway({ ladder: TINY_LADDER, transcode: { when: 'always' } });
  browser = await launchBrowser();
  source = publishSource(gateway.rtmp('cam'), { bFrames: 2 });
});

afterAll(async () => {
  await browser.close();
  await source.stop();
  await gateway.stop();
});

/** hls.js and nothing else. What happens is collected in `seen`. */
const PAGE = `<!doctype html><title>bare</title><video id="video" muted playsinline></video>
<script type="module">
import Hls from '/vendor/hls.min.mjs';
const video = document.getElementById('video');
const hls = new Hls({ startLevel: 0, abrEwmaDefaultEstimate: 1e7 });
const seen = { errors: [], waits: [], shown: [], levels: 0 };
let waitingSince = null;
const now = () => performance.now();
hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => { seen.levels = levels.length; void video.play(); });
hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => seen.errors.push({ fatal, type, details }));
hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => seen.shown.push(frag.level));
video.addEventListener('waiting', () => { waitingSince ??= now(); });
const goesOn = () => {
  if (waitingSince !== null) seen.waits.push({ at: waitingSince, ms: now() - waitingSince });
  waitingSince = null;
};
video.addEventListener('playing', goesOn);
video.addEventListener('timeupdate', goesOn);
globalThis.watch = { hls, seen, video, waiting: () => waitingSince };
hls.loadSource('/hls/cam.m3u8');
hls.attachMedia(video);
</script>`;

interface Seen {
  readonly errors: readonly { readonly fatal: boolean; readonly details: string }[];
  readonly waits: readonly { readonly at: number; readonly ms: number }[];
  readonly shown: readonly number[];
  readonly levels: number;
}

long('a player is told to change the rendition up and down, and nobody sees it', async () => {
  await until(
    'all renditions',
    async () => {
      const text = await (await fetch(gateway.hls('cam'))).text();
      return text.includes('media-mid') && text.includes('media-low');
    },
    60_000,
  );
  // Players begin three segments behind the newest; in a stream that is younger they have next to no buffer.
  await until(
    'six segments',
    async () => {
      const text = await (await fetch(`${gateway.httpUrl}hls/cam/media-low.m3u8`)).text();
      return (text.match(/#EXTINF/g)?.length ?? 0) >= 6;
    },
    60_000,
  );
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.route('**/bare.html', (route) => route.fulfill({ contentType: 'text/html', body: PAGE }));
  await page.goto(`${gateway.httpUrl}bare.html`);
  const look = <T>(script: string) => page.evaluate<T>(script);
  await until('playback', () => look<boolean>('watch.video.currentTime > 0 && !watch.video.paused'), 60_000);
  expect(await look<number>('watch.seen.levels')).toBe(LEVELS);
  // What the beginning needed is not the point.
  await until(
    'a buffer',
    () => look<boolean>('watch.video.buffered.end(0) - watch.video.currentTime > 3'),
    30_000,
  );
  await look('watch.seen.waits.length = watch.seen.errors.length = watch.seen.shown.length = 0, undefined');

  const place = () =>
    look<{ at: number; position: number }>('({ at: performance.now(), position: watch.video.currentTime })');
  const begin = await place();
  const order = [2, 0, 1, 2, 1, 0, 2, 0, 2, 1];
  for (let turn = 0; turn < SWITCHES; turn++) {
    await look(`watch.hls.nextLevel = ${order[turn % order.length]}, undefined`);
    await page.waitForTimeout(EVERY_MS);
  }
  const end = await place();
  const seen = await look<Seen>('watch.seen');

  const text = JSON.stringify(seen);
  expect(
    seen.errors.filter(({ fatal, details }) => fatal || /stall/i.test(details)),
    text,
  ).toEqual([]);
  expect(
    seen.waits.filter(({ ms }) => ms > LONGEST_WAIT_MS),
    text,
  ).toEqual([]);
  expect(await look('watch.waiting()')).toBeNull();
  expect((end.position - begin.position) / ((end.at - begin.at) / 1000)).toBeCloseTo(1, 1);
  const changes = seen.shown.filter((level, index) => index > 0 && level !== seen.shown[index - 1]);
  expect(changes.length, text).toBeGreaterThanOrEqual(SWITCHES - 3);
  expect(new Set(seen.shown), text).toEqual(new Set([0, 1, 2]));
  expect(complaints).toEqual([]);
});
