import { describe, expect, it } from 'vitest';
import { type PackagingState, packagingWarnings } from '../../src/packaging/packaging-warnings.ts';
import { audioTrack, videoTrack } from '../media/support.ts';

function told(changes: Partial<PackagingState>) {
  const warnings = packagingWarnings({
    tracks: [videoTrack(), audioTrack()],
    carries: () => true,
    keyframeInterval: 2,
    segmentDuration: 2,
    targetDuration: 2,
    forcedCuts: 0,
    losesSegments: false,
    ...changes,
  });
  return warnings.map(({ message }) => message);
}

describe('packagingWarnings', () => {
  it('has nothing to say of a stream as it should be', () => {
    expect(told({})).toEqual([]);
    expect(told({ keyframeInterval: 3, targetDuration: 3 })).toEqual([]);
    expect(told({ keyframeInterval: null, targetDuration: null })).toEqual([]);
  });

  it('says what rare keyframes cost, where segments wait for them', () => {
    const longer = 'Keyframes come every 8.3 s, so segments are longer than 2 s';
    expect(told({ keyframeInterval: 8.33, targetDuration: null })).toEqual([`${longer}.`]);
    expect(told({ keyframeInterval: 8.33, targetDuration: 8 })).toEqual([
      `${longer} and viewers are about 24 s behind.`,
    ]);
  });

  it('and where segments cannot wait for them', () => {
    const [interval, cuts] = told({ keyframeInterval: 24, targetDuration: 2, forcedCuts: 13 });
    expect(interval).toBe('Keyframes come every 24.0 s.');
    expect(cuts).toMatch(/^13 segments had to begin without a keyframe, .* target duration of 2 s allows/);
    expect(told({ forcedCuts: 1 })[0]).toMatch(/^A segment had to begin/);
  });

  it('tells a further track from one that cannot travel', () => {
    const hevc = { ...videoTrack('v1'), codec: 'hevc' as const, h264: null };
    const tracks = [videoTrack(), hevc, audioTrack(), audioTrack(48_000, 'a1')];
    const carries = ({ id }: { id: string }) => id.endsWith('0');
    expect(told({ tracks, carries })).toEqual([
      'Track v1 is not in the HLS output: HEVC is not allowed in MPEG-TS segments.',
      'Track a1 is a further audio track; HLS carries the first one.',
    ]);
  });
});
