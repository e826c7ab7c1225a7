import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, publishTestPicture } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { joined, Viewer } from '../support/viewer.ts';

const AWAY_MS = 3000;

let gateway: TestGateway;
let impatient: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
  impatient = await startGateway({ publish: { graceWindow: 2 } });
});

afterAll(async () => {
  await Promise.all([gateway.stop(), impatient.stop()]);
});

async function watch(url: string): Promise<Viewer> {
  await until(`${url} to be playable`, async () => (await fetch(url)).ok);
  const viewer = new Viewer(url);
  viewer.watch();
  return viewer;
}

/** One playlist throughout, with a single DISCONTINUITY, and everything in it decodes. */
async function expectOneInterruption(viewer: Viewer): Promise<void> {
  expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
  expect(viewer.refusals).toEqual([]);
  expect(viewer.ended).toBe(false);
  const numbers = viewer.segments.map((segment) => segment.mediaSequence);
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
  expect(viewer.parts).toHaveLength(2);
  for (const part of viewer.parts) expect((await decode(joined(part))).video.length).toBeGreaterThan(50);
}

describe.concurrent('a publisher', () => {
  test('that is killed and comes back 3 s later continues the same playlist', async () => {
    const first = publishTestPicture(gateway.rtmp('killed'));
    const viewer = await watch(gateway.hls('killed'));
    await until('three segments', () => viewer.count >= 3);
    await first.stop();
    viewer.validator.publisherAway(true);
    await gateway.streamWhen('killed', ({ state }) => state === 'grace');
    const before = viewer.count;
    await delay(AWAY_MS);
    const second = publishTestPicture(gateway.rtmp('killed'));
    await gateway.streamWhen('killed', ({ state }) => state === 'live');
    viewer.validator.publisherAway(false);
    await until('three more segments', () => viewer.count >= before + 4);
    viewer.validator.publisherAway(true);
    await second.stop();
    await viewer.leave();
    await expectOneInterruption(viewer);
  });

  test('that takes over from one still connected continues the same playlist', async () => {
    const tags = readClip('h264b_aac');
    const old = await publishPaced({ port: gateway.rtmpPort, key: 'taken', tags });
    const viewer = await watch(gateway.hls('taken'));
    await until('two segments', () => viewer.count >= 2);
    const other = readClip('h264_aac');
    const newer = await publishPaced({ port: gateway.rtmpPort, key: 'taken', tags: other });
    await old.closed;
    await until('segments of the newer', () => viewer.count >= 6);
    viewer.validator.publisherAway(true);
    await newer.stop();
    await viewer.leave();
    await expectOneInterruption(viewer);
  });

  test('that stays away beyond the grace window leaves an ended playlist, later none', async () => {
    const url = impatient.hls('gone');
    const tags = readClip('h264_aac');
    const publisher = await publishPaced({ port: impatient.rtmpPort, key: 'gone', tags });
    const viewer = await watch(url);
    await until('two segments', () => viewer.count >= 2);
    viewer.validator.publisherAway(true);
    const leftAt = performance.now();
    publisher.abort();
    await until('ENDLIST', () => viewer.ended);
    expect(performance.now() - leftAt).toBeGreaterThan(1900);
    await viewer.leave();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.refusals).toEqual([]);
    expect(await impatient.stream('gone')).toMatchObject({ state: 'ended' });

    const gone = await until(
      'the playlist to go',
      async () => {
        const response = await fetch(url);
        return response.status === 404 && response;
      },
      30_000,
    );
    expect(await gone.json()).toMatchObject({ code: 'SLUICE_HTTP_NOT_FOUND' });
    const [segment] = viewer.segments;
    const segmentUrl = new URL(`gone/${segment?.uri}`, url);
    expect((await fetch(segmentUrl)).status).toBe(404);
    expect(await impatient.stream('gone')).toBeUndefined();
  });

  test('that comes back after the end begins a new playlist with higher numbers', async () => {
    const tags = readClip('h264_aac');
    const url = impatient.hls('again');
    const first = await publishPaced({ port: impatient.rtmpPort, key: 'again', tags });
    const viewer = await watch(url);
    await until('a segment', () => viewer.count >= 1);
    viewer.validator.publisherAway(true);
    await first.stop();
    await until('ENDLIST', () => viewer.ended);
    await viewer.leave();
    const second = await publishPaced({ port: impatient.rtmpPort, key: 'again', tags });
    const next = await watch(url);
    await until('a segment', () => next.count >= 1);
    next.validator.publisherAway(true);
    await second.stop();
    await next.leave();
    expect(next.validator.errors, next.validator.summary().text).toEqual([]);
    expect(next.segments[0]?.mediaSequence).toBeGreaterThan(viewer.segments.at(-1)?.mediaSequence ?? 0);
    expect(next.segments[0]?.discontinuity).toBe(false);
  });
});
