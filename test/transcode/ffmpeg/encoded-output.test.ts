import { expect, it } from 'vitest';
import { aacTrack } from '../../../src/codecs/aac.ts';
import { flvConfigTag, flvFileHeader, flvTag } from '../../../src/formats/flv/writer.ts';
import { msFromTicks } from '../../../src/media/time.ts';
import { makeEncodedOutput } from '../../../src/transcode/ffmpeg/encoded-output.ts';
import { SourceTimes } from '../../../src/transcode/ffmpeg/source-times.ts';

it('time goes on after 25 days, when the timestamps of ffmpeg begin again', () => {
  const times = new SourceTimes();
  times.ms(0);
  const output = makeEncodedOutput({
    output: { kind: 'audio', name: 'a0', bitrate: 128_000, sampleRate: 48_000, channels: 2 },
    times,
    lead: () => 0,
  });
  const track = aacTrack('a0', Uint8Array.of(0x11, 0x90));
  output.push(Buffer.concat([flvFileHeader(false, true), flvConfigTag(track, 0) ?? Buffer.alloc(0)]));
  const start = 2 ** 31 - 100;
  const pts: number[] = [];
  for (let frame = 0; frame < 10; frame++) {
    const timestampMs = Math.round(start + (frame * 1024) / 48) % 2 ** 31;
    const tag = flvTag(track, {
      ...{ timestampMs, compositionOffsetMs: 0, keyframe: true, data: new Uint8Array(9) },
    });
    pts.push(...output.push(tag).map((packet) => msFromTicks(packet.pts)));
  }
  expect(pts).toHaveLength(10);
  pts.forEach((ms, frame) => {
    expect(ms - (start - 10_000)).toBeCloseTo((frame * 1024) / 48, -1);
  });
  expect(output.newestMs).toBeGreaterThan(2 ** 31);
});
