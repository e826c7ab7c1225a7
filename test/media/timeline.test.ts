import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { msFromTicks, ticksFromMs, ticksFromSeconds } from '../../src/media/time.ts';
import { Timeline } from '../../src/media/timeline.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  audioTrack,
  encoded,
  largestSkew,
  noise,
  ORIGIN,
  packetsOf,
  type RunEpoch,
  run,
  stamped,
  type TimedFrame,
  videoTrack,
  violations,
} from './support.ts';

const HOUR = 3_600_000;
const BOTH = { video: true, audio: true };

function expectSound(epochs: readonly RunEpoch[], frames: readonly TimedFrame[], lost = 0): void {
  expect(violations(epochs)).toEqual([]);
  expect(packetsOf(epochs)).toHaveLength(frames.length - lost);
  expect(new Set(packetsOf(epochs).map((packet) => packet.data)).size).toBe(frames.length - lost);
}

function reasons(epochs: readonly RunEpoch[]): string[] {
  return epochs.map((epoch) => epoch.reason);
}

describe('where the clock starts and wraps', () => {
  it.each([0, 1, 0xfffffe, 0x7ffff000, 0xfffff000])('start at %i, 12 s, both tracks', (start) => {
    const frames = stamped(encoded({ seconds: 12 }), ({ at }) => start + Math.round(at));
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
    expect(epochs[0]?.start).toBe(ORIGIN);
    expect(largestSkew(epochs)).toBeLessThan(2);
    const last = packetsOf(epochs)
      .filter((packet) => packet.track.kind === 'video')
      .at(-1);
    expect(last?.pts).toBe(ORIGIN + ticksFromMs(11_960));
  });

  it.each([0x7ffff000, 0x7fffffff - 3])('an encoder with a signed clock from %i wraps to 0', (start) => {
    const frames = stamped(
      encoded({ seconds: 12, audio: audioTrack(44100) }),
      ({ at }) => (start + Math.round(at)) % 2 ** 31,
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
    expect(largestSkew(epochs)).toBeLessThan(2);
  });

  it.each(['audio', 'video'] as const)('%s alone wraps half a second before the other', (kind) => {
    for (const [start, modulo] of [
      [0xfffff000, 2 ** 32],
      [0x7ffff000, 2 ** 31],
    ] as const) {
      const frames = stamped(
        encoded({ seconds: 12 }),
        ({ at, track }) => (start + Math.round(at) + (track.kind === kind ? 500 : 0)) % modulo,
      );
      const epochs = run(frames, { announce: BOTH });
      expectSound(epochs, frames);
      expect(reasons(epochs)).toEqual(['start']);
      // The half second is what the encoder says, so it stays.
      expect(largestSkew(epochs)).toBeGreaterThan(498);
      expect(largestSkew(epochs)).toBeLessThan(502);
    }
  });

  it('a still picture every five seconds, for a day around 2^32', () => {
    const step = 5000;
    const count = (24 * HOUR) / step;
    const frames = stamped(
      encoded({ seconds: (count * step) / 1000, fps: 1000 / step, gop: 1, audio: null }),
      ({ at }) => 2 ** 32 - 12 * HOUR + at,
    );
    // Frames this far apart look like a jump until three of them agree; then time runs true.
    const epochs = run(frames, { announce: { video: true, audio: false } });
    expect(violations(epochs)).toEqual([]);
    const times = packetsOf(epochs).map((packet) => packet.dts);
    const steps = times.slice(1).map((time, i) => msFromTicks(time - (times[i] ?? 0)));
    expect(steps.filter((ms) => ms !== step).length).toBeLessThan(4);
    expect(times).toHaveLength(count);
  });
});

describe('jumps', () => {
  it.each([
    ['+1 h', HOUR],
    ['-1 h', -HOUR],
    ['+3 s', 3000],
    ['-3 s', -3000],
    ['to far away', 2 ** 31 - 5],
  ])('%s: time goes on without it, a new epoch at the next keyframe', (_name, jump) => {
    const frames = stamped(
      encoded({ seconds: 14 }),
      ({ at }) => 2 * HOUR + Math.round(at) + (at >= 5000 ? jump : 0),
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start', 'timestamp-jump']);
    expect(epochs[1]?.packets[0]).toMatchObject({ at: 6000, keyframe: true });
    expect(largestSkew(epochs.slice(1))).toBeLessThan(20);
    expect(largestSkew(epochs.slice(0, 1))).toBeLessThan(45);
    const video = packetsOf(epochs).filter((packet) => packet.track.kind === 'video');
    const steps = video.slice(1).map((packet, i) => msFromTicks(packet.dts - (video[i]?.dts ?? 0)));
    expect(Math.max(...steps)).toBeLessThan(100);
    expect(Math.min(...steps)).toBeGreaterThan(0);
  });

  it('a jump of the leading track alone is taken over when three frames agree', () => {
    const frames = stamped(encoded({ seconds: 8 }), ({ at, track }) => {
      return Math.round(at) + (at >= 5000 && track.kind === 'video' ? HOUR : 0);
    });
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toContain('timestamp-jump');
  });

  it.each([
    ['video, +1 h', 'video', HOUR],
    ['video, -1 h', 'video', -HOUR],
    ['audio, +1 h', 'audio', HOUR],
    ['audio, -1 h', 'audio', -HOUR],
    ['video, timestamp 0', 'video', -2 * HOUR - 5000],
  ] as const)('an isolated outlier (%s) costs nothing', (_name, kind, jump) => {
    let hit: TimedFrame | undefined;
    const frames = stamped(encoded({ seconds: 8 }), (frame) => {
      if (hit === undefined && frame.at >= 5000 && frame.track.kind === kind) hit = frame;
      return 2 * HOUR + Math.round(frame.at) + (frame === hit ? jump : 0);
    });
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
    expect(largestSkew(epochs)).toBeLessThan(20);
  });

  it('a stray first frame does not shift the rest', () => {
    const frames = stamped(encoded({ seconds: 8 }), ({ at }, index) =>
      index === 0 ? 0 : HOUR + Math.round(at),
    );
    const epochs = run(frames);
    expect(violations(epochs)).toEqual([]);
    expect(packetsOf(epochs)).toHaveLength(frames.length);
    expect(largestSkew(epochs, 2000)).toBeLessThan(20);
  });

  it('a pause of both tracks is closed, its end is a new epoch', () => {
    const frames = encoded({ seconds: 30 }).filter(({ at }) => at < 5000 || at >= 25_000);
    const epochs = run(frames);
    expect(violations(epochs)).toEqual([]);
    expect(reasons(epochs)).toEqual(['start', 'timestamp-jump']);
    expect(packetsOf(epochs)).toHaveLength(frames.length);
  });

  it('a hole of dropped frames is no jump', () => {
    const frames = encoded({ seconds: 12 }).filter(
      ({ at, track }) => track.kind === 'audio' || at < 5000 || at >= 6500,
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
    expect(largestSkew(epochs)).toBeLessThan(2);
  });
});

describe('audio', () => {
  it('with stamps 20 ms to either side is smooth and in sync', () => {
    const random = noise();
    const frames = stamped(encoded({ seconds: 120 }), ({ at, track }) =>
      Math.round(at + 100 + (track.kind === 'audio' ? (random() - 0.5) * 40 : 0)),
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
    // The first frame's own jitter is what the count starts from; it is pulled in within seconds.
    expect(largestSkew(epochs, 10_000)).toBeLessThan(20);
    const audio = packetsOf(epochs).filter((packet) => packet.track.kind === 'audio');
    const steps = audio.slice(1).map((packet, i) => packet.pts - (audio[i]?.pts ?? 0));
    expect(Math.max(...steps)).toBeLessThanOrEqual(1920 + 31);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(1920 - 31);
  });

  it('drifting 100 ppm against the video for 20 minutes stays in sync', () => {
    const frames = encoded({ seconds: 1200, fps: 5, gop: 10 });
    const drifted = frames.map((frame) => {
      if (frame.track.kind === 'video') return frame;
      const at = frame.at * 1.0001;
      return { ...frame, at, timestamp: Math.round(at) };
    });
    const epochs = run(drifted);
    expectSound(epochs, frames);
    expect(largestSkew(epochs)).toBeLessThan(20);
  });

  it.each([
    ['early', -2000],
    ['late', 2000],
  ])('beginning 2 s %s keeps its distance', (_name, offset) => {
    const frames = encoded({ seconds: 12 })
      .filter(({ at, track }) =>
        track.kind === 'audio' ? at >= Math.max(0, offset) : at >= Math.max(0, -offset),
      )
      .map((frame) => frame);
    const epochs = run(frames, { announce: BOTH });
    expect(violations(epochs)).toEqual([]);
    expect(reasons(epochs)).toEqual(['start']);
    expect(largestSkew(epochs)).toBeLessThan(2);
    // Audio before the first picture has nowhere to go: an epoch starts at a keyframe.
    const before = frames.filter(({ at }) => at < 2000 && offset < 0).length;
    expect(packetsOf(epochs)).toHaveLength(frames.length - before);
  });

  it.each([
    ['ahead', 2000],
    ['behind', -2000],
  ])(
    'stamped 2 s %s of the video it arrives with keeps its distance and the decode order',
    (_name, offset) => {
      const frames = stamped(
        encoded({ seconds: 20 }),
        ({ at, track }) => 5000 + Math.round(at) + (track.kind === 'audio' ? offset : 0),
      );
      const epochs = run(frames, { announce: BOTH });
      expect(violations(epochs)).toEqual([]);
      const skew = largestSkew(epochs);
      expect(Math.abs(skew - 2000)).toBeLessThan(20);
      const settled = packetsOf(epochs).filter(({ at }) => at > 6000 && at < 17_000);
      const disorder = settled.filter((packet, i) => packet.dts < (settled[i - 1]?.dts ?? 0));
      expect(disorder).toEqual([]);
    },
  );

  it.each([
    ['nothing is announced', undefined, 1000],
    ['none is announced', { video: true, audio: false }, 250],
    ['it is promised but never comes', BOTH, 3000],
  ])('none at all, when %s', (_name, announce, patience) => {
    const frames = encoded({ seconds: 6, audio: null });
    let seen = 0;
    const early = run(
      frames.filter(({ at }) => at < patience - 50),
      announce === undefined ? {} : { announce },
    );
    seen += early[0]?.packets.length ?? 0;
    const epochs = run(frames, announce === undefined ? {} : { announce });
    expectSound(epochs, frames);
    expect(epochs[0]?.tracks.map((track) => track.id)).toEqual(['v0']);
    // A publisher that leaves before the wait is over loses nothing either.
    expect(seen).toBe(frames.filter(({ at }) => at < patience - 50).length);
  });

  it('that stops holds nothing up and comes back in place', () => {
    const frames = encoded({ seconds: 90 }).filter(
      ({ at, track }) => track.kind === 'video' || at < 60_000 || at > 80_000,
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
    expect(largestSkew(epochs)).toBeLessThan(20);
  });

  it('alone starts at once after the wait', () => {
    const frames = encoded({ seconds: 5, video: null });
    const epochs = run(frames, { announce: { video: false, audio: true } });
    expectSound(epochs, frames);
    expect(epochs[0]?.tracks.map((track) => track.id)).toEqual(['a0']);
  });
});

describe('video', () => {
  it('doubled timestamps still rise', () => {
    const frames = stamped(encoded({ seconds: 8 }), ({ at }) => Math.floor(at / 100) * 100);
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start']);
  });

  it('composition offsets of a B pyramid arrive unchanged', () => {
    const offsets = [80, 200, 80, 0, 40];
    const frames = encoded({ seconds: 8 }).map((frame, i) =>
      frame.track.kind === 'video' ? { ...frame, compositionOffset: offsets[i % 5] ?? 0 } : frame,
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    const sent = new Map(frames.map((frame) => [frame.data, frame.compositionOffset]));
    for (const { track, pts, dts, data } of packetsOf(epochs)) {
      if (track.kind === 'video') expect(msFromTicks(pts - dts)).toBe(sent.get(data));
    }
  });

  it('negative composition offsets lower the decode times and leave the pictures where they are', () => {
    const frames = encoded({ seconds: 8 }).map((frame, i) =>
      frame.track.kind === 'video' ? { ...frame, compositionOffset: i % 3 === 0 ? -66 : 0 } : frame,
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    const sent = new Map(frames.map((frame) => [frame.data, frame.timestamp + frame.compositionOffset]));
    const shifts = packetsOf(epochs)
      .filter((packet) => packet.track.kind === 'video' && packet.at > 500)
      .map(({ pts, data }) => msFromTicks(pts - ORIGIN) - (sent.get(data) ?? 0));
    expect([...new Set(shifts)]).toEqual([0]);
  });

  it.each([20_000, -20_000])('a composition offset of %i ms is garbage', (compositionOffset) => {
    const frames = encoded({ seconds: 4 }).map((frame) => ({ ...frame, compositionOffset }));
    expect(packetsOf(run(frames)).every(({ pts, dts }) => pts === dts)).toBe(true);
  });

  it('nanoseconds add to the presentation time', () => {
    const frames = encoded({ seconds: 2, audio: null }).map((frame) => ({ ...frame, nanoseconds: 500_000 }));
    expect(new Set(packetsOf(run(frames)).map(({ pts, dts }) => pts - dts))).toEqual(new Set([45]));
  });

  it('a frame every five seconds', () => {
    const frames = encoded({ seconds: 120, fps: 0.2, gop: 1 });
    const epochs = run(frames);
    expect(violations(epochs)).toEqual([]);
    expect(packetsOf(epochs)).toHaveLength(frames.length);
    expect(largestSkew(epochs, 20_000)).toBeLessThan(20);
  });
});

describe('epochs', () => {
  it('a late track waits for the next keyframe', () => {
    const frames = encoded({ seconds: 12 }).filter(({ at, track }) => track.kind === 'video' || at >= 5300);
    const epochs = run(frames);
    const waiting = frames.filter(({ at, track }) => track.kind === 'audio' && at < 6000).length;
    expectSound(epochs, frames, waiting);
    expect(
      epochs.map(({ reason, tracks, packets }) => [reason, tracks.map((t) => t.id).join(), packets[0]?.at]),
    ).toEqual([
      ['start', 'v0', 0],
      ['config-change', 'v0,a0', 6000],
    ]);
    expect(largestSkew(epochs)).toBeLessThan(2);
  });

  it('late video does not interrupt the audio before it', () => {
    const frames = encoded({ seconds: 12 }).filter(({ at, track }) => track.kind === 'audio' || at >= 6000);
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(epochs.map(({ reason, tracks }) => [reason, tracks.map((t) => t.id).join()])).toEqual([
      ['start', 'a0'],
      ['config-change', 'v0,a0'],
    ]);
  });

  it('a new configuration at a keyframe', () => {
    const changed = videoTrack();
    const frames = encoded({ seconds: 12 }).map((frame) =>
      frame.track.kind === 'video' && frame.at >= 6000 ? { ...frame, track: changed } : frame,
    );
    const epochs = run(frames);
    expectSound(epochs, frames);
    expect(reasons(epochs)).toEqual(['start', 'config-change']);
    expect(epochs[1]?.tracks[0]).toBe(changed);
    expect(epochs[1]?.packets[0]?.at).toBe(6000);
    expect(largestSkew(epochs)).toBeLessThan(2);
  });

  it('a new audio configuration waits for the next keyframe', () => {
    const changed = audioTrack(48000);
    const frames = encoded({ seconds: 12 }).map((frame) =>
      frame.track.kind === 'audio' && frame.at >= 5000 ? { ...frame, track: changed } : frame,
    );
    const waiting = frames.filter(({ at, track }) => track === changed && at < 6000).length;
    const epochs = run(frames);
    expectSound(epochs, frames, waiting);
    expect(epochs[1]?.packets[0]?.at).toBe(6000);
  });

  it('video before its first keyframe is dropped', () => {
    const frames = encoded({ seconds: 8 }).filter(({ at }) => at >= 500);
    const epochs = run(frames, { announce: BOTH });
    expect(epochs[0]?.packets[0]).toMatchObject({ at: 2000, keyframe: true });
    expect(violations(epochs)).toEqual([]);
    // Where nobody promised video, a second of audio is enough to begin without it.
    expect(run(frames).map(({ tracks }) => tracks.map((track) => track.id).join())).toEqual(['a0', 'v0,a0']);
  });

  it('begin at the wall-clock time of their first packet', () => {
    const frames = encoded({ seconds: 12, audio: null });
    const [epoch] = run(frames);
    expect(epoch?.startedAt).toBeCloseTo(1_700_000_000_000, 3);
  });

  it('hold at most 8 MB', () => {
    let packets = 0;
    const sink = { epoch: () => {}, packet: () => packets++, end: () => {} };
    const timeline = new Timeline(sink, { clock: new FakeClock(), origin: ORIGIN, reason: 'start' });
    timeline.announce(BOTH);
    const frames = encoded({ seconds: 1, audio: null }).map((frame) => ({
      ...frame,
      data: Buffer.alloc(1024 * 1024),
    }));
    for (const frame of frames.slice(0, 7)) timeline.push(frame);
    expect(packets).toBe(0);
    for (const frame of frames.slice(7, 12)) timeline.push(frame);
    expect(packets).toBe(12);
  });

  it('continue from any origin', () => {
    const origin = ticksFromSeconds(95_443);
    const frames = encoded({ seconds: 3 });
    expect(run(frames, { origin })[0]?.start).toBe(origin);
  });
});

it('the invariants hold for any timestamps', () => {
  const anyFrame = fc.record({
    kind: fc.constantFrom('video', 'audio'),
    step: fc.oneof(
      { weight: 20, arbitrary: fc.nat(60) },
      { weight: 2, arbitrary: fc.integer({ min: -600, max: 4000 }) },
      { weight: 1, arbitrary: fc.integer({ min: -(2 ** 31), max: 2 ** 31 }) },
    ),
    cts: fc.oneof(
      { weight: 5, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: -12_000, max: 12_000 }) },
    ),
    key: fc.boolean(),
  });
  const video = videoTrack();
  const audio = audioTrack();
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.array(anyFrame, { maxLength: 150 }), (start, steps) => {
      let timestamp = start;
      const frames = steps.map(({ kind, step, cts, key }, i): TimedFrame => {
        timestamp = (timestamp + step) >>> 0;
        const isVideo = kind === 'video';
        return {
          track: isVideo ? video : audio,
          at: i * 20,
          timestamp,
          compositionOffset: isVideo ? cts : 0,
          nanoseconds: 0,
          keyframe: !isVideo || key,
          data: Uint8Array.of(i),
        };
      });
      const epochs = run(frames);
      expect(violations(epochs)).toEqual([]);
      expect(new Set(packetsOf(epochs).map((packet) => packet.data)).size).toBe(packetsOf(epochs).length);
    }),
    { numRuns: 300 },
  );
});

it('a picture that comes late, with earlier times than the sound before it, is not lost', () => {
  const sound = encoded({ seconds: 4, video: null });
  const both = encoded({ seconds: 6 });
  const pictures = both.filter(({ track }) => track.kind === 'video');
  const rest = both.filter(({ track, at }) => track.kind === 'audio' && at >= 4000);
  const late = [...sound, ...pictures.slice(0, 100), ...rest, ...pictures.slice(100)];
  const epochs = run(late);
  const kept = packetsOf(epochs).filter(({ track }) => track.kind === 'video');
  expect(kept).toHaveLength(pictures.length);
  expect(epochs.at(-1)?.tracks).toHaveLength(2);
});
