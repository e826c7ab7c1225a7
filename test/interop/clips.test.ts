import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FlvTag, TAG_TYPE } from '../../src/formats/flv/tags.ts';
import type { StreamView } from '../../src/servers/http/stream-view.ts';
import { decode } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { analyseSegment } from '../support/hls-validator/ts.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { joined, lengthOf, type SeenSegment, Viewer } from '../support/viewer.ts';

// Every clip is published at its own pace, all at the same time, and watched by a validating viewer.

interface Expectation {
  /** Codecs of the tracks in HLS. */
  readonly plays: readonly string[];
  /** Codecs of the tracks that cannot be. */
  readonly missing: readonly string[];
  /** Length in seconds of each part; a DISCONTINUITY is between two. */
  readonly parts: readonly number[];
}

const AV = ['h264', 'aac'];
const whole = (plays: readonly string[], missing: readonly string[] = []): Expectation => ({
  plays,
  missing,
  parts: [10],
});

const CLIPS: Record<string, Expectation> = {
  bbb: whole(AV),
  h264_aac: whole(AV),
  h264b_aac: whole(AV),
  h264_44k: whole(AV),
  h264_only: whole(['h264']),
  aac_only: whole(['aac']),
  h264_mp3: whole(['h264', 'mp3']),
  flv1_mp3: whole(['mp3'], ['h263']),
  hevc_aac: whole(['aac'], ['hevc']),
  av1_aac: whole(['aac'], ['av1']),
  vp9_aac: whole(['aac'], ['vp9']),
  h264_opus: whole(['h264'], ['opus']),
  h264_ac3: whole(['h264'], ['ac3']),
  multitrack_av: whole(AV, AV),
  h264_reschange: { plays: AV, missing: [], parts: [6, 10] },
  aac_ratechange: { plays: AV, missing: [], parts: [6, 10] },
  ts_wrap32: whole(AV),
  ts_jump_fwd: { plays: AV, missing: [], parts: [6, 4] },
};

interface Run {
  readonly viewer: Viewer;
  /** As the API shows it just before the publisher leaves. */
  readonly stream: StreamView;
  readonly tags: readonly FlvTag[];
}

let gateway: TestGateway;
const runs = new Map<string, Promise<Run>>();
let unplayable: Promise<StreamView>;

beforeAll(async () => {
  // What is native only: conversion.test.ts has the rest.
  const drop = 'drop' as const;
  const codecs = { h263: drop, hevc: drop, av1: drop, vp9: drop, opus: drop, ac3: drop };
  gateway = await startGateway({ publish: { graceWindow: 1 }, transcode: { codecs } });
  for (const name of Object.keys(CLIPS)) {
    const running = publishAndWatch(name);
    running.catch(() => {});
    runs.set(name, running);
  }
  unplayable = publishUnplayable();
  unplayable.catch(() => {});
});

afterAll(async () => {
  await Promise.allSettled([...runs.values(), unplayable]);
  await gateway.stop();
});

async function publishAndWatch(name: string): Promise<Run> {
  const tags = readClip(name);
  const publisher = await publishPaced({ port: gateway.rtmpPort, key: name, tags });
  await until(`${name} to be playable`, async () => (await fetch(gateway.hls(name))).ok);
  const viewer = new Viewer(gateway.hls(name));
  viewer.watch();
  await publisher.finished;
  const stream = await gateway.streamWhen(name, ({ state }) => state === 'live');
  viewer.validator.publisherAway(true);
  await publisher.stop();
  await until(`the end of ${name}`, () => viewer.ended);
  await viewer.leave();
  return { viewer, stream, tags };
}

/** AV1 with Opus: nothing that MPEG-TS could carry. */
async function publishUnplayable(): Promise<StreamView> {
  const publisher = await publishPaced({
    port: gateway.rtmpPort,
    key: 'av1_opus',
    tags: readClip('av1_opus'),
  });
  const stream = await gateway.streamWhen('av1_opus', ({ warnings }) => warnings.length === 2);
  await publisher.finished;
  const playlist = await fetch(gateway.hls('av1_opus'));
  expect(playlist.status).toBe(404);
  await publisher.stop();
  return stream;
}

/** H.264 pictures of the clip's first video track. */
function pictureCount(tags: readonly FlvTag[]): number {
  const isPicture = ({ type, body }: FlvTag) =>
    type === TAG_TYPE.VIDEO && [0x17, 0x27].includes(body[0] ?? 0) && body[1] === 1;
  return tags.filter(isPicture).length;
}

async function picturesIn(part: readonly SeenSegment[]): Promise<number> {
  const { video, audio } = await decode(joined(part));
  expect(video.length + audio.length).toBeGreaterThan(0);
  return video.length;
}

describe.each(Object.entries(CLIPS))('%s', (name, { plays, missing, parts }) => {
  const result = async () => {
    const run = await runs.get(name);
    if (run === undefined) throw new Error(`${name} was not published`);
    return run;
  };

  test('is valid HLS', async () => {
    const { viewer } = await result();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.refusals).toEqual([]);
  });

  test('tells which tracks play', async () => {
    const { stream } = await result();
    const codecs = (inHls: boolean) =>
      stream.tracks.filter((track) => track.inHls === inHls).map((track) => track.codec);
    expect(codecs(true)).toEqual(plays);
    expect(codecs(false)).toEqual(missing);
    const hints = stream.warnings.filter((warning) => warning.code === 'track-not-in-hls');
    expect(hints).toHaveLength(missing.length);
    for (const { fix } of hints) expect(fix).toMatch(/^Send .* In OBS: /);
    expect(stream.warnings.filter((warning) => warning.code === 'damaged-media')).toEqual([]);
  });

  test('is whole, with DISCONTINUITY where it belongs', async () => {
    const { viewer, tags } = await result();
    // Two frames of tolerance, because a clip's tracks do not begin and end together.
    const lengths = viewer.parts.map(lengthOf);
    expect(lengths).toHaveLength(parts.length);
    for (const [index, seconds] of parts.entries()) {
      expect(Math.abs((lengths[index] ?? 0) - seconds), `part ${index} of ${lengths}`).toBeLessThan(0.08);
    }
    let pictures = 0;
    for (const part of viewer.parts) pictures += await picturesIn(part);
    expect(pictures).toBe(plays.includes('h264') ? pictureCount(tags) : 0);
  });
});

test('a stream that MPEG-TS cannot carry is announced with a fix for each track', async () => {
  const { tracks, warnings } = await unplayable;
  expect(tracks.map(({ codec, inHls }) => [codec, inHls])).toEqual([
    ['av1', false],
    ['opus', false],
  ]);
  expect(warnings.map(({ code, fix }) => [code, fix.slice(0, 10)])).toEqual([
    ['track-not-in-hls', 'Send H.264'],
    ['track-not-in-hls', 'Send AAC. '],
  ]);
});

test('each part has the resolution or the sample rate that was published', async () => {
  const partsOf = async (name: string) => (await runs.get(name))?.viewer.parts ?? [];
  const analysed = (parts: SeenSegment[][]) =>
    parts.flatMap(([first]) => (first === undefined ? [] : analyseSegment(first.body)));
  const sizes = analysed(await partsOf('h264_reschange')).map(({ video }) => video?.sequence);
  expect(sizes).toMatchObject([
    { width: 640, height: 360 },
    { width: 320, height: 180 },
  ]);
  const rates = analysed(await partsOf('aac_ratechange')).map(({ audio }) => audio?.sampleRate);
  expect(rates).toEqual([48000, 44100]);
});
