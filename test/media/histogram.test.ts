import { expect, it } from 'vitest';
import { Histogram } from '../../src/media/histogram.ts';

it('a histogram counts each value once, in the first bucket that takes it', () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 2.1, 5, 6]) histogram.observe(value);
  expect(histogram.counts).toEqual([2, 2, 2]);
  expect(histogram.count).toBe(7);
  expect(histogram.sum).toBeCloseTo(17.6);
});
