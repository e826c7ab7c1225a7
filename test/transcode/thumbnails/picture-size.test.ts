import { expect, it } from 'vitest';
import { readWidth, stepFor } from '../../../src/transcode/thumbnails/picture-size.ts';

it.each([
  [null, 640],
  ['16', 16],
  ['1280', 1280],
  ['15', null],
  ['1281', null],
  ['', null],
  ['1e2', null],
  ['-64', null],
  ['64.5', null],
  ['999999', null],
])('width %s is %s', (text, width) => {
  expect(readWidth(text)).toBe(width);
});

it('makes few sizes, each at least as large as asked for', () => {
  const steps = new Set<number>();
  for (let wish = 16; wish <= 1280; wish++) {
    const step = stepFor(wish);
    expect(step).toBeGreaterThanOrEqual(wish);
    steps.add(step);
  }
  expect(steps.size).toBeLessThan(10);
});
