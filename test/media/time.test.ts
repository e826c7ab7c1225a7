import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rtmpTimestampDelta, ticksFromMs, ticksFromSamples } from '../../src/media/time.ts';

describe('rtmpTimestampDelta', () => {
  it.each([
    [0, 40, 40],
    [40, 0, -40],
    [0xfffffffe, 1, 3],
    [1, 0xfffffffe, -3],
    [0xfffffe, 0x1000000, 2],
    [0x7fffffff, 0x80000000, 1],
    // A signed clock goes on at 0.
    [0x7fffffff, 0, 1],
    [0x7fffffff - 30, 10, 41],
    // Too far from the edge to be that.
    [0x7fffffff - 70_000, 10, -(0x7fffffff - 70_010)],
    [0x7fffffff - 30, 70_000, -(0x7fffffff - 70_030)],
  ])('from %i to %i are %i ms', (from, to, expected) => {
    expect(rtmpTimestampDelta(from, to)).toBe(expected);
  });

  it('finds any step below 24 days back, wherever the clock stands', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.integer({ min: -(2 ** 30), max: 2 ** 30 }), (from, step) => {
        const to = (from + step) >>> 0;
        fc.pre(!(from >= 0x7fffffff - 60_000 && from <= 0x7fffffff && to < 60_000));
        expect(rtmpTimestampDelta(from, to)).toBe(step);
      }),
    );
  });
});

it('ticks are exact for milliseconds and unrounded for samples', () => {
  expect(ticksFromMs(2 ** 40)).toBe(90 * 2 ** 40);
  expect(ticksFromSamples(1024, 48_000)).toBe(1920);
  expect(ticksFromSamples(1024, 44_100)).toBeCloseTo(2089.795918, 6);
});
