import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Stream } from '../../../src/live/stream.ts';
import type { Warning } from '../../../src/media/warning.ts';
import { audioTrack, encoded, noise, type Shape, type TimedFrame } from '../../media/support.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  type ClipTag,
  isAudio,
  isFrame,
  readClip,
  repeated,
  Studio,
  withKeyframes,
} from '../../support/publish-clip.ts';

/** A stream and its publisher, whose frames arrive when `arrival` says, by default when they are due. */
function rig() {
  const clock = new FakeClock();
  const stream = new Stream('live', 'cam', {
    clock,
    graceMs: () => 600_000,
    onState: () => {},
    onEpoch: () => {},
    onSinkFault: () => {},
  });
  const connect = () => stream.publish({ address: '192.0.2.1:5', encoder: null, dismiss: () => {} });
  /** Every code found while the frames came in. */
  const send = (
    publication: ReturnType<typeof connect>,
    frames: readonly TimedFrame[],
    arrival: (at: number) => number = (at) => at,
  ) => {
    const start = clock.now();
    const found = new Set<Warning['code']>();
    let nextLook = start;
    for (const frame of frames) {
      clock.advance(Math.max(0, start + arrival(frame.at) - clock.now()));
      publication.push(frame);
      if (clock.now() < nextLook) continue;
      nextLook = clock.now() + 1000;
      for (const { code } of stream.findings()) found.add(code);
    }
    return [...found].sort();
  };
  const codes = () => stream.findings().map(({ code }) => code);
  return { clock, stream, connect, send, codes };
}

/** Frames sent once at a time: the same encoder goes on. */
function later(frames: readonly TimedFrame[], ms: number): TimedFrame[] {
  return frames.map((frame) => ({ ...frame, timestamp: frame.timestamp + ms }));
}

describe('a healthy publisher', () => {
  const rates = [24_000 / 1001, 24, 25, 30_000 / 1001, 30, 48, 50, 60_000 / 1001, 60];
  const shapes = fc.record({
    fps: fc.constantFrom(...rates),
    sampleRate: fc.constantFrom(44_100 as const, 48_000 as const),
    keyframeSeconds: fc.constantFrom(1, 2, 4),
    /** Encoders round or cut to milliseconds, and begin anywhere. */
    cut: fc.boolean(),
    offset: fc.double({ min: 0, max: 1000, noNaN: true }),
    networkMs: fc.constantFrom(0, 20, 400),
    seed: fc.integer({ min: 1, max: 1000 }),
  });

  it('never gets a finding, whatever its frame rate', () => {
    fc.assert(
      fc.property(shapes, ({ fps, sampleRate, keyframeSeconds, cut, offset, networkMs, seed }) => {
        const { connect, send } = rig();
        const shape: Shape = {
          seconds: 40,
          fps,
          gop: Math.round(fps * keyframeSeconds),
          audio: audioTrack(sampleRate),
        };
        const frames = encoded(shape).map((frame) => {
          const time = frame.at + offset;
          return { ...frame, timestamp: cut ? Math.floor(time) : Math.round(time) };
        });
        const random = noise(seed);
        expect(send(connect(), frames, (at) => at + random() * networkMs)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it('nor does one over ten minutes, audio only or with video', () => {
    for (const video of [null, undefined]) {
      const { connect, send } = rig();
      expect(send(connect(), encoded({ seconds: 600, ...(video === null ? { video } : {}) }))).toEqual([]);
    }
  });
});

describe('findings', () => {
  it('no audio is mentioned once it is clear that none will come', () => {
    const { connect, send, codes } = rig();
    const publication = connect();
    const frames = encoded({ seconds: 20, audio: null });
    expect(send(publication, frames.slice(0, 100))).toEqual([]);
    expect(send(publication, frames.slice(100))).toEqual(['audio-missing']);
    expect(codes()).toEqual(['audio-missing']);
  });

  it('sound that stops is a problem until it comes back and a minute longer', () => {
    const { connect, send, clock, stream } = rig();
    const publication = connect();
    const frames = encoded({ seconds: 40 });
    const silent = frames.filter(({ track, at }) => track.kind === 'video' || at < 10_000 || at > 17_000);
    expect(send(publication, silent)).toEqual(['audio-gaps']);
    expect(stream.findings()).toMatchObject([
      { severity: 'warning', message: 'The sound was away for 7.0 s.' },
    ]);
    expect(send(publication, later(frames, 40_000))).toEqual(['audio-gaps']);
    clock.advance(1);
    expect(send(publication, later(frames, 80_000))).toEqual([]);
  });

  it('an upload that is too slow', () => {
    const { connect, send, stream } = rig();
    const publication = connect();
    expect(send(publication, encoded({ seconds: 60 }), (at) => at / 0.8)).toEqual(['upload-behind']);
    expect(stream.findings()).toMatchObject([
      { severity: 'problem', message: expect.stringContaining('80 %') },
    ]);
    expect(send(publication, later(encoded({ seconds: 90 }), 60_000))).toEqual(['upload-behind']);
    expect(send(publication, later(encoded({ seconds: 10 }), 150_000))).toEqual([]);
  });

  it('a clock that runs fast', () => {
    const { connect, send } = rig();
    expect(send(connect(), encoded({ seconds: 400, fps: 10, gop: 20 }), (at) => at * 0.998)).toEqual([
      'clock-drift',
    ]);
  });

  it('a timestamp jump is neither slow nor drift', () => {
    const { connect, send } = rig();
    const frames = encoded({ seconds: 420, fps: 10, gop: 20 }).map((frame) => ({
      ...frame,
      timestamp: frame.timestamp + (frame.at > 200_000 ? 60_000 : 0),
    }));
    expect(send(connect(), frames, (at) => at + (at > 200_000 ? 60_000 : 0))).toEqual(['upload-stalled']);
  });

  it('a publisher that is connected and silent has stalled; one that left has not', () => {
    const { connect, send, codes, clock } = rig();
    const publication = connect();
    send(publication, encoded({ seconds: 5 }));
    clock.advance(8_000);
    expect(codes()).toEqual([]);
    clock.advance(4_000);
    expect(codes()).toEqual(['upload-stalled']);
    publication.end();
    expect(codes()).toEqual([]);
  });

  it('a new publisher begins with a clean sheet', () => {
    const { connect, send, codes } = rig();
    send(connect(), encoded({ seconds: 20, audio: null }));
    expect(codes()).toEqual(['audio-missing']);
    const publication = connect();
    expect(codes()).toEqual([]);
    expect(send(publication, encoded({ seconds: 20 }))).toEqual([]);
  });
});

describe('real clips', () => {
  const findingsOf = async (tags: readonly ClipTag[]) => {
    const studio = new Studio();
    await studio.publish(tags, { stay: true });
    return studio.stream.findings();
  };
  const clip = (name: string) => repeated(readClip(name), 4);

  it('one made well', async () => {
    expect(await findingsOf(clip('h264_aac'))).toEqual([]);
  });

  it('B-frames', async () => {
    expect(await findingsOf(clip('h264b_aac'))).toMatchObject([
      { code: 'b-frames', message: expect.stringContaining('2 in a row, which cost about 80 ms') },
    ]);
  });

  it('a keyframe here and there', async () => {
    const kept = [0, 1, 4, 5, 6, 9, 12, 13];
    const tags = withKeyframes(clip('h264_aac'), (keyframe) => kept.includes(keyframe));
    expect(await findingsOf(tags)).toMatchObject([{ code: 'keyframe-interval-uneven' }]);
  });

  it('frames left out, and sound with holes', async () => {
    const tags = clip('h264_aac');
    const jerky = tags.filter((tag) => isAudio(tag) || !isFrame(tag) || tag.at % 2000 < 1400);
    expect((await findingsOf(jerky)).map(({ code }) => code)).toEqual(['frames-missing']);
    const holed = tags.filter((tag) => !isAudio(tag) || !isFrame(tag) || tag.at % 5000 < 4700);
    expect((await findingsOf(holed)).map(({ code }) => code)).toEqual(['audio-gaps']);
  });
});
