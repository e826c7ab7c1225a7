import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFlvFile, TAG_TYPE } from '../../src/formats/flv/tags.ts';
import { decode, encodedAudio, type Frames, LIVE, start } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { rawRequest } from '../support/hls-validator/validator.ts';
import { until } from '../support/until.ts';
import { joined, Viewer } from '../support/viewer.ts';

// Real encoders publish and keep a copy of what they sent; what viewers get has to decode to the very same frames.

const SECONDS = 10;
const FRAMES = SECONDS * 25;

/** The program and its arguments. */
type Encoder = (url: string, copy: string) => string[];

const ffmpeg =
  (...options: (string | readonly string[])[]): Encoder =>
  (url, copy) => [
    ...['ffmpeg', '-v', 'error', '-nostdin', ...options.flat(), '-t', String(SECONDS)],
    ...[
      '-flags',
      '+global_header',
      '-f',
      'tee',
      `[f=flv:flvflags=no_duration_filesize]${url}|[f=flv]${copy}`,
    ],
  ];

const gstreamer =
  (sink: string): Encoder =>
  (url, copy) => [
    ...['gst-launch-1.0', '-q', 'flvmux', 'name=mux', 'streamable=true', '!', 'tee', 'name=both'],
    ...['both.', '!', 'queue', '!', sink, `location=${url}`],
    ...['both.', '!', 'queue', '!', 'filesink', `location=${copy}`],
    // Not live sources: on a busy machine those skip frames, and the timestamps jump. These only come late.
    ...['videotestsrc', `num-buffers=${FRAMES}`],
    ...[
      '!',
      'video/x-raw,width=320,height=240,framerate=25/1',
      '!',
      'identity',
      'sync=true',
      '!',
      'x264enc',
      'key-int-max=50',
      'threads=1',
    ],
    ...[
      'tune=zerolatency',
      'speed-preset=ultrafast',
      'bitrate=400',
      '!',
      'h264parse',
      '!',
      'queue',
      '!',
      'mux.',
    ],
    ...['audiotestsrc', 'samplesperbuffer=1024', `num-buffers=${Math.floor((SECONDS * 48000) / 1024)}`],
    ...[
      '!',
      'audio/x-raw,rate=48000,channels=2',
      '!',
      'identity',
      'sync=true',
      '!',
      'voaacenc',
      '!',
      'aacparse',
      '!',
      'queue',
      '!',
      'mux.',
    ],
  ];

const B_FRAMES = ['-bf', '3'];
const ENCODERS: Record<string, Encoder> = {
  'ffmpeg-h264-bframes-aac': ffmpeg(
    LIVE.picture(),
    LIVE.tone,
    LIVE.h264,
    B_FRAMES,
    LIVE.aac,
    '-map',
    '0:v',
    '-map',
    '1:a',
  ),
  'ffmpeg-h264-aac': ffmpeg(
    LIVE.picture(),
    LIVE.tone,
    LIVE.h264,
    LIVE.lowDelay,
    LIVE.aac,
    '-map',
    '0:v',
    '-map',
    '1:a',
  ),
  'ffmpeg-h264-mp3': ffmpeg(
    LIVE.picture(),
    LIVE.tone,
    LIVE.h264,
    LIVE.lowDelay,
    LIVE.mp3,
    '-map',
    '0:v',
    '-map',
    '1:a',
  ),
  'ffmpeg-aac-only': ffmpeg(LIVE.tone, LIVE.aac, '-map', '0:a'),
  'ffmpeg-h264-only': ffmpeg(LIVE.picture(), LIVE.h264, LIVE.lowDelay, '-map', '0:v'),
  'gstreamer-rtmp2sink': gstreamer('rtmp2sink'),
  'gstreamer-rtmpsink': gstreamer('rtmpsink'),
};

interface Run {
  readonly viewer: Viewer;
  /** Path of what the encoder kept. */
  readonly copy: string;
  readonly published: Frames;
  /** All segments in one. */
  readonly received: Frames;
  /** What ffmpeg made of the playlist while the stream was live. */
  readonly played: Frames;
}

let gateway: TestGateway;
let folder: string;
const runs = new Map<string, Promise<Run>>();

beforeAll(async () => {
  gateway = await startGateway({ publish: { graceWindow: 1 } });
  folder = await mkdtemp(join(tmpdir(), 'sluice-publishers-'));
  // GStreamer's first: beside the others its keyframes get so far apart that segments have to end without one.
  const [first = [], then = []] = ['gstreamer', 'ffmpeg'].map((program) =>
    Object.entries(ENCODERS).filter(([name]) => name.startsWith(program)),
  );
  const begun = first.map(([name, encoder]) => begin(name, () => publishAndWatch(name, encoder)));
  for (const [name, encoder] of then) {
    void begin(name, async () => {
      await Promise.allSettled(begun);
      return publishAndWatch(name, encoder);
    });
  }
});

function begin(name: string, run: () => Promise<Run>): Promise<Run> {
  const running = run();
  running.catch(() => {});
  runs.set(name, running);
  return running;
}

afterAll(async () => {
  await Promise.allSettled(runs.values());
  await gateway.stop();
  await rm(folder, { recursive: true });
});

async function publishAndWatch(name: string, encoder: Encoder): Promise<Run> {
  const copy = join(folder, `${name}.flv`);
  const [program = '', ...args] = encoder(gateway.rtmp(name), copy);
  const publisher = start(program, args);
  await until(`${name} to be playable`, async () => {
    if (!publisher.isRunning) throw new Error(`${program} gave up: ${publisher.stderr}`);
    return (await fetch(gateway.hls(name))).ok;
  });
  // On a busy machine GStreamer's sinks stamp frames unevenly, which shows in what is sent and not in the copy it keeps:
  // then nobody knows how long a frame lasts, by which dates are measured (P8), nor the last of all (P12).
  const uneven = name.startsWith('gstreamer') ? ['V3', 'M9', 'P8', 'P12'] : [];
  const viewer = new Viewer(gateway.hls(name), rawRequest, uneven);
  viewer.watch();
  const playing = decode(`${gateway.httpUrl}hls/${name}/media.m3u8`, ['-live_start_index', '0']);
  playing.catch(() => {});
  const { code, stderr } = await publisher.exited;
  viewer.validator.publisherAway(true);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr}`);
  await until(`the end of ${name}`, () => viewer.ended);
  await viewer.leave();
  const [published, received, played] = await Promise.all([
    decode(copy),
    decode(joined(viewer.segments)),
    playing,
  ]);
  return { viewer, copy, published, received, played };
}

/** FLV has whole milliseconds: frames this close begin together. */
const ROUNDING_MS = 1;

/** Audio frames that begin before the first picture, or with it. */
async function audioBeforePicture(copy: string): Promise<number> {
  const tags = [...readFlvFile(await readFile(copy))];
  const picture = tags.find(({ type, body }) => type === TAG_TYPE.VIDEO && body[1] === 1);
  const latest = (picture?.timestamp ?? Number.NEGATIVE_INFINITY) + ROUNDING_MS;
  return tags.filter(({ type, timestamp }) => type === TAG_TYPE.AUDIO && timestamp <= latest).length;
}

describe.each(Object.keys(ENCODERS))('%s', (name) => {
  const result = async () => {
    const run = await runs.get(name);
    if (run === undefined) throw new Error(`${name} was not published`);
    return run;
  };
  const hasVideo = name !== 'ffmpeg-aac-only';
  const hasAudio = name !== 'ffmpeg-h264-only';

  test('is valid HLS', async () => {
    const { viewer } = await result();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.refusals).toEqual([]);
    expect(viewer.segments.length).toBeGreaterThanOrEqual(Math.floor(SECONDS / 2));
    expect(viewer.parts).toHaveLength(1);
  });

  test('loses no picture', async () => {
    const { published, received, played } = await result();
    expect(published.video).toHaveLength(hasVideo ? FRAMES : 0);
    expect(received.video).toEqual(published.video);
    expect(played.video).toEqual(published.video);
  });

  test('loses no sound', async () => {
    const { viewer, copy, received, played } = await result();
    if (!hasAudio) {
      expect(received.audio).toEqual([]);
      return;
    }
    const codec = name.endsWith('mp3') ? 'mp3' : 'aac';
    const published = await encodedAudio(copy, codec);
    const heard = await encodedAudio(joined(viewer.segments), codec);
    // Audio before the first picture is left out; from there on nothing is.
    const early = hasVideo ? await audioBeforePicture(copy) : 0;
    expect(published.length - heard.length).toBeLessThanOrEqual(early);
    expect(heard).toEqual(published.slice(-heard.length));
    expect(received.audio.length).toBeGreaterThanOrEqual(heard.length - 1);
    expect(played.audio).toEqual(received.audio);
  });

  test('each segment decodes on its own', async () => {
    const { viewer, received } = await result();
    const decoded = await Promise.all(viewer.segments.map(({ body }) => decode(body)));
    expect(decoded.reduce((sum, { video }) => sum + video.length, 0)).toBe(received.video.length);
  });
});
