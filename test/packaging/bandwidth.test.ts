import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ticksFromSeconds } from '../../src/media/time.ts';
import { BandwidthMeter } from '../../src/packaging/bandwidth.ts';

/** RFC 8216: the largest rate of any contiguous run between half and one and a half target durations. */
function definition(segments: readonly { bytes: number; duration: number }[], target: number): number {
  let peak = 0;
  for (let from = 0; from < segments.length; from++) {
    let bits = 0;
    let ticks = 0;
    for (const { bytes, duration } of segments.slice(from)) {
      bits += bytes * 8;
      ticks += duration;
      if (ticks >= ticksFromSeconds(target * 0.5) && ticks <= ticksFromSeconds(target * 1.5 + 0.5)) {
        peak = Math.max(peak, bits / (ticks / 90_000));
      }
    }
  }
  return Math.ceil(peak);
}

describe('BandwidthMeter', () => {
  it('is zero before the first segment', () => {
    const meter = new BandwidthMeter();
    expect([meter.peak, meter.average]).toEqual([0, 0]);
    meter.add(1000, 0, 2);
    expect([meter.peak, meter.average]).toEqual([0, 0]);
  });

  it('takes a short segment for itself only until there is a longer run', () => {
    const meter = new BandwidthMeter();
    meter.add(100_000, ticksFromSeconds(0.1), 2);
    expect(meter.peak).toBe(8_000_000);
    meter.add(250_000, ticksFromSeconds(1.9), 2);
    expect(meter.peak).toBe(1_400_000);
    expect(meter.average).toBe(1_400_000);
  });

  it('equals the definition', () => {
    const segment = fc.record({
      bytes: fc.integer({ min: 1000, max: 5_000_000 }),
      duration: fc.integer({ min: 20_000, max: 600_000 }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(segment, { minLength: 1, maxLength: 30 }),
        (target, segments) => {
          const meter = new BandwidthMeter();
          for (const { bytes, duration } of segments) meter.add(bytes, duration, target);
          const expected = definition(segments, target);
          if (expected > 0) expect(Math.abs(meter.peak - expected)).toBeLessThanOrEqual(1);
          const bits = segments.reduce((sum, { bytes }) => sum + bytes * 8, 0);
          const ticks = segments.reduce((sum, { duration }) => sum + duration, 0);
          expect(meter.average).toBe(Math.ceil(bits / (ticks / 90_000)));
        },
      ),
    );
  });
});
