import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AudioClock } from '../../src/media/audio-clock.ts';
import { ticksFromMs, ticksFromSamples } from '../../src/media/time.ts';

const FRAME = ticksFromSamples(1024, 44_100);
const DAY = 24 * 3600 * 90_000;

describe('AudioClock', () => {
  it('44.1 kHz stamped 23, 23, 24 … for 24 h: counted, no drift', () => {
    const clock = new AudioClock();
    let worst = 0;
    let uneven = 0;
    let last = -FRAME;
    const count = Math.floor(DAY / FRAME);
    for (let i = 0; i < count; i++) {
      const time = clock.next(ticksFromMs(Math.floor((i * 1024_000) / 44_100)), FRAME);
      worst = Math.max(worst, Math.abs(time - i * FRAME));
      if (Math.abs(time - last - FRAME) > 1) uneven++;
      last = time;
    }
    expect(worst).toBeLessThan(FRAME);
    expect(uneven).toBe(0);
  });

  it.each([100, -100])(
    'a sample clock off by %i ppm for 24 h: followed within 20 ms, without a jump',
    (ppm) => {
      const clock = new AudioClock();
      let worst = 0;
      let roughest = 0;
      let last = -FRAME;
      const real = FRAME * (1 + ppm / 1e6);
      const count = Math.floor(DAY / FRAME);
      for (let i = 0; i < count; i++) {
        const time = clock.next(ticksFromMs(Math.round((i * real) / 90)), FRAME);
        worst = Math.max(worst, Math.abs(time - i * real));
        roughest = Math.max(roughest, Math.abs(time - last - FRAME));
        last = time;
      }
      expect(worst).toBeLessThan(ticksFromMs(20));
      expect(roughest).toBeLessThan(FRAME / 60);
    },
  );

  it('jumps over a real gap at once', () => {
    const clock = new AudioClock();
    clock.next(0, FRAME);
    expect(clock.next(ticksFromMs(400), FRAME)).toBe(ticksFromMs(400));
    expect(clock.next(ticksFromMs(423), FRAME)).toBe(Math.round(ticksFromMs(400) + FRAME));
  });

  it('stamps that stand still or step back never turn the time back', () => {
    const clock = new AudioClock();
    let last = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < 60; i++) {
      const stamp = i < 20 ? i * 23 : i < 40 ? 20 * 23 : (i - 20) * 23 - 300;
      const time = clock.next(ticksFromMs(stamp), FRAME);
      expect(time).toBeGreaterThan(last);
      last = time;
    }
  });

  it('rises for any input', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { maxLength: 100 }), (steps) => {
        const clock = new AudioClock();
        let stamp = 0;
        const times = steps.map((step) => {
          stamp += step;
          return clock.next(ticksFromMs(stamp), FRAME);
        });
        expect(times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0))).toBe(true);
      }),
    );
  });
});
