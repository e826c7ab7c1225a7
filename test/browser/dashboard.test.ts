import type { Browser, Page, Route } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { expectNoComplaints, launchBrowser, visit } from './support.ts';

let gateway: TestGateway;
let browser: Browser;

beforeAll(async () => {
  gateway = await startGateway();
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await gateway.stop();
});

const SERVER = {
  version: '1.2.3',
  uptime: 4000,
  node: 'v24.0.0',
  rtmpPort: 1935,
  httpPort: 8080,
  defaultApp: 'live',
  memory: { rss: 84_000_000, heap: 1, external: 1 },
  storeBytes: 1_200_000_000,
  rtmpConnections: 12,
};

const KEYFRAMES = {
  code: 'keyframe-interval-long',
  message: 'Keyframes come every 8.3 s.',
  fix: 'In OBS: Settings > Output > Keyframe Interval: 2 s.',
};

function stream(name: string, health: 'good' | 'fair' | 'poor' = 'good', changes: object = {}) {
  const severity = { good: 'notice', fair: 'warning', poor: 'problem' }[health];
  return {
    app: 'live',
    name,
    state: 'live',
    health,
    hls: `hls/${name}.m3u8`,
    publisher: { address: '192.0.2.7', encoder: 'OBS 30' },
    startedAt: '2026-01-01T00:00:00.000Z',
    uptime: 75,
    bitrate: 2_500_000,
    bytes: 1_000_000,
    frameRate: 30,
    keyframeInterval: 2,
    targetDuration: 2,
    mediaSequence: 5,
    tracks: [{ id: 'v', kind: 'video', codec: 'h264', width: 1280, height: 720, inHls: true }],
    warnings: [{ ...KEYFRAMES, severity }],
    ...changes,
  };
}

/** Answers in place of the API; what it answers with may be replaced at any time. */
class FakeApi {
  streams: ReturnType<typeof stream>[] = [];
  token: string | null = null;
  refusal: { status: number; code: string } | null = null;
  away = false;
  readonly deleted: string[] = [];

  readonly install = (page: Page) => page.route('**/api/**', (route) => this.#answer(route));

  #answer(route: Route): Promise<void> {
    const request = route.request();
    const path = new URL(request.url()).pathname + new URL(request.url()).search;
    if (this.away) return route.abort('connectionrefused');
    if (this.refusal !== null) return refuse(route, this.refusal.status, this.refusal.code);
    if (this.token !== null && request.headers().authorization !== `Bearer ${this.token}`) {
      return refuse(route, 401, 'SLUICE_API_UNAUTHORIZED');
    }
    if (request.method() === 'DELETE') {
      this.deleted.push(path);
      return route.fulfill({ status: 202 });
    }
    return route.fulfill({ json: path === '/api/server' ? SERVER : { streams: this.streams } });
  }
}

function refuse(route: Route, status: number, code: string): Promise<void> {
  return route.fulfill({ status, json: { code, message: 'no' } });
}

const open = (api: FakeApi) => visit(browser, `${gateway.httpUrl}dashboard`, api.install);
const names = (page: Page) => page.locator('.card:visible .card-name').allTextContents();

describe.concurrent('the dashboard', () => {
  test('is the same at both addresses, loads nothing from elsewhere and cannot be framed', async () => {
    for (const path of ['dashboard', 'dashboard.html']) {
      const response = await fetch(`${gateway.httpUrl}${path}`);
      expect(await response.text()).toContain('<title>Dashboard');
      const policy = response.headers.get('content-security-policy');
      expect(policy).toMatch(/^default-src 'self';/);
      expect(policy).toContain("frame-ancestors 'none'");
    }
    const player = await fetch(gateway.httpUrl);
    expect(player.headers.get('content-security-policy')).toContain('frame-ancestors *');
  });

  test('shows what needs attention first, with the fix, and keeps the cards it has', async () => {
    const api = new FakeApi();
    const away = stream('c-away', 'good', { state: 'grace', publisher: null });
    api.streams = [stream('a-good'), stream('b-fair', 'fair'), away, stream('d-poor', 'poor')];
    const seen = await open(api);
    const { page } = seen;
    await page.locator('.card').first().waitFor();
    expect(await names(page)).toEqual(['d-poor', 'c-away', 'b-fair', 'a-good']);
    expect(await page.title()).toBe('(2) Dashboard · Sluice');
    const poor = page.locator('.card', { hasText: 'd-poor' });
    const shown = await poor.innerText();
    for (const part of [
      'Poor',
      KEYFRAMES.message,
      KEYFRAMES.fix,
      '192.0.2.7 · OBS 30',
      'H.264',
      '1 min 15 s',
    ]) {
      expect(shown).toContain(part);
    }
    expect(await poor.getByRole('link', { name: 'Watch d-poor' }).getAttribute('href')).toBe(
      './?stream=d-poor',
    );
    expect(await page.locator('.figures').innerText()).toContain('84 MB');

    await page.evaluate('document.querySelectorAll(".card").forEach((card) => { card.known = true; })');
    // It has recovered, sends 500 kB more, and another one has come.
    api.streams = [
      ...api.streams.slice(0, 3),
      stream('d-poor', 'good', { bytes: 1_500_000 }),
      stream('e-new', 'fair'),
    ];
    await until(
      'the new order',
      async () => (await names(page)).join() === 'c-away,b-fair,e-new,a-good,d-poor',
    );
    expect(
      await page.evaluate('[...document.querySelectorAll(".card")].map((card) => card.known === true)'),
    ).toEqual([true, true, false, true, true]);
    await until('the graph', async () => {
      const title = await page.locator('.card', { hasText: 'd-poor' }).locator('title').textContent();
      return /^Bitrate over the last minute: [\d.]+ [km]b\/s to /i.test(title ?? '');
    });
    api.streams = [];
    await page.locator('#none-title', { hasText: 'Nobody is publishing' }).waitFor();
    expectNoComplaints(seen, gateway.httpUrl);
  });

  test('shows the ladder, what is converted, and what goes wrong with it', async () => {
    const api = new FakeApi();
    const rung = { width: 640, height: 360, bitrate: 700_000, error: null, lag: null };
    api.streams = [
      stream('laddered', 'good', {
        state: 'grace',
        publisher: null,
        slate: true,
        tracks: [{ id: 'v0', kind: 'video', codec: 'hevc', inHls: true, policy: 'transcode' }],
        renditions: [
          { ...rung, name: '360p', state: 'live', lag: 0.61 },
          { ...rung, name: '240p', state: 'failed', error: 'ffmpeg: it was ended by SIGKILL' },
          { ...rung, name: '720p', state: 'shed' },
        ],
      }),
    ];
    const seen = await open(api);
    const card = seen.page.locator('.card', { hasText: 'laddered' });
    await card.waitFor();
    const shown = await card.innerText();
    expect(shown).toContain('viewers see the slate');
    expect(shown).toContain('Not encoded now: 240p. ffmpeg: it was ended by SIGKILL');
    expect(shown).toContain('Left out because encoding did not keep up: 720p.');
    await card.locator('summary').click();
    const details = (await card.locator('.more-facts').innerText()).replaceAll('\u00a0', ' ');
    expect(details).toContain('H.265 (HEVC): converted by ffmpeg');
    expect(details).toContain('360p, 640 × 360, 700 kb/s: live, 0.6 s behind');
    expect(details).toContain('240p, 640 × 360, 700 kb/s: failed, ffmpeg: it was ended by SIGKILL');
    expectNoComplaints(seen, gateway.httpUrl);
  });

  test('finds streams among hundreds, and disconnects one only when told twice', async () => {
    const api = new FakeApi();
    api.streams = Array.from({ length: 400 }, (_, index) => stream(`cam-${index}`));
    api.streams.push(stream('stage', 'good', { app: 'events/eu' }));
    const { page } = await open(api);
    await page.locator('.card').first().waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('events stage');
    expect(await names(page)).toEqual(['events/eu/stage']);
    expect(await page.locator('#filter-count').textContent()).toBe('1 of 401');

    const button = page.getByRole('button', { name: 'Disconnect events/eu/stage' });
    await button.press('Enter');
    await page.locator('#kick-title', { hasText: 'Disconnect events/eu/stage?' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#kick').waitFor({ state: 'hidden' });
    expect(api.deleted).toEqual([]);
    await button.click();
    await page.locator('#kick-confirm').click();
    await page.locator('#kick').waitFor({ state: 'hidden' });
    expect(api.deleted).toEqual(['/api/streams/events/eu/stage?block=30']);
  });

  test('shows a real publisher and disconnects it', async () => {
    const clip = await publishPaced({
      port: gateway.rtmpPort,
      key: 'real',
      tags: readClip('h264_aac'),
      loop: true,
    });
    const seen = await visit(browser, `${gateway.httpUrl}dashboard`);
    const card = seen.page.locator('.card', { hasText: 'real' });
    await card.locator('.card-fact', { hasText: 'H.264' }).waitFor();
    expect(await card.locator('.card-publisher').textContent()).toContain('127.0.0.1');
    await card.getByRole('button', { name: 'Disconnect real' }).click();
    await seen.page.locator('#kick-confirm').click();
    await clip.closed;
    await card.locator('.badge', { hasText: 'Ended' }).waitFor();
    expectNoComplaints(seen, gateway.httpUrl);
  });

  test('asks for the token, keeps it for the tab and out of every address', async () => {
    const api = new FakeApi();
    api.token = 'correct-horse';
    api.streams = [stream('cam')];
    const seen = await open(api);
    const { page } = seen;
    await page.locator('#token').waitFor();
    await page.locator('#token').fill('wrong');
    await page.keyboard.press('Enter');
    await page.locator('#token-rejected').waitFor();
    await page.locator('#token').fill(api.token);
    await page.keyboard.press('Enter');
    await page.locator('.card', { hasText: 'cam' }).waitFor();
    await page.reload();
    await page.locator('.card', { hasText: 'cam' }).waitFor();
    expect(seen.requests.join(' ')).not.toContain(api.token);
    expect(await page.content()).not.toContain(api.token);
    // It was changed on the gateway meanwhile.
    api.token = 'another';
    await page.locator('#token').waitFor();
    expect(await page.locator('.card').count()).toBe(0);
    expectNoComplaints(seen, gateway.httpUrl, /401/);
  });

  test('explains why it does not open from elsewhere', async () => {
    const api = new FakeApi();
    api.refusal = { status: 403, code: 'SLUICE_API_LOOPBACK_ONLY' };
    const { page } = await open(api);
    await page.locator('#locked-panel', { hasText: 'api:' }).waitFor();
  });

  test('says when the gateway is gone, and goes on when it is back', async () => {
    const api = new FakeApi();
    api.streams = [stream('cam')];
    const { page } = await open(api);
    await page.locator('.card').waitFor();
    api.away = true;
    await page
      .locator('#lost-text', { hasText: 'The gateway does not answer. Everything below is from' })
      .waitFor();
    expect(await page.locator('#board').getAttribute('inert')).not.toBeNull();
    api.away = false;
    await page.locator('#lost').waitFor({ state: 'hidden' });
    expect(await page.locator('#board').getAttribute('inert')).toBeNull();
  });
});
