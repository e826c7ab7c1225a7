import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { FlvDemuxer } from '../../src/formats/flv/demuxer.ts';
import { FlvTagReader } from '../../src/formats/flv/tag-reader.ts';
import { TAG_TYPE } from '../../src/formats/flv/tags.ts';
import { flvConfigTag, flvFileHeader, flvTag } from '../../src/formats/flv/writer.ts';
import { matroskaFrame, matroskaHeader } from '../../src/formats/matroska/writer.ts';
import type { Frame } from '../../src/media/frame.ts';
import type { AudioTrack, Track } from '../../src/media/track.ts';
import { run } from '../support/ffmpeg.ts';

const CLIPS = fileURLToPath(new URL('../fixtures/clips/', import.meta.url));
const clips = readdirSync(CLIPS).map((file) => file.replace(/\.flv$/, ''));
/** Those without Enhanced RTMP: any ffmpeg reads them as they are. */
const CLASSIC = [
  'aac_only',
  'aac_ratechange',
  'bbb',
  'flv1_mp3',
  'h264_44k',
  'h264_aac',
  'h264_mp3',
  'h264_only',
  'h264_reschange',
  'h264b_aac',
  'ts_jump_fwd',
  'ts_wrap32',
];
/** Room for presentation times before the first decode time. */
const LEAD_MS = 10_000;

const folder = mkdtempSync(join(tmpdir(), 'sluice-writers-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A decoded frame: presentation time in the units of its time base, its size in bytes, what it looks or sounds like. */
interface Decoded {
  readonly pts: number;
  readonly size: number;
  readonly hash: string;
}

interface Decoding {
  readonly frames: readonly Decoded[];
  /** Seconds of one unit of `pts`. */
  readonly timeBase: number;
  readonly dimensions: string | null;
  /** What ffmpeg had to complain about. */
  readonly stderr: string;
}

const decodings = new Map<string, Promise<Decoding>>();

/** Frames as they come out of the decoder, at the times of the container. Clips share tracks: each is decoded once. */
function decode(input: string | Buffer, format: string, ...extra: readonly string[]): Promise<Decoding> {
  const name = typeof input === 'string' ? input : createHash('sha1').update(input).digest('hex');
  const key = [name, format, ...extra].join(' ');
  const decoding = decodings.get(key) ?? runDecoder(input, format, extra);
  decodings.set(key, decoding);
  return decoding;
}

async function runDecoder(
  input: string | Buffer,
  format: string,
  extra: readonly string[],
): Promise<Decoding> {
  const { stdout, stderr } = await run(
    'ffmpeg',
    [
      ...['-v', 'error', '-xerror', '-copyts', '-f', format],
      ...['-i', typeof input === 'string' ? input : 'pipe:0', ...extra],
      ...['-autoscale', '0', '-fps_mode', 'passthrough', '-enc_time_base', '-1', '-f', 'framemd5', '-'],
    ],
    typeof input === 'string' ? {} : { stdin: input },
  );
  const [, above = '0', below = '1'] = /^#tb 0: (\d+)\/(\d+)$/m.exec(stdout) ?? [];
  // stream, dts, pts, duration, size, hash
  const frames = stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').map((column) => column.trim()))
    .map(([, , pts, , size, hash = '']) => ({ pts: Number(pts), size: Number(size), hash }));
  const dimensions = /^#dimensions 0: (\S+)$/m.exec(stdout)?.[1] ?? null;
  return { frames, timeBase: Number(above) / Number(below), dimensions, stderr };
}

function hashes({ frames }: Pick<Decoding, 'frames'>): string[] {
  return frames.map(({ hash }) => hash);
}

/** The frames of each track of a clip, read in pieces that fit nothing. */
function demux(clip: string): Map<string, Frame[]> {
  const tracks = new Map<string, Frame[]>();
  const demuxer = new FlvDemuxer(
    (frame) => {
      const frames = tracks.get(frame.track.id) ?? [];
      tracks.set(frame.track.id, frames);
      frames.push(frame);
    },
    (reason) => {
      throw reason;
    },
  );
  const reader = new FlvTagReader();
  const bytes = readFileSync(join(CLIPS, `${clip}.flv`));
  for (let at = 0; at < bytes.length; at += 997) {
    for (const { type, timestamp, body } of reader.push(bytes.subarray(at, at + 997))) {
      if (type === TAG_TYPE.VIDEO) demuxer.pushVideo(timestamp, body);
      if (type === TAG_TYPE.AUDIO) demuxer.pushAudio(timestamp, body);
    }
  }
  return tracks;
}

/** One file, with a sequence header wherever the track changes. */
function asFlv(frames: readonly Frame[]): Buffer {
  const video = frames[0]?.track.kind === 'video';
  let last: Track | null = null;
  const parts = [flvFileHeader(video, !video)];
  for (const { track, timestamp, compositionOffset, keyframe, data } of frames) {
    const config = track === last ? null : flvConfigTag(track, timestamp);
    if (config !== null) parts.push(config);
    last = track;
    const [timestampMs, compositionOffsetMs] = [timestamp, compositionOffset];
    parts.push(flvTag(track, { timestampMs, compositionOffsetMs, keyframe, data }));
  }
  return Buffer.concat(parts);
}

/** Presentation times in ms, the first decode time being LEAD_MS. */
function times(frames: readonly Frame[]): number[] {
  const start = frames[0]?.timestamp ?? 0;
  return frames.map(
    ({ timestamp, compositionOffset }) => LEAD_MS + ((timestamp - start) >>> 0) + compositionOffset,
  );
}

/** A file for each configuration. */
function asMatroska(frames: readonly Frame[]): Buffer[] {
  const timestamps = times(frames);
  const files = new Map<Track, Buffer[]>();
  frames.forEach(({ track, keyframe, data }, index) => {
    const file = files.get(track) ?? [matroskaHeader(track)];
    files.set(track, file);
    file.push(matroskaFrame(track, { timestampMs: timestamps[index] ?? 0, keyframe, data }));
  });
  return [...files.values()].map((parts) => Buffer.concat(parts));
}

function isClassic({ track }: Frame): boolean {
  return track.flvHeader !== null || ['h264', 'aac', 'mp3'].includes(track.codec);
}

/** Times in ms after the first frame, without the noise of floating point. */
function relativeMs({ frames, timeBase }: Decoding): number[] {
  const first = frames[0]?.pts ?? 0;
  return frames.map(({ pts }) => Math.round((pts - first) * timeBase * 1e6) / 1e3);
}

/** Audio is timed by samples once it runs, so it may be rounded milliseconds away from what the container says. */
function expectTimes(actual: readonly number[], expected: readonly number[], toleranceMs: number): void {
  expect(actual).toHaveLength(expected.length);
  const worst = Math.max(...actual.map((time, index) => Math.abs(time - (expected[index] ?? Number.NaN))));
  expect(worst).toBeLessThanOrEqual(toleranceMs);
}

/** A track of the clip as any ffmpeg reads it without our help. */
function direct(clip: string, track: string): Promise<Decoding> {
  return decode(join(CLIPS, `${clip}.flv`), 'flv', '-map', track.startsWith('v') ? '0:v:0' : '0:a:0');
}

describe.each(clips)('%s', (clip) => {
  const tracks = [...demux(clip)];

  it.each(tracks.filter(([, frames]) => frames.every(isClassic)))('%s as FLV', async (id, frames) => {
    const written = await decode(asFlv(frames), 'flv');
    if (CLASSIC.includes(clip)) {
      // All of it the same, and no word more or less about a picture that changes its size, but for addresses.
      const plain = (decoding: Decoding) => ({
        ...decoding,
        stderr: decoding.stderr.replace(/0x[0-9a-f]+/g, ''),
      });
      expect(plain(written)).toEqual(plain(await direct(clip, id)));
    } else {
      expect(written.stderr).toBe('');
    }
    // A new sample rate goes through a resampler, which regroups the samples.
    if (clip !== 'aac_ratechange' || id !== 'a0') expect(written.frames).toHaveLength(frames.length);
  });

  const forMatroska = tracks.filter(([, frames]) => frames.every(({ track }) => track.flvHeader === null));
  it.runIf(forMatroska.length > 0).each(forMatroska)('%s as Matroska', async (id, frames) => {
    const files = await Promise.all(asMatroska(frames).map((file) => decode(file, 'matroska')));
    for (const { stderr } of files) expect(stderr).toBe('');
    const decoded = files.flatMap((decoding) => decoding.frames);
    expect(decoded).toHaveLength(frames.length);
    const [first] = files;
    if (CLASSIC.includes(clip)) {
      const original = await direct(clip, id);
      if (files.length === 1 || id.startsWith('v'))
        expect(hashes({ frames: decoded })).toEqual(hashes(original));
      // The jump is between frames that change places. Without decode times ffmpeg puts one of them elsewhere.
      const ofVideo = clip === 'ts_jump_fwd' ? 40 : 0;
      const toleranceMs = id.startsWith('v') ? ofVideo : 1;
      if (files.length === 1 && first !== undefined)
        expectTimes(relativeMs(first), relativeMs(original), toleranceMs);
    } else if (id.startsWith('v')) {
      expect(decoded.map(({ pts }) => pts)).toEqual(times(frames).sort((a, b) => a - b));
      expect(new Set(decoded.map(({ hash }) => hash)).size).toBeGreaterThan(frames.length / 2);
    } else if (first !== undefined) {
      const sent = times(frames).map((time) => time - LEAD_MS);
      expectTimes(relativeMs(first), sent, 2);
    }
  });
});

it('has a picture size in spite of a header that has none', async () => {
  const frames = demux('hevc_aac').get('v0') ?? [];
  const [file = Buffer.alloc(0)] = asMatroska(frames);
  expect((await decode(file, 'matroska')).dimensions).toBe('320x180');
});

it('Opus without its header is the same Opus, and nothing is cut off at its beginning', async () => {
  const frames = demux('h264_opus').get('a0') ?? [];
  const track = { ...(frames[0]?.track as AudioTrack), config: new Uint8Array(0) };
  const [bare = Buffer.alloc(0)] = asMatroska(frames.map((frame) => ({ ...frame, track })));
  const [full = Buffer.alloc(0)] = asMatroska(frames);
  const decoding = await decode(bare, 'matroska');
  expect(decoding).toEqual(await decode(full, 'matroska'));
  expect(decoding.frames).toHaveLength(frames.length);
  expect((decoding.frames[0]?.pts ?? 0) * decoding.timeBase).toBe(LEAD_MS / 1000);
  // 20 ms of two channels with 16 bits, in each of them.
  expect(new Set(decoding.frames.map(({ size }) => size))).toEqual(new Set([960 * 2 * 2]));
});

describe('codecs of which there is no clip', () => {
  const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=2'];
  const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=2'];
  const NO_FRAME: Omit<Frame, 'track' | 'timestamp' | 'data'> = {
    compositionOffset: 0,
    nanoseconds: 0,
    keyframe: true,
  };
  const AUDIO: Omit<AudioTrack, 'codec' | 'config'> = {
    id: 'a0',
    kind: 'audio',
    codecString: null,
    flvHeader: null,
    sampleRate: 0,
    channels: 0,
    samplesPerFrame: 0,
    adts: null,
  };

  /** Encodes into a file and says how large its packets are. */
  async function encode(
    format: string,
    ...args: readonly string[]
  ): Promise<[path: string, sizes: number[]]> {
    const path = join(folder, `encoded.${format}`);
    await run('ffmpeg', ['-v', 'error', ...args, '-y', '-f', format, path]);
    const { stdout } = await run('ffmpeg', [
      ...['-v', 'error', '-f', format, '-i', path, '-c', 'copy', '-f', 'framecrc', '-'],
    ]);
    const packets = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return [path, packets.map((line) => Number(line.split(',')[4]))];
  }

  /** The packets lie at the end of the file without anything between them. */
  function split(bytes: Buffer, sizes: readonly number[], headerSize = 0): Buffer[] {
    let at = bytes.length - sizes.reduce((sum, size) => sum + size + headerSize, 0);
    return sizes.map((size) => {
      at += headerSize + size;
      return bytes.subarray(at - size, at);
    });
  }

  it.each([
    ['flac', 96, ['-c:a', 'flac', '-frame_size', '4608']],
    ['eac3', 32, ['-c:a', 'eac3']],
  ] as const)('%s', async (codec, frameMs, options) => {
    const [path, sizes] = await encode(codec, ...TONE, ...options);
    const bytes = readFileSync(path);
    const config = codec === 'flac' ? bytes.subarray(0, 42) : new Uint8Array(0);
    const track: AudioTrack = { ...AUDIO, codec, config };
    const frames = split(bytes, sizes).map((data, index) => ({
      ...NO_FRAME,
      track,
      timestamp: index * frameMs,
      data,
    }));
    const [file = Buffer.alloc(0)] = asMatroska(frames);
    const decoding = await decode(file, 'matroska');
    expect(decoding.frames.length).toBeGreaterThan(20);
    expect(decoding.frames).toHaveLength(frames.length);
    const original = await decode(path, codec);
    expect(hashes(decoding)).toEqual(hashes(original));
    expectTimes(relativeMs(decoding), relativeMs(original), 1);
  });

  it('vp8', async () => {
    const [path, sizes] = await encode(
      'ivf',
      ...PICTURE,
      '-c:v',
      'libvpx',
      '-deadline',
      'realtime',
      '-g',
      '25',
    );
    const frames = split(readFileSync(path), sizes, 12).map((data, index) => ({
      ...NO_FRAME,
      track: VP8,
      timestamp: index * 40,
      // The lowest bit of a VP8 frame is 0 in keyframes.
      keyframe: ((data[0] ?? 1) & 1) === 0,
      data,
    }));
    const [file = Buffer.alloc(0)] = asMatroska(frames);
    const decoding = await decode(file, 'matroska');
    expect(decoding.frames).toHaveLength(50);
    expect(decoding.dimensions).toBe('320x180');
    const original = await decode(path, 'ivf');
    expect(hashes(decoding)).toEqual(hashes(original));
    expectTimes(relativeMs(decoding), relativeMs(original), 0);
  });

  const VP8: Track = {
    id: 'v0',
    kind: 'video',
    codec: 'vp8',
    config: new Uint8Array(0),
    codecString: null,
    flvHeader: null,
    width: 0,
    height: 0,
    frameRate: null,
    h264: null,
  };
});
