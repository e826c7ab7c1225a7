import { describe, expect, it } from 'vitest';
import { ticksFromMs } from '../../src/media/time.ts';
import { WallAnchor } from '../../src/packaging/wall-anchor.ts';
import { noise } from '../media/support.ts';

const START = 1_700_000_000_000;
const SEGMENT = ticksFromMs(2000);

describe('WallAnchor', () => {
  it('maps the start exactly and runs with the media', () => {
    const anchor = new WallAnchor();
    anchor.reset(900_000, START);
    expect(anchor.wallTime(900_000)).toBe(START);
    expect(anchor.wallTime(900_000 + SEGMENT)).toBe(START + 2000);
  });

  it('network bursts of seconds do not show', () => {
    const anchor = new WallAnchor();
    const random = noise();
    anchor.reset(0, START);
    let worst = 0;
    for (let i = 1; i < 500; i++) {
      worst = Math.max(worst, Math.abs(anchor.wallTime(i * SEGMENT) - (START + i * 2000)));
      anchor.observe(i * SEGMENT, START + i * 2000 + (i % 10 === 0 ? 0 : random() * 3000), SEGMENT);
    }
    expect(worst).toBeLessThan(20);
  });

  it.each([100, -100])('an encoder off by %i ppm is followed over a day, never a frame away', (ppm) => {
    const anchor = new WallAnchor();
    anchor.reset(0, START);
    let worst = 0;
    let last = START;
    for (let i = 1; i <= 43_200; i++) {
      const real = START + i * 2000 * (1 + ppm / 1e6);
      const told = anchor.wallTime(i * SEGMENT);
      worst = Math.max(worst, Math.abs(told - real));
      expect(told).toBeGreaterThan(last);
      last = told;
      anchor.observe(i * SEGMENT, real, SEGMENT);
    }
    expect(worst).toBeLessThan(20);
  });

  it('follows by at most a thousandth', () => {
    const anchor = new WallAnchor();
    anchor.reset(0, START);
    for (let i = 1; i <= 10; i++) anchor.observe(i * SEGMENT, START + i * 2000 + 60_000, SEGMENT);
    expect(anchor.wallTime(0) - START).toBeCloseTo(20, 3);
  });

  it('starts anew at a break', () => {
    const anchor = new WallAnchor();
    anchor.reset(0, START);
    anchor.observe(SEGMENT, START + 9000, SEGMENT);
    anchor.reset(SEGMENT, START + 60_000);
    expect(anchor.wallTime(SEGMENT)).toBe(START + 60_000);
  });

  it('does not go back over a break, and follows the clock from there', () => {
    const anchor = new WallAnchor();
    anchor.reset(0, START);
    anchor.observe(SEGMENT, START + 1900, SEGMENT);
    anchor.reset(SEGMENT + 3600, START + 1900);
    expect(anchor.wallTime(SEGMENT + 3600)).toBe(START + 2000);
    for (let i = 1; i <= 100; i++) {
      const at = SEGMENT + 3600 + i * SEGMENT;
      anchor.observe(at, START + 1900 + i * 2000, SEGMENT);
    }
    expect(anchor.wallTime(SEGMENT + 3600)).toBeCloseTo(START + 1900, 3);
  });

  it('does not go back over a restart', () => {
    const anchor = new WallAnchor(START + 300);
    anchor.reset(900_000, START);
    expect(anchor.wallTime(900_000)).toBe(START + 300);
  });

  it('goes back with a clock that was set back', () => {
    const anchor = new WallAnchor(START + 3_600_000);
    anchor.reset(900_000, START);
    expect(anchor.wallTime(900_000)).toBe(START);
    anchor.observe(900_000 + SEGMENT, START + 2000, SEGMENT);
    anchor.reset(900_000 + SEGMENT, START + 1900);
    expect(anchor.wallTime(900_000 + SEGMENT)).toBe(START + 2000);
  });
});
