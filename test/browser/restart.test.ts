import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, run, start } from '../support/ffmpeg.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { expectNoComplaints, launchBrowser, moves, playbackIs, visit } from './support.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

let browser: Browser;
let folder: string;
const started: Running[] = [];

beforeAll(async () => {
  await run('npm', ['run', 'build'], { cwd: ROOT });
  browser = await launchBrowser();
  folder = await mkdtemp(join(tmpdir(), 'sluice-restart-'));
}, 120_000);

afterAll(async () => {
  await browser.close();
  await Promise.all(started.map((program) => program.stop()));
  await rm(folder, { recursive: true });
});

/** The gateway as a process of its own, which can be killed. */
async function startSluice(storage: string, ports = { rtmp: 0, http: 0 }) {
  const program = start(
    'node',
    [
      `${ROOT}dist/cli.js`,
      ...['--host', '127.0.0.1', '--rtmp-port', String(ports.rtmp), '--http-port', String(ports.http)],
    ],
    {
      env: {
        ...process.env,
        SLUICE_STORAGE_TYPE: storage,
        SLUICE_STORAGE_DIRECTORY: join(folder, storage),
      },
    },
  );
  started.push(program);
  const screen = /rtmp:\/\/127\.0\.0\.1:(\d+)\/.*http:\/\/127\.0\.0\.1:(\d+)\//s;
  const found = await until('the start screen', () => {
    if (!program.isRunning) throw new Error(`it gave up: ${program.stderr}`);
    return screen.exec(program.stdout);
  });
  return { program, rtmp: Number(found[1]), http: Number(found[2]) };
}

/** A clip with a keyframe every second, in real time until the gateway is gone. */
const publish = (port: number) => publishPaced({ port, key: 'cam', tags: readClip('h264_aac'), loop: true });

test.concurrent.each(['memory', 'disk'])(
  'the player page goes on by itself after a gateway with segments on %s was killed and started again',
  async (storage) => {
    const first = await startSluice(storage);
    const origin = `http://127.0.0.1:${first.http}/`;
    const before = await publish(first.rtmp);
    const seen = await visit(browser, `${origin}?stream=cam`);
    const { page } = seen;
    await playbackIs(page, 'playing');
    await moves(page, 1);

    first.program.signal('SIGKILL');
    await before.closed;
    await page.locator('#gateway-status', { hasText: 'Gateway not answering' }).waitFor();
    // What was buffered is played, then the page says what it waits for.
    await page.locator('#pill:visible, #overlay:visible', { hasText: /gateway/i }).waitFor();

    const second = await startSluice(storage, first);
    const after = await publish(second.rtmp);
    await playbackIs(page, 'playing');
    await moves(page, 2);
    await until('the live edge', async () => (await page.locator('#live-label').textContent()) === 'Live');
    expect(seen.navigations()).toBe(0);
    expectNoComplaints(seen, origin, /404|ERR_CONNECTION_(?:REFUSED|RESET)|ERR_EMPTY_RESPONSE|ERR_SOCKET/);
    await after.stop();
  },
);
