import { afterAll, beforeAll, expect, test } from 'vitest';
import { decode, LIVE, start } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { joined, Viewer } from '../support/viewer.ts';

/** OBS with x264 and its keyframe interval left at 0 (automatic): 250 frames. */
const KEYFRAMES = ['-g', '250', '-keyint_min', '250', '-sc_threshold', '0'];
const SECONDS = 20;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(async () => {
  await gateway.stop();
});

test('keyframes every 8.3 s make long segments, a fixed target duration and a warning', async () => {
  const publisher = start('ffmpeg', [
    ...['-v', 'error', '-nostdin', ...LIVE.picture(30), ...LIVE.tone, ...LIVE.h264, ...LIVE.lowDelay],
    ...[...KEYFRAMES, ...LIVE.aac, '-t', String(SECONDS), '-f', 'flv', gateway.rtmp('rare')],
  ]);
  await until('the first segment', async () => (await fetch(gateway.hls('rare'))).ok);
  const viewer = new Viewer(gateway.hls('rare'));
  viewer.watch();
  const { warnings, keyframeInterval, targetDuration } = await gateway.streamWhen(
    'rare',
    ({ warnings: all }) => all.length > 0,
  );
  await until('the publisher to finish', () => !publisher.isRunning, 30_000);
  viewer.validator.publisherAway(true);
  await until('the last segment', () => viewer.count === 3);
  await viewer.leave();

  expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
  expect(viewer.targetDurations).toEqual([9]);
  const durations = viewer.segments.map(({ duration }) => duration);
  expect(durations).toEqual([
    expect.closeTo(250 / 30, 2),
    expect.closeTo(250 / 30, 2),
    expect.closeTo(SECONDS - 500 / 30, 1),
  ]);
  expect((await decode(joined(viewer.segments))).video).toHaveLength(SECONDS * 30);

  expect(warnings).toEqual([
    {
      code: 'keyframe-interval-long',
      severity: 'warning',
      message: expect.stringContaining('8.3 s'),
      fix: expect.stringContaining(
        'In OBS: Settings > Output > Output Mode "Advanced" > Streaming > Keyframe Interval: 2 s',
      ),
    },
  ]);
  expect(keyframeInterval).toBeCloseTo(250 / 30, 2);
  expect(targetDuration).toBe(9);
  const told = gateway.log.filter(({ fields }) => fields.code === 'keyframe-interval-long');
  expect(told).toHaveLength(1);
});
