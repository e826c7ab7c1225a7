import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Packet } from '../../../src/media/packet.ts';
import { ticksFromMs } from '../../../src/media/time.ts';
import { SourceTimes } from '../../../src/transcode/ffmpeg/source-times.ts';
import { packetsOf, trackOf } from './support.ts';

const track = trackOf(packetsOf('h264_aac', 'video'));

function frame(pts: number, keyframe = false): Packet {
  return { track, dts: pts, pts, keyframe, data: Buffer.alloc(0) };
}

describe('SourceTimes', () => {
  it('begins at ten seconds, with odd milliseconds for keyframes', () => {
    const times = new SourceTimes();
    const start = ticksFromMs(123_456);
    expect(times.add(frame(start, true))).toBe(10_001);
    expect(times.add(frame(start + ticksFromMs(40)))).toBe(10_040);
    expect(times.add(frame(start + ticksFromMs(41)))).toBe(10_042);
    expect(times.start).toBe(start);
    expect(times.at(10_001)).toEqual({ pts: start, keyframe: true });
    expect(times.at(10_000)).toBeNull();
    expect(times.ticks(10_040)).toBe(start + ticksFromMs(40));
  });

  it('finds every frame again at exactly its time, at any rate up to 400 per second', () => {
    const source = fc.record({
      start: fc.integer({ min: 0, max: 2 ** 40 }),
      steps: fc.array(fc.tuple(fc.integer({ min: 225, max: 9000 }), fc.boolean()), { maxLength: 500 }),
    });
    fc.assert(
      fc.property(source, ({ start, steps }) => {
        const times = new SourceTimes();
        let pts = start;
        let last = 0;
        for (const [step, keyframe] of steps) {
          pts += step;
          const ms = times.add(frame(pts, keyframe));
          expect(times.at(ms)).toEqual({ pts, keyframe });
          expect(ms % 2).toBe(keyframe ? 1 : 0);
          expect(ms).toBeGreaterThan(last);
          last = ms;
        }
      }),
    );
  });

  it('gives frames of one moment milliseconds of their own', () => {
    const times = new SourceTimes();
    const taken = [0, 1, 2, 3].map((tick) => times.add(frame(tick, tick === 0)));
    expect(taken).toEqual([10_001, 10_000, 10_002, 10_004]);
  });

  it('forgets what has come back, and what never does', () => {
    const times = new SourceTimes();
    for (let index = 0; index < 10; index++) times.add(frame(ticksFromMs(40) * index, index === 0));
    times.forget(10_040);
    expect(times.size).toBe(8);
    times.forget(Number.NEGATIVE_INFINITY);
    expect(times.size).toBe(8);
    for (let index = 10; index < 20_000; index++) times.add(frame(ticksFromMs(40) * index));
    expect(times.size).toBe(8192);
  });
});
