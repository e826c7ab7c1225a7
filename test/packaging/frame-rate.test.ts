import { describe, expect, it } from 'vitest';
import { ticksFromMs } from '../../src/media/time.ts';
import { FrameRateMeter } from '../../src/packaging/frame-rate.ts';

/** Four seconds of frames, stamped in whole milliseconds. */
function measured(fps: number, promised: number | null): number | null {
  const meter = new FrameRateMeter();
  for (let i = 0; i <= fps * 4; i++) meter.frame(ticksFromMs(Math.round((i * 1000) / fps)));
  return meter.rate(promised);
}

describe('FrameRateMeter', () => {
  it.each([24, 25, 30, 48, 50, 60, 90, 100, 120, 24_000 / 1001, 30_000 / 1001, 60_000 / 1001])(
    'finds %f',
    (fps) => {
      expect(measured(fps, null)).toBe(fps);
      expect(measured(fps, fps)).toBe(fps);
    },
  );

  it('is none where timestamps hardly move: what is promised counts', () => {
    const meter = new FrameRateMeter();
    for (let dts = 0; dts < 100; dts++) meter.frame(dts);
    expect(meter.rate(null)).toBeNull();
    expect(meter.rate(30)).toBe(30);
    meter.reset();
    for (let n = 0; n < 100; n++) meter.frame(0);
    expect(meter.rate(null)).toBeNull();
  });

  it('forgets an uneven start and holes', () => {
    const meter = new FrameRateMeter();
    for (const ms of [0, 7, 9, 40, 80, 120]) meter.frame(ticksFromMs(ms));
    for (let i = 0; i < 100; i++) meter.frame(ticksFromMs(i * 40 + (i < 50 ? 160 : 900)));
    expect(meter.rate(null)).toBe(25);
  });

  it('is what most intervals agree on, when the first second is hurried through', () => {
    const meter = new FrameRateMeter();
    for (let i = 0; i < 20; i++) meter.frame(ticksFromMs(i * 32));
    for (let i = 0; i < 30; i++) meter.frame(ticksFromMs(19 * 32 + (i + 1) * 40));
    expect(meter.rate(null)).toBe(25);
  });

  it('believes the frames over the bitstream', () => {
    expect(measured(25, 50)).toBe(25);
    expect(measured(10, 30)).toBeCloseTo(10, 2);
    expect(measured(59.8, 59.8)).toBe(59.8);
  });

  it('before two frames only the promise', () => {
    const meter = new FrameRateMeter();
    expect(meter.rate(30)).toBe(30);
    expect(meter.rate(null)).toBeNull();
    meter.frame(0);
    expect(meter.rate(25)).toBe(25);
    meter.frame(3600);
    expect(meter.rate(null)).toBe(25);
    meter.reset();
    expect(meter.rate(null)).toBeNull();
  });
});
