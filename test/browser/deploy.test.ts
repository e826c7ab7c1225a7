import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../support/free-port.ts';
import { type SluiceProcess, startSluice } from '../support/sluice.ts';
import { publishSteadily } from '../support/steady-publisher.ts';
import { until } from '../support/until.ts';
import { launchBrowser } from './support.ts';

// Somebody's own page with hls.js as it comes: nothing of ours that could make up for what the gateway does.

const HLS = fileURLToPath(import.meta.resolve('hls.js')).replace(/[^/]*$/, 'hls.min.js');
/** Seconds of media; more than was buffered when the process ended. */
const GOES_ON = 14;

let browser: Browser;
let folder: string;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  browser = await launchBrowser();
  folder = await mkdtemp(join(tmpdir(), 'sluice-deploy-'));
});

afterAll(async () => {
  await browser.close();
  await Promise.all(stops.map((stop) => stop()));
  await rm(folder, { recursive: true, force: true });
});

test.concurrent.each(['memory', 'disk'])(
  'hls.js plays on over a deploy, with segments in %s',
  async (type) => {
    const [rtmp = 0, http = 0] = await freePorts(2);
    const begin = (): SluiceProcess => {
      const program = startSluice(
        ['--host', '127.0.0.1', '--rtmp-port', String(rtmp), '--http-port', String(http)],
        { SLUICE_STORAGE_TYPE: type, SLUICE_STORAGE_DIRECTORY: join(folder, type) },
      );
      stops.push(() => program.stop());
      return program;
    };
    const first = begin();
    await first.ready;
    const publisher = publishSteadily({ port: rtmp, key: 'cam' });
    stops.push(() => publisher.stop());
    const playlist = `http://127.0.0.1:${http}/hls/cam.m3u8`;
    await until('the stream', async () => (await fetch(playlist)).ok);

    const page = await browser.newPage();
    await page.setContent(`<body data-playlist="${playlist}"><video muted></video>`);
    await page.addScriptTag({ path: HLS });
    await page.addScriptTag({ content: PLAY });
    await until('playback', async () => (await state(page)).time > 1);

    const second = begin();
    await until('the second process to wait', () =>
      second.log.some(({ msg }) => msg.startsWith('waiting for')),
    );
    first.signal('SIGTERM');
    await second.ready;
    const { time } = await state(page);
    await until('playback of what came after', async () => (await state(page)).time > time + GOES_ON, 60_000);
    const { fatal, ended } = await state(page);
    expect({ fatal, ended }).toEqual({ fatal: [], ended: false });
    await publisher.stop();
    await second.stop();
  },
);

interface Playback {
  readonly time: number;
  readonly ended: boolean;
  readonly fatal: readonly string[];
}

const PLAY = `
  const video = document.querySelector('video');
  const fatal = [];
  const hls = new Hls();
  hls.on('hlsError', (event, data) => data.fatal && fatal.push(data.details));
  hls.loadSource(document.body.dataset.playlist);
  hls.attachMedia(video);
  video.play();
  window.playback = () => ({ time: video.currentTime, ended: video.ended, fatal });
`;

function state(page: Page): Promise<Playback> {
  return page.evaluate<Playback>('playback()');
}
