import { beforeAll, describe, expect, it } from 'vitest';
import type { Packet } from '../../src/media/packet.ts';
import { msFromTicks } from '../../src/media/time.ts';
import { systemClock } from '../../src/servers/system-clock.ts';
import { type Ffmpeg, makeFfmpegFinder } from '../../src/transcode/ffmpeg/ffmpeg.ts';
import { audioOutput, encodeAll, packetsOf, timesOf, videoOutput } from '../transcode/ffmpeg/support.ts';

let ffmpeg: Ffmpeg;

beforeAll(async () => {
  ffmpeg = await makeFfmpegFinder({ configured: () => undefined, clock: systemClock }).find();
});

describe('video through ffmpeg', () => {
  it.each(['h264_aac', 'h264b_aac', 'flv1_mp3', 'hevc_aac', 'vp9_aac', 'av1_aac'])(
    'every frame of %s comes out at its own time, with keyframes where the source has them',
    async (clip) => {
      const source = packetsOf(clip, 'video');
      const outputs = [videoOutput(), videoOutput({ name: '90p', height: 90 })];
      const encoded = await encodeAll(source, { ffmpeg, outputs });
      for (const packets of encoded) expect(timesOf(packets)).toEqual(timesOf(source));
    },
  );

  it('decodes in the order of presentation, with the lead of the source', async () => {
    const source = packetsOf('h264b_aac', 'video');
    const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [videoOutput()] });
    const lead = leadOf(source[0]);
    expect(lead).toBeGreaterThan(0);
    expect(new Set(encoded.map(leadOf))).toEqual(new Set([lead]));
    expect(encoded[0]?.dts).toBe(source[0]?.dts);
  });
});

describe('sound through ffmpeg', () => {
  it.each(['h264_aac', 'h264_mp3', 'h264_opus', 'h264_ac3'])('%s becomes AAC without gaps', async (clip) => {
    const source = packetsOf(clip, 'audio');
    const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [audioOutput()] });
    const first = source[0]?.pts ?? 0;
    const last = source.at(-1)?.pts ?? 0;
    const steps = encoded.slice(1).map(({ pts }, index) => msFromTicks(pts - (encoded[index]?.pts ?? 0)));
    expect(Math.max(...steps)).toBeLessThan(21.4);
    expect(Math.min(...steps)).toBeGreaterThan(21.3);
    expect(Math.abs(msFromTicks((encoded[0]?.pts ?? 0) - first))).toBeLessThan(22);
    expect(Math.abs(msFromTicks((encoded.at(-1)?.pts ?? 0) - last))).toBeLessThan(60);
  });
});

function leadOf(packet: Packet | undefined): number {
  return packet === undefined ? 0 : packet.pts - packet.dts;
}
