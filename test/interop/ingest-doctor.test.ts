import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildAvcC, parseAvcC } from '../../src/codecs/h264.ts';
import type { Warning } from '../../src/media/warning.ts';
import type { StreamView } from '../../src/servers/http/stream-view.ts';
import { StreamReporter } from '../../src/servers/stream-reporter.ts';
import { makeSps } from '../codecs/support.ts';
import { listStreams, startGateway, type TestGateway } from '../support/gateway.ts';
import {
  type ClipTag,
  isAudio,
  isFrame,
  isHeader,
  isKeyframe,
  isVideo,
  readClip,
  repeated,
  restamped,
  withKeyframes,
} from '../support/publish-clip.ts';
import { SteppedPublishers } from '../support/stepped-publishers.ts';
import { until } from '../support/until.ts';

const SECONDS = 40;
const GOOD = long('h264_aac', SECONDS);
/** How often the gateway has looked at each stream when the log is read. */
const LOOKS = 3;
const MENU_PATH = /In OBS: .* > /;
/** What no setting of OBS leads to, so none of them can mend it. */
const NOT_BY_OBS: readonly string[] = ['damaged-media', 'faster-than-real-time'];

function long(clip: string, seconds: number): ClipTag[] {
  return repeated(readClip(clip), seconds / 10).filter(({ at }) => at < seconds * 1000);
}

/** The same media, which comes and goes faster or slower than it plays. */
function atPace(tags: readonly ClipTag[], pace: number): ClipTag[] {
  return tags.map((tag) => ({ ...tag, at: tag.at / pace })).filter(({ at }) => at < SECONDS * 1000);
}

function without(tags: readonly ClipTag[], isMissing: (tag: ClipTag) => boolean): ClipTag[] {
  return tags.filter((tag) => !isFrame(tag) || !isMissing(tag));
}

function withAudioConfig(tags: readonly ClipTag[], config: string): ClipTag[] {
  const body = Buffer.from(`af00${config}`, 'hex');
  return tags.map((tag) => (isAudio(tag) && isHeader(tag) ? { ...tag, body } : tag));
}

function withSps(tags: readonly ClipTag[], change: (sps: Uint8Array) => Uint8Array): ClipTag[] {
  return tags.map((tag) => {
    if (!isVideo(tag) || !isHeader(tag)) return tag;
    const parameters = parseAvcC(tag.body.subarray(5));
    const avcC = buildAvcC({ ...parameters, sps: parameters.sps.map(change) });
    return { ...tag, body: Buffer.concat([tag.body.subarray(0, 5), avcC]) };
  });
}

const withByte = (index: number, value: number) => (bytes: Uint8Array) =>
  bytes.map((byte, at) => (at === index ? value : byte));

/** AAC frames of 1024 samples at 32 kHz. */
function slowAudio(tags: readonly ClipTag[]): ClipTag[] {
  const stretched = tags.map((tag) =>
    isAudio(tag) && isFrame(tag) ? { ...tag, at: tag.at * 1.5, timestamp: tag.timestamp * 1.5 } : tag,
  );
  return stretched.filter(({ at }) => at < SECONDS * 1000).sort((a, b) => a.at - b.at);
}

/** A phone in bad light: every second frame comes late. */
function unsteady(tags: readonly ClipTag[]): ClipTag[] {
  let frame = 0;
  return restamped(tags, (tag) => tag.timestamp + (isVideo(tag) && frame++ % 2 === 1 ? 14 : 0));
}

/** Lengths that are wrong in one message, after ten seconds. */
function damaged(tags: readonly ClipTag[]): ClipTag[] {
  const place = tags.findIndex((tag) => tag.at >= 10_000 && isVideo(tag) && !isKeyframe(tag));
  const body = Buffer.from('2701000000ffffffff41', 'hex');
  return tags.map((tag, index) => (index === place ? { ...tag, body } : tag));
}

interface Case {
  readonly name: string;
  readonly tags: readonly ClipTag[];
  /** The worst first, then in the order of the API. */
  readonly codes: readonly Warning['code'][];
}

const CASES: readonly Case[] = [
  { name: 'good', tags: GOOD, codes: [] },
  {
    name: 'keyframes-rare',
    tags: withKeyframes(GOOD, (keyframe) => keyframe % 4 === 0),
    codes: ['keyframe-interval-long'],
  },
  {
    name: 'keyframes-uneven',
    tags: withKeyframes(GOOD, (keyframe) => keyframe % 3 !== 1),
    codes: ['keyframe-interval-uneven'],
  },
  {
    name: 'keyframes-vanish',
    tags: withKeyframes(GOOD, (keyframe) => keyframe < 4 || keyframe === 15),
    codes: ['keyframe-interval-long', 'segments-without-keyframe'],
  },
  { name: 'b-frames', tags: long('h264b_aac', SECONDS), codes: ['b-frames'] },
  { name: 'silent', tags: GOOD.filter(isVideo), codes: ['audio-missing'] },
  {
    name: 'audio-holes',
    tags: without(GOOD, (tag) => isAudio(tag) && tag.at % 5000 >= 4700),
    codes: ['audio-gaps'],
  },
  {
    name: 'audio-stops',
    tags: without(GOOD, (tag) => isAudio(tag) && tag.at >= 20_000),
    codes: ['audio-gaps'],
  },
  { name: 'unsteady', tags: unsteady(GOOD), codes: ['frame-rate-variable'] },
  {
    name: 'frames-left-out',
    tags: without(GOOD, (tag) => isVideo(tag) && tag.at % 2000 >= 1400),
    codes: ['frames-missing'],
  },
  { name: 'slow', tags: atPace(GOOD, 0.8), codes: ['upload-behind'] },
  { name: 'stalled', tags: GOOD.filter(({ at }) => at < 25_000), codes: ['upload-stalled'] },
  { name: 'file', tags: atPace(long('h264_aac', 80), 2), codes: ['faster-than-real-time'] },
  { name: 'high-10', tags: withSps(GOOD, withByte(1, 110)), codes: ['video-profile'] },
  { name: 'level-6', tags: withSps(GOOD, withByte(3, 60)), codes: ['video-level'] },
  {
    name: 'interlaced',
    tags: withSps(GOOD, () => makeSps({ profile: 100, mbWidth: 20, mapHeight: 6, frameMbsOnly: false })),
    codes: ['video-interlaced'],
  },
  { name: '32-khz', tags: slowAudio(withAudioConfig(GOOD, '1290')), codes: ['audio-sample-rate'] },
  { name: 'surround', tags: withAudioConfig(GOOD, '11b0'), codes: ['audio-channels'] },
  {
    name: 'further-tracks',
    tags: long('multitrack_av', SECONDS),
    codes: ['track-not-in-hls', 'track-not-in-hls'],
  },
  { name: 'left-out', tags: long('hevc_aac', SECONDS), codes: ['track-not-in-hls', 'b-frames'] },
  { name: 'damaged', tags: damaged(GOOD), codes: ['damaged-media'] },
];

/** Eleven points, each of half a minute and a little more. */
const DRIFT: Case = {
  name: 'fast-clock',
  tags: long('h264_aac', 360).map((tag) => ({ ...tag, at: tag.at / 1.005 })),
  codes: ['clock-drift'],
};

let gateway: TestGateway;
let publishers: SteppedPublishers;
const checks = vi.spyOn(StreamReporter.prototype, 'checkWarnings');

beforeAll(async () => {
  gateway = await startGateway({ transcode: { codecs: { hevc: 'drop' } } });
  publishers = new SteppedPublishers();
});

afterAll(async () => {
  await publishers.leave();
  publishers.release();
  checks.mockRestore();
  await gateway.stop();
});

/** Publishes all of them at a time. @returns what the API says of each before its publisher leaves */
async function play(cases: readonly Case[]): Promise<StreamView[]> {
  await publishers.publish(
    gateway.rtmpPort,
    cases.map(({ name: key, tags }) => ({ key, tags })),
  );
  checks.mockClear();
  await until('some looks', () => checks.mock.calls.length >= LOOKS * gateway.gateway.streams().length);
  const views = await listStreams(gateway.httpUrl);
  await publishers.leave();
  return views;
}

function viewOf(views: readonly StreamView[], name: string): StreamView {
  const view = views.find((candidate) => candidate.name === name);
  if (view === undefined) throw new Error(`there is no stream ${name}`);
  return view;
}

const codesOf = (view: StreamView) => view.warnings.map(({ code }) => code);

/** Several tracks may have the same to say; the log has the first. */
function expectToldOnce(name: string, { warnings }: StreamView): void {
  const told = gateway.log.filter(
    ({ fields }) => fields.stream === `live/${name}` && fields.fix !== undefined,
  );
  const codes = told.map(({ fields }) => fields.code);
  expect(codes).toEqual([...new Set(codes)]);
  if (warnings.length === 0) expect(codes).toEqual([]);
  for (const [code, { severity, fix }] of new Map(warnings.toReversed().map((one) => [one.code, one]))) {
    if (!NOT_BY_OBS.includes(code)) expect(fix).toMatch(MENU_PATH);
    const line = told.find(({ fields }) => fields.code === code);
    expect(line).toMatchObject({ level: severity === 'notice' ? 'info' : 'warn', fields: { fix } });
  }
}

describe('each verdict is in the API with what to change in OBS, and in the log once', () => {
  let first: StreamView[];
  let again: StreamView[];

  beforeAll(async () => {
    first = await play(CASES);
    // The encoders come back with nothing mended: for the log it is the same stream.
    again = await play(CASES);
  });

  test.each(CASES)('$name: $codes', ({ name, codes }) => {
    const [before, after] = [viewOf(first, name), viewOf(again, name)];
    expect(codesOf(before)).toEqual(codes);
    expect(codesOf(after)).toEqual(codes);
    expect(after.startedAt).toBe(before.startedAt);
    expectToldOnce(name, after);
  });
});

test('so is a clock that runs fast, after minutes', async () => {
  const view = viewOf(await play([DRIFT]), DRIFT.name);
  expect(codesOf(view)).toEqual(DRIFT.codes);
  expect(view.warnings[0]?.message).toContain('0.50 % fast');
  expectToldOnce(DRIFT.name, view);
});
