import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Packet } from '../../src/media/packet.ts';
import { msFromTicks } from '../../src/media/time.ts';
import { systemClock } from '../../src/servers/system-clock.ts';
import { type Ffmpeg, makeFfmpegFinder } from '../../src/transcode/ffmpeg/ffmpeg.ts';
import { processStat } from '../processes/support.ts';
import { start } from '../support/ffmpeg.ts';
import { until } from '../support/until.ts';
import {
  audioOutput,
  encodeAll,
  packetsOf,
  startEncoder,
  timesOf,
  trackOf,
  videoOutput,
} from '../transcode/ffmpeg/support.ts';

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

describe('what was asked for', () => {
  it('every second frame, but every keyframe', async () => {
    const source = packetsOf('h264_aac', 'video');
    const [half = []] = await encodeAll(source, { ffmpeg, outputs: [videoOutput({ frameDivisor: 2 })] });
    const wanted: Packet[] = [];
    let last = Number.NEGATIVE_INFINITY;
    source.forEach((packet, index) => {
      if (!packet.keyframe && index - last < 2) return;
      last = index;
      wanted.push(packet);
    });
    expect(timesOf(half)).toEqual(timesOf(wanted));
    expect(half.length).toBeLessThan(source.length * 0.55);
  });

  it('keyframes besides those of the source', async () => {
    const source = packetsOf('h264_aac', 'video');
    const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [videoOutput({ gop: 0.5 })] });
    const keyframes = encoded.filter(({ keyframe }) => keyframe).map(({ pts }) => pts);
    for (const { pts, keyframe } of source) if (keyframe) expect(keyframes).toContain(pts);
    const steps = keyframes.slice(1).map((pts, index) => msFromTicks(pts - (keyframes[index] ?? 0)));
    expect(Math.max(...steps)).toBeLessThanOrEqual(520);
  });

  it.each([
    [{ width: null, height: null }, 640, 360],
    [{ width: null, height: 161 }, 284, 160],
    [{ width: 99, height: null }, 98, 56],
    [{ width: 2, height: 2 }, 2, 2],
    [{ width: 160, height: 288 }, 160, 288],
  ])('size %j', async (size, width, height) => {
    const source = packetsOf('h264_aac', 'video').slice(0, 30);
    const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [videoOutput(size)] });
    expect(encoded[0]?.track).toMatchObject({ codec: 'h264', width, height });
    expect(encoded).toHaveLength(30);
  });

  it('bit rate and profile', async () => {
    const source = packetsOf('h264_aac', 'video');
    const outputs = [
      videoOutput({ height: 360, bitrate: 150_000, preset: 'veryfast', profile: 'main' }),
      videoOutput({ height: 360, bitrate: 600_000, preset: 'veryfast', profile: 'high' }),
    ];
    const encoded = await encodeAll(source, { ffmpeg, outputs });
    const bitrates = encoded.map((packets) => (sizeOf(packets) * 8) / 10);
    expect(bitrates[0]).toBeLessThan(150_000 * 1.15);
    expect(bitrates[1]).toBeLessThan(600_000 * 1.15);
    expect(bitrates[1]).toBeGreaterThan((bitrates[0] ?? 0) * 1.5);
    expect(encoded.map(([packet]) => packet?.track.codecString?.slice(0, 7))).toEqual(['avc1.4d', 'avc1.64']);
  });

  it('60 frames per second whose times are not whole milliseconds', async () => {
    const source = packetsOf('h264b_aac', 'video').map((packet): Packet => {
      // 25 to 60000/1001 frames per second.
      const scale = (time: number) => Math.round((time * 1501.5) / 3600);
      return { ...packet, dts: scale(packet.dts), pts: scale(packet.pts) };
    });
    const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [videoOutput()] });
    expect(timesOf(encoded)).toEqual(timesOf(source));
  });

  it('begins with the first keyframe', async () => {
    const source = packetsOf('h264_aac', 'video').slice(10);
    const first = source.findIndex(({ keyframe }) => keyframe);
    const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [videoOutput()] });
    expect(timesOf(encoded)).toEqual(timesOf(source.slice(first)));
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

it('a gap in the sound becomes silence', async () => {
  const source = packetsOf('h264_aac', 'audio').filter(
    ({ pts }) => msFromTicks(pts) < 3000 || msFromTicks(pts) > 4000,
  );
  const [encoded = []] = await encodeAll(source, { ffmpeg, outputs: [audioOutput()] });
  const steps = encoded.slice(1).map(({ pts }, index) => msFromTicks(pts - (encoded[index]?.pts ?? 0)));
  expect(Math.max(...steps)).toBeLessThan(22);
  expect(Math.abs(msFromTicks((encoded.at(-1)?.pts ?? 0) - (source.at(-1)?.pts ?? 0)))).toBeLessThan(60);
});

describe('processes', () => {
  it('200 encoders leave no descriptor and no process behind', async () => {
    const source = packetsOf('h264_only', 'video').slice(0, 5);
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const cycle = async (index: number) => {
      const { encoder, exited } = startEncoder({
        ffmpeg,
        input: trackOf(source),
        outputs: [videoOutput(), videoOutput()],
      });
      for (const packet of source) encoder.write(packet);
      // Some in the middle of their start, some at their leisure.
      if (index % 4 === 0) encoder.finish();
      else if (index % 4 === 1) process.kill(encoder.pid ?? 0, 'SIGKILL');
      else encoder.stop();
      await exited;
      return encoder.pid;
    };
    await cycle(0);
    const before = descriptors();
    for (let round = 0; round < 50; round++) {
      const pids = await Promise.all([0, 1, 2, 3].map(cycle));
      for (const pid of pids) expect(processStat(pid ?? 0)).toBeNull();
    }
    await until('the descriptors to be closed', () => descriptors() <= before);
  }, 240_000);

  it('ffmpeg ends by itself when the gateway is killed', async () => {
    const gateway = start('node', ['--input-type=module', '-e', ORPHANING, DIST, ffmpeg.path]);
    const pid = Number(await until('its ffmpeg', () => /^pid (\d+)$/m.exec(gateway.stdout)?.[1]));
    await until('the first packet', () => gateway.stdout.includes('packet'));
    expect(processStat(pid)).not.toBeNull();
    gateway.signal('SIGKILL');
    await gateway.exited;
    await until('the end of ffmpeg', () => processStat(pid) === null, 5000);
  });
});

const DIST = new URL('../../dist/', import.meta.url).href;

/** A process with an encoder that is fed for ever. */
const ORPHANING = `
const [dist, path] = process.argv.slice(1);
const { startTrackEncoder } = await import(dist + 'transcode/track-encoder.js');
const { FlvDemuxer } = await import(dist + 'formats/flv/demuxer.js');
const { readFlvFile } = await import(dist + 'formats/flv/tags.js');
const { systemClock } = await import(dist + 'servers/system-clock.js');
const { readFileSync } = await import('node:fs');
const packets = [];
const demuxer = new FlvDemuxer((frame) => packets.push({ ...frame, dts: frame.timestamp * 90, pts: frame.timestamp * 90 }), () => {});
for (const { type, timestamp, body } of readFlvFile(readFileSync('test/fixtures/clips/h264_aac.flv'))) {
  if (type === 9) demuxer.pushVideo(timestamp, body);
}
const encoder = startTrackEncoder({
  ffmpeg: { path, version: { major: 5, minor: 1 }, encoders: new Set(['libx264']), decoders: new Set(['h264']) },
  input: packets[0].track,
  outputs: [{ kind: 'video', name: 'x', width: null, height: 160, bitrate: 200000, frameDivisor: 1, codec: 'h264',
    encoder: 'libx264', preset: 'ultrafast', profile: null, gop: null }],
  niceness: 0, threads: 1, clock: systemClock,
  onPacket: () => console.log('packet'),
  onExit: ({ error }) => console.log('exit', error),
});
console.log('pid ' + encoder.pid);
let index = 0;
setInterval(() => {
  const packet = packets[index % packets.length];
  const time = packet.pts + Math.floor(index / packets.length) * 900000;
  encoder.write({ ...packet, pts: time, dts: time });
  index++;
}, 20);
`;

function sizeOf(packets: readonly Packet[]): number {
  return packets.reduce((sum, { data }) => sum + data.length, 0);
}

function leadOf(packet: Packet | undefined): number {
  return packet === undefined ? 0 : packet.pts - packet.dts;
}
