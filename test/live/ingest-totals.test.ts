import { expect, it } from 'vitest';
import { IngestTotals, ingestFigures } from '../../src/live/ingest-totals.ts';
import { readClip, Studio } from '../support/publish-clip.ts';

it('totals go on counting when a stream is gone', async () => {
  const first = new Studio();
  await first.publish(readClip('h264_aac'));
  const second = new Studio();
  await second.publish(readClip('aac_only'));
  const [one, two] = [ingestFigures(first.stream.stats), ingestFigures(second.stream.stats)];
  const totals = new IngestTotals();
  const both = totals.with([first.stream.stats, second.stream.stats]);
  expect(one.frames.video).toBe(250);
  expect(both.receivedBytes).toBe(one.receivedBytes + two.receivedBytes);
  expect(both.frames).toEqual({ video: 250, audio: one.frames.audio + two.frames.audio });
  expect(both.dropped.before_keyframe).toBe(one.dropped.before_keyframe + two.dropped.before_keyframe);

  totals.end(first.stream.stats);
  expect(totals.with([second.stream.stats])).toEqual(both);
  totals.end(second.stream.stats);
  expect(totals.with([])).toEqual(both);
});
