import { describe, expect, it } from 'vitest';
import { KeyframeSpacing } from '../../../src/live/ingest-doctor/keyframe-spacing.ts';
import { ticksFromSeconds } from '../../../src/media/time.ts';

/** Feeds keyframes these seconds apart. @returns the last verdict */
function feed(spacing: KeyframeSpacing, distances: readonly number[], from = 0) {
  let at = from;
  let verdict = spacing.keyframe(ticksFromSeconds(at));
  for (const distance of distances) {
    at += distance;
    verdict = spacing.keyframe(ticksFromSeconds(at));
  }
  return verdict;
}

describe('KeyframeSpacing', () => {
  it('reports scene cuts with the shortest and the longest distance', () => {
    expect(feed(new KeyframeSpacing(), [2, 0.7, 2, 1.2, 2, 2])).toMatchObject({
      code: 'keyframe-interval-uneven',
      severity: 'notice',
      message: expect.stringContaining('between 0.7 s and 2.0 s'),
      fix: expect.stringContaining('scenecut=0'),
    });
  });

  it.each([
    ['even', [2, 2, 2, 2, 2, 2]],
    ['long but even', [8.33, 8.33, 8.34, 8.33, 8.33]],
    ['a frame more or less', [2, 2.04, 1.96, 2, 2.04]],
    ['a quarter off', [2, 2.5, 1.5, 2, 2.5]],
    ['one that somebody inserted', [2, 2, 0.4, 2, 2, 2]],
    ['too few to tell', [2, 0.5, 1]],
  ])('says nothing of %s', (_name, distances) => {
    expect(feed(new KeyframeSpacing(), distances)).toBeNull();
  });

  it('forgets', () => {
    const spacing = new KeyframeSpacing();
    expect(feed(spacing, [2, 0.7, 2, 1.2, 2])).not.toBeNull();
    expect(feed(spacing, [2, 2, 2, 2, 2, 2], 8)).toBeNull();
  });

  it('does not measure across an interruption', () => {
    const spacing = new KeyframeSpacing();
    for (let round = 0; round < 3; round++) {
      expect(feed(spacing, [2, 2], round * 9)).toBeNull();
      spacing.interrupt();
    }
  });
});
