import { expect, it } from 'vitest';
import { createFlvIngest } from '../../src/live/flv-ingest.ts';
import { Stream } from '../../src/live/stream.ts';
import type { SluiceError } from '../../src/media/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { isFrame, isVideo, readClip, Studio } from '../support/publish-clip.ts';

it('drops, counts and reports a damaged message, and goes on', async () => {
  const studio = new Studio();
  const ingest = studio.connect();
  ingest.video(0, Buffer.of(0x17));
  ingest.audio(0, Buffer.of(0xaf));
  ingest.video(0, Buffer.of(0x17, 0, 0, 0, 0, 1));
  await studio.send(ingest, readClip('h264_aac'));
  await studio.end(ingest);
  expect(studio.damage.map(({ code }) => code)).toEqual([
    'SLUICE_FLV_MALFORMED',
    'SLUICE_FLV_MALFORMED',
    'SLUICE_CODEC_MALFORMED',
  ]);
  expect(studio.stream.stats.damagedMessages).toBe(3);
  expect(studio.packets.length).toBe(readClip('h264_aac').filter(isFrame).length - 1);
});

it('lets faults that are not the publisher’s pass through', () => {
  const stream = new Stream('live', 'a', {
    clock: new FakeClock(),
    graceMs: () => 0,
    onState: () => {},
    onEpoch: () => {
      throw new TypeError('a fault in the gateway');
    },
    onSinkFault: () => {},
  });
  const reported: SluiceError[] = [];
  const ingest = createFlvIngest(stream.publish({ address: '', encoder: null, dismiss: () => {} }), (e) =>
    reported.push(e),
  );
  ingest.announce({ video: true, audio: true });
  expect(() => {
    for (const tag of readClip('h264_aac')) {
      if (isVideo(tag)) ingest.video(tag.timestamp, tag.body);
      else ingest.audio(tag.timestamp, tag.body);
    }
  }).toThrow(TypeError);
  expect(reported).toEqual([]);
});
