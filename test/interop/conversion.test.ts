import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type FlvTag, readFlvFile, TAG_TYPE } from '../../src/formats/flv/tags.ts';
import { createFlvIngest } from '../../src/live/flv-ingest.ts';
import { Stream } from '../../src/live/stream.ts';
import type { Packet } from '../../src/media/packet.ts';
import { secondsFromTicks } from '../../src/media/time.ts';
import { HlsPackager } from '../../src/packaging/hls-packager.ts';
import { systemClock } from '../../src/servers/system-clock.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import {
  type ConversionSettings,
  makeConversion,
  type TrackConversion,
} from '../../src/transcode/conversion/conversion.ts';
import { type FfmpegFinder, makeFfmpegFinder } from '../../src/transcode/ffmpeg/ffmpeg.ts';
import { makeJobLimit } from '../../src/transcode/job-limit.ts';
import { startTrackEncoder } from '../../src/transcode/track-encoder.ts';
import { decode, run } from '../support/ffmpeg.ts';
import { long } from '../support/long.ts';
import { readClip } from '../support/paced-publisher.ts';
import { bytesOf } from '../support/segment-bytes.ts';

// Clips go through a stream, the conversion and the packager at their own pace, with real encoders.

const STEP_MS = 10;

let ffmpeg: FfmpegFinder;

beforeAll(async () => {
  ffmpeg = makeFfmpegFinder({ configured: () => undefined, clock: systemClock });
  await ffmpeg.find();
});

interface Result {
  /** All segments, one after the other. */
  readonly bytes: Buffer;
  readonly discontinuities: number;
  /** As the stream has it. */
  readonly source: readonly Packet[];
  /** Just before the end. */
  readonly state: readonly TrackConversion[];
}

interface Play {
  readonly settings?: Partial<ConversionSettings>;
  /** Called with each tag before it goes in, and the process that encodes. */
  readonly onTag?: (tag: FlvTag, pid: number | null) => void;
}

/** @param clips each comes from a publisher of its own, one after the other */
async function convert(
  clips: readonly (readonly FlvTag[])[],
  { settings = {}, onTag = () => {} }: Play = {},
): Promise<Result> {
  const source: Packet[] = [];
  let pid: number | null = null;
  const faults: unknown[] = [];
  const packager = new HlsPackager({
    ...{
      clock: systemClock,
      store: new MemoryStore(),
      storePrefix: '',
      maxBytes: 1e9,
      resume: null,
      resumeAligned: [],
    },
    ...{ segmentName: (number) => `${number}.ts`, firstMediaSequence: 0, firstDiscontinuitySequence: 0 },
    ...{ segmentDuration: 2, maxSegmentDuration: 10, listedSegments: 100, beforeListing: null },
    onListed: () => {},
    onStored: () => {},
    onDropped: () => {},
    onStoreError: (error) => faults.push(error),
  });
  const conversion = makeConversion({
    ...{ clock: systemClock, downstream: packager, ffmpeg },
    startEncoder: (options) => {
      const encoder = startTrackEncoder(options);
      pid = encoder.pid;
      return encoder;
    },
    settings: () => ({
      ...{ codecs: {}, encoder: 'libx264', preset: 'ultrafast', audioBitrate: 96, silentAudio: false },
      ...{ niceness: 0, threads: 1, ...settings },
    }),
    jobs: makeJobLimit(() => 8),
    onState: () => {},
    onReject: (error) => faults.push(error),
    onFault: (error) => faults.push(error),
  });
  const stream = new Stream('live', 'clip', {
    ...{ clock: systemClock, graceMs: () => 1000, onState: () => {}, onEpoch: () => {} },
    onSinkFault: (_, error) => faults.push(error),
  });
  const nothing = () => {};
  stream.addSink({ epoch: nothing, packet: (packet) => source.push(packet), end: nothing, close: nothing });
  stream.addSink(conversion);
  let state: readonly TrackConversion[] = [];
  for (const tags of clips) {
    const publication = stream.publish({ address: 'test', encoder: null, dismiss: nothing });
    const ingest = createFlvIngest(publication, (error) => faults.push(error));
    await paced(tags, (tag) => {
      onTag(tag, pid);
      if (tag.type === TAG_TYPE.VIDEO) ingest.video(tag.timestamp, tag.body);
      else if (tag.type === TAG_TYPE.AUDIO) ingest.audio(tag.timestamp, tag.body);
    });
    state = conversion.state();
    ingest.end();
  }
  stream.close();
  await conversion.settled();
  await packager.settled();
  expect(faults).toEqual([]);
  expect(conversion.heldBytes).toBe(0);
  const { segments } = packager.rendition.window;
  const bodies = await Promise.all(segments.map(({ uri }) => bytesOf(packager.segment(uri))));
  return {
    bytes: Buffer.concat(bodies.map((body) => body ?? Buffer.alloc(0))),
    discontinuities: segments.filter(({ discontinuity }) => discontinuity).length,
    source,
    state,
  };
}

async function paced(tags: readonly FlvTag[], push: (tag: FlvTag) => void): Promise<void> {
  const startedAt = performance.now();
  const first = tags[0]?.timestamp ?? 0;
  for (const tag of tags) {
    while (performance.now() - startedAt < tag.timestamp - first) {
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
    push(tag);
  }
}

interface Times {
  /** Seconds of presentation, in order. */
  readonly video: readonly number[];
  readonly audio: readonly number[];
}

/** As ffprobe reads them from the transport stream. */
async function timesIn(bytes: Buffer): Promise<Times> {
  const entries = ['-show_entries', 'packet=codec_type,pts_time', '-of', 'csv=p=0'];
  const { stdout } = await run('ffprobe', ['-v', 'error', '-f', 'mpegts', '-i', '-', ...entries], {
    stdin: bytes,
  });
  const times = { video: [] as number[], audio: [] as number[] };
  for (const line of stdout.split('\n')) {
    const [kind, time] = line.split(',');
    if (kind === 'video' || kind === 'audio') times[kind].push(Number(time));
  }
  const inOrder = (list: number[]) => list.sort((a, b) => a - b);
  return { video: inOrder(times.video), audio: inOrder(times.audio) };
}

function timesOf(source: readonly Packet[], kind: 'video' | 'audio'): number[] {
  return source
    .filter(({ track }) => track.kind === kind)
    .map(({ pts }) => secondsFromTicks(pts))
    .sort((a, b) => a - b);
}

/** Half a tick more than what the six digits of ffprobe and 1/90000 s differ by. */
const TICK = 0.00002;
/** 1536 samples of AC-3 at 48 kHz. */
const LONGEST_AUDIO_FRAME = 0.033;

const policies = (state: readonly TrackConversion[]) =>
  state.map(({ trackId, policy, state: running }) => `${trackId} ${policy} ${running}`);

const playsWhole = (clip: string, expected: readonly string[]) => tagsPlayWhole(readClip(clip), expected);

async function tagsPlayWhole(tags: readonly FlvTag[], expected: readonly string[]): Promise<void> {
  const { bytes, source, state, discontinuities } = await convert([tags]);
  expect(policies(state)).toEqual(expected);
  expect(state.map(({ error, dropped }) => [error, dropped])).toEqual(expected.map(() => [null, 0]));
  expect(discontinuities).toBe(0);

  const pictures = timesOf(source, 'video');
  const decoded = await decode(bytes);
  expect(decoded.video).toHaveLength(pictures.length);

  const times = await timesIn(bytes);
  expect(times.video).toHaveLength(pictures.length);
  // Exactly where they were, so that only the sound could be off.
  const errors = times.video.map((time, index) => Math.abs(time - (pictures[index] ?? 0)));
  expect(Math.max(...errors)).toBeLessThan(TICK);
  // The packager begins with a picture.
  const start = secondsFromTicks(source.find(({ track }) => track.kind === 'video')?.dts ?? 0);
  const sounds = timesOf(source, 'audio').filter((time) => time >= start);
  expect(Math.abs((times.audio[0] ?? 0) - (sounds[0] ?? 0))).toBeLessThan(LONGEST_AUDIO_FRAME);
  // A packet of the source may be as long as many frames of AAC.
  const [last = 0, lastButOne = 0] = sounds.slice(-2).reverse();
  const end = (times.audio.at(-1) ?? 0) - last;
  expect(end).toBeGreaterThan(-2 * LONGEST_AUDIO_FRAME);
  expect(end).toBeLessThan(2 * LONGEST_AUDIO_FRAME + last - lastButOne);
}

describe.concurrent('real clips', () => {
  test.each([
    ['hevc_aac', ['v0 transcode running', 'a0 remux null']],
    ['av1_opus', ['v0 transcode running', 'a0 transcode running']],
  ])('%s plays whole, with sound and pictures as far apart as they were', playsWhole);
  long.each([
    ['flv1_mp3', ['v0 transcode running', 'a0 remux null']],
    ['h264_opus', ['v0 remux null', 'a0 transcode running']],
    ['av1_aac', ['v0 transcode running', 'a0 remux null']],
    ['vp9_aac', ['v0 transcode running', 'a0 remux null']],
    ['h264_ac3', ['v0 remux null', 'a0 transcode running']],
  ])('%s plays whole, with sound and pictures as far apart as they were', playsWhole);
});

// What nobody publishes any more, but what the article's Flash players and telephones did. There is no encoder for VP6.
describe.concurrent('media of old encoders', () => {
  long.each([
    ['flashsv', ['nellymoser', '22050', '1'], ['v0 transcode running', 'a0 transcode running']],
    ['flashsv2', ['libspeex', '16000', '1'], ['v0 transcode running', 'a0 transcode running']],
    ['flv', ['pcm_alaw', '8000', '1'], ['v0 transcode running', 'a0 transcode running']],
    ['libx264', ['pcm_mulaw', '8000', '1'], ['v0 remux null', 'a0 transcode running']],
    ['libx264', ['pcm_s16le', '44100', '2'], ['v0 remux null', 'a0 transcode running']],
    ['libx264', ['adpcm_swf', '22050', '2'], ['v0 remux null', 'a0 transcode running']],
  ])('%s with %s plays whole', async (video, [audio = '', rate = '', channels = ''], expected) => {
    const sources = ['testsrc2=size=160x112:rate=25', 'sine=frequency=440'];
    const folder = await mkdtemp(join(tmpdir(), 'sluice-conversion-'));
    try {
      const file = join(folder, 'old.flv');
      await run('ffmpeg', [
        ...['-v', 'error', '-nostdin', ...sources.flatMap((source) => ['-f', 'lavfi', '-i', source])],
        ...['-t', '6', '-c:v', video, '-g', '25'],
        ...['-pix_fmt', video.startsWith('flashsv') ? 'bgr24' : 'yuv420p'],
        ...['-c:a', audio, '-ar', rate, '-ac', channels, file],
      ]);
      await tagsPlayWhole([...readFlvFile(await readFile(file))], expected);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test.concurrent('sound is heard when it was: beeps of MP3 that is converted because it was asked for', async () => {
  const { stdout: path } = await run('mktemp', ['--suffix=.flv']);
  const file = path.trim();
  try {
    const beeps = "aevalsrc='if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)':s=44100:d=6";
    await run('ffmpeg', [
      ...['-v', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=25:duration=6'],
      ...['-f', 'lavfi', '-i', beeps, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25'],
      ...['-c:a', 'libmp3lame', '-b:a', '96k', file],
    ]);
    const before = await beepsIn(file);
    const { bytes, state } = await convert([[...readFlvFile(await readFile(file))]], {
      settings: { codecs: { mp3: 'transcode' } },
    });
    expect(policies(state)).toEqual(['v0 remux null', 'a0 transcode running']);
    await writeFile(file, bytes);
    const after = await beepsIn(file);
    expect(after.length).toBeGreaterThan(4);
    // The first may be cut by the beginning of the pictures.
    const shifts = after.slice(1).map((time, index) => Math.abs(time - (before[index + 1] ?? 0)));
    expect(Math.max(...shifts)).toBeLessThan(0.01);
  } finally {
    await rm(file, { force: true });
  }
});

/** When beeps begin, in seconds after the first picture is shown. */
async function beepsIn(file: string): Promise<number[]> {
  const streams = ['-show_entries', 'stream=codec_type,start_time', '-of', 'csv=p=0'];
  const { stdout } = await run('ffprobe', ['-v', 'error', ...streams, file]);
  const starts = new Map(stdout.split('\n').map((line) => line.split(',') as [string, string]));
  const offset = Number(starts.get('audio')) - Number(starts.get('video'));
  const { stderr } = await run('ffmpeg', [
    ...[
      '-v',
      'info',
      '-nostdin',
      '-i',
      file,
      '-map',
      '0:a',
      '-af',
      'asetpts=N/SR/TB,silencedetect=n=-20dB:d=0.5',
    ],
    ...['-f', 'null', '-'],
  ]);
  return [...stderr.matchAll(/silence_end: ([\d.]+)/g)].map(([, time]) => Number(time) + offset);
}

test.concurrent('silence is valid AAC that says nothing, as long as the pictures', async () => {
  const { bytes, state, source } = await convert([readClip('h264_only')], {
    settings: { silentAudio: true },
  });
  expect(policies(state)).toEqual(['v0 remux null']);
  const { video, audio } = await decode(bytes);
  expect(video).toHaveLength(timesOf(source, 'video').length);
  expect(Math.abs((audio.length * 1024) / 48_000 - 10)).toBeLessThan(0.1);
  expect(new Set(audio).size).toBe(1);
  const { stderr } = await run(
    'ffmpeg',
    [
      '-v',
      'info',
      '-nostdin',
      '-f',
      'mpegts',
      '-i',
      'pipe:0',
      '-map',
      '0:a',
      '-af',
      'volumedetect',
      '-f',
      'null',
      '-',
    ],
    { stdin: bytes },
  );
  expect(stderr).toContain('max_volume: -91.0 dB');
});

long(
  'a publisher with another codec takes over: all of both is there, with a discontinuity between',
  async () => {
    const { bytes, discontinuities, source, state } = await convert([
      readClip('hevc_aac'),
      readClip('h264_aac'),
      readClip('vp9_aac'),
    ]);
    expect(discontinuities).toBe(2);
    expect(policies(state)).toEqual(['v0 transcode running', 'a0 remux null']);
    const times = await timesIn(bytes);
    expect(times.video).toHaveLength(timesOf(source, 'video').length);
  },
);

test.concurrent('an encoder that is killed comes back at a keyframe, and the sound never stops', async () => {
  let killed = false;
  const { bytes, discontinuities, source, state } = await convert([readClip('hevc_aac')], {
    onTag: ({ timestamp }, pid) => {
      if (timestamp < 3000 || killed || pid === null) return;
      killed = true;
      process.kill(pid, 'SIGKILL');
    },
  });
  expect(killed).toBe(true);
  expect(state[0]).toMatchObject({ state: 'running', error: { code: 'SLUICE_TRANSCODE_FAILED' } });
  expect(discontinuities).toBe(0);
  const times = await timesIn(bytes);
  expect(times.video.length).toBeGreaterThan(timesOf(source, 'video').length / 2);
  expect(times.video.at(-1)).toBeCloseTo(timesOf(source, 'video').at(-1) ?? 0, 3);
  const start = secondsFromTicks(source.find(({ track }) => track.kind === 'video')?.dts ?? 0);
  const sounds = timesOf(source, 'audio').filter((time) => time >= start);
  expect(times.audio).toHaveLength(sounds.length);
});
