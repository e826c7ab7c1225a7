import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, publishTestPicture, run } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { joined, Viewer } from '../support/viewer.ts';

const AWAY_MS = 4000;
/** Shorter than usual, so that there is less to wait for. */
const PUBLISHER = ['-g', '38', '-keyint_min', '38'];

let gateway: TestGateway;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-slate-'));
  const image = join(folder, 'back soon.png');
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'color=red:size=320x200', '-frames:v', '1', image],
  ]);
  gateway = await startGateway({
    publish: { slate: 'last' },
    hls: { segmentDuration: 1.5 },
    applications: {
      bars: { publish: { slate: 'bars' } },
      image: { publish: { slate: image } },
      nothing: { publish: { slate: join(folder, 'nothing.png') } },
      none: { publish: { slate: 'none' } },
      short: { publish: { graceWindow: 2 } },
    },
  });
});

afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true });
});

async function watch(name: string): Promise<Viewer> {
  const url = gateway.hls(name);
  await until(`${url} to be playable`, async () => (await fetch(url)).ok);
  const viewer = new Viewer(url);
  viewer.watch();
  return viewer;
}

describe.concurrent('a publisher that drops for 4 s and comes back', () => {
  test.each(['last', 'bars', 'image', 'nothing'])(
    'is covered by the slate "%s", in a playlist that never stops',
    async (app) => {
      const key = 'cam';
      const path = app === 'last' ? key : `${app}/${key}`;
      const where = app === 'last' ? 'live' : app;
      const first = publishTestPicture(gateway.rtmp(key, where), [...PUBLISHER, '-bf', '2']);
      const viewer = await watch(path);
      await until('a segment', () => viewer.count >= 1, 30_000);
      await first.stop();
      const away = await until('the slate', async () => {
        const stream = await gateway.stream(key, where);
        return stream?.state === 'grace' && stream;
      });
      expect(away.slate).toBe(true);
      const before = viewer.count;
      await delay(AWAY_MS);
      expect(viewer.count).toBeGreaterThanOrEqual(before + 2);
      const second = publishTestPicture(gateway.rtmp(key, where), PUBLISHER);
      await until('the publisher', async () => {
        const stream = await gateway.stream(key, where);
        return stream?.state === 'live' && !stream.slate;
      });
      await until('its first segment', () => /#EXT-X-DISCONTINUITY\s/.test(viewer.playlist), 30_000);
      await viewer.leave();
      await second.stop();

      expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
      expect(viewer.refusals).toEqual([]);
      expect(viewer.ended).toBe(false);
      expect(viewer.parts).toHaveLength(2);
      const [shown = [], after = []] = viewer.parts;
      const { video, audio } = await decode(joined(shown));
      const seconds = shown.reduce((sum, { duration }) => sum + duration, 0);
      expect(Math.abs(video.length - seconds * 25)).toBeLessThan(5);
      expect(Math.abs(audio.length - (seconds * 48_000) / 1024)).toBeLessThan(5);
      // The picture stands still to the end, bit by bit.
      expect(new Set(video.slice(-AWAY_MS / 60)).size).toBe(1);
      await decode(joined(after));
      const made = gateway.log.filter(({ fields }) => String(fields.slate ?? '').includes('nothing'));
      if (app === 'nothing') expect(made).toHaveLength(1);
    },
  );

  test('gets no slate where none is wanted', async () => {
    const publisher = await publishPaced({
      ...{ port: gateway.rtmpPort, app: 'none', key: 'cam', tags: readClip('h264_aac') },
    });
    const viewer = await watch('none/cam');
    await until('two segments', () => viewer.count >= 2);
    viewer.validator.publisherAway(true);
    publisher.abort();
    const stream = await until('grace', async () => {
      const found = await gateway.stream('cam', 'none');
      return found?.state === 'grace' && found;
    });
    expect(stream.slate).toBe(false);
    await viewer.leave();
  });

  test('finds an ended playlist when the grace window is over', async () => {
    const publisher = await publishPaced({
      ...{ port: gateway.rtmpPort, app: 'short', key: 'cam', tags: readClip('h264_mp3') },
    });
    const viewer = await watch('short/cam');
    await until('two segments', () => viewer.count >= 2);
    publisher.abort();
    await until('ENDLIST', () => viewer.ended, 20_000);
    await viewer.leave();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.parts).toHaveLength(1);
    await decode(joined(viewer.segments));
  });
});
