import { describe, expect, test } from 'vitest';
import type { FrameTimes } from './frame-times.ts';
import { countSwitches, switchFaults } from './switch-faults.ts';

const FRAME = 3600;
const SOUND = 1920;

/** Two seconds of pictures and sound. */
function segment(number: number, { step = 1, shift = 0, missing = 0, late = 0 } = {}): FrameTimes {
  const start = number * 50 * FRAME;
  const count = Math.ceil((50 - missing) / step);
  const first = Math.ceil(start / SOUND);
  return {
    video: Array.from({ length: count }, (_, frame) => start + frame * step * FRAME + shift),
    audio: Array.from({ length: Math.ceil((start + 50 * FRAME) / SOUND) - first }, (_, frame) => ({
      start: (first + frame) * SOUND + late,
      end: (first + frame + 1) * SOUND + late,
    })),
  };
}

const variant = (...segments: FrameTimes[]) => new Map(segments.map((times, number) => [number, times]));
const source = variant(segment(0), segment(1), segment(2));
const faultsWith = (...segments: FrameTimes[]) =>
  switchFaults(
    new Map([
      ['source', source],
      ['low', variant(...segments)],
    ]),
  );

describe('switchFaults', () => {
  test('finds nothing where variants are aligned, also at half the frame rate or without pictures', () => {
    expect(faultsWith(segment(0), segment(1), segment(2))).toEqual([]);
    expect(faultsWith(segment(0, { step: 2 }), segment(1, { step: 2 }))).toEqual([]);
    expect(faultsWith({ ...segment(0), video: [] }, { ...segment(1), video: [] })).toEqual([]);
    expect(faultsWith(segment(0, { late: SOUND }), segment(1, { late: SOUND }))).toEqual([]);
  });

  test.each([
    [
      'pictures missing before a change',
      segment(0, { missing: 1 }),
      'low #0 to source #1: the next picture comes after 80.0 ms',
    ],
    ['a segment that begins late', segment(1), 'source #0 to low #1: the next picture comes after 2040.0 ms'],
    [
      'sound of another time',
      segment(0, { late: 2 * SOUND }),
      'low #0 to source #1: the sound goes on -42.7 ms off',
    ],
    [
      'pictures between those of the source',
      segment(0, { shift: 45 }),
      'low #0: 50 pictures of 50 are not in the source',
    ],
  ])('finds %s', (_, broken, fault) => {
    const faults = fault.includes('low #1')
      ? faultsWith(segment(0), segment(2))
      : faultsWith(broken, segment(1));
    expect(
      faults.some((found) => found.startsWith(fault)),
      faults.join('\n'),
    ).toBe(true);
  });

  test('is counted', () => {
    const variants = new Map([
      ['source', source],
      ['low', variant(segment(0), segment(1))],
    ]);
    expect(countSwitches(variants)).toBe(6);
  });
});
