import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ticksFromSeconds } from '../../src/media/time.ts';
import { chooseTargetDuration, longestSegment } from '../../src/packaging/target-duration.ts';

const choose = (wanted: number, longest: number, first: number, announced: number | null = null) =>
  chooseTargetDuration({
    wanted: ticksFromSeconds(wanted),
    longest: ticksFromSeconds(longest),
    first: ticksFromSeconds(first),
    announcedKeyframeInterval: announced === null ? null : ticksFromSeconds(announced),
  });

describe('chooseTargetDuration', () => {
  it.each([
    [2, 10, 2, null, 2],
    [2, 10, 1.5, null, 2],
    [2, 10, 2.08, null, 2],
    [2, 10, 2.2, null, 3],
    [2, 10, 8.33, null, 9],
    [2, 10, 2, 8.33, 9],
    [2, 10, 2, Number.POSITIVE_INFINITY, 10],
    [2, 10, 10.4, null, 10],
    [2, 10, 0.4, null, 2],
    [0.5, 1, 0.5, null, 1],
    [2.5, 10, 2.5, null, 3],
  ])('wanted %f, longest %f, first %f, announced %s: %i', (wanted, longest, first, announced, expected) => {
    expect(choose(wanted, longest, first, announced)).toBe(expected);
  });

  it('is a whole number no segment can round above', () => {
    const seconds = (min: number, max: number) => fc.double({ min, max, noNaN: true });
    fc.assert(
      fc.property(
        seconds(0.5, 30),
        seconds(1, 60),
        seconds(0.05, 1),
        fc.option(seconds(0.1, 100)),
        (wanted, longest, share, announced) => {
          fc.pre(wanted <= longest);
          const first = (longestSegment(longest) / 90_000) * share;
          const target = choose(wanted, longest, first, announced);
          expect(Number.isInteger(target) && target >= 1).toBe(true);
          expect(Math.round(first)).toBeLessThanOrEqual(target);
          expect(Math.round(longestSegment(target) / 90_000)).toBe(target);
          expect(target).toBeGreaterThanOrEqual(wanted);
        },
      ),
    );
  });
});
