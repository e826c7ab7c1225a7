import { describe, expect, it } from 'vitest';
import { AudioGaps } from '../../../src/live/ingest-doctor/audio-gaps.ts';
import { ticksFromSamples, ticksFromSeconds } from '../../../src/media/time.ts';
import type { AudioTrack } from '../../../src/media/track.ts';
import type { Warning } from '../../../src/media/warning.ts';
import { audioTrack } from '../../media/support.ts';

const TRACK = audioTrack();
const FRAME = ticksFromSamples(1024, 48_000);

/** Audio for `seconds`, without what lies in the holes. @returns all verdicts that say something */
function feed(
  holes: readonly [at: number, seconds: number][],
  { seconds = 60, gaps = new AudioGaps(), track = TRACK, frame = FRAME } = {},
): Warning[] {
  gaps.begin(track);
  const said: Warning[] = [];
  for (let dts = 0; dts < ticksFromSeconds(seconds); dts += frame) {
    const inHole = ([at, length]: readonly [number, number]) =>
      dts >= ticksFromSeconds(at) && dts < ticksFromSeconds(at + length);
    if (holes.some(inHole)) continue;
    const verdict = gaps.frame(Math.round(dts));
    if (verdict !== null) said.push(verdict);
  }
  return said;
}

describe('AudioGaps', () => {
  it('reports the third hole within a minute', () => {
    expect(
      feed([
        [5, 0.15],
        [20, 0.5],
        [40, 0.2],
      ]),
    ).toEqual([
      {
        code: 'audio-gaps',
        severity: 'warning',
        message: 'The sound has 3 gaps a minute, the longest of 0.5 s.',
        fix: expect.stringContaining('Settings > Audio > Sample Rate'),
      },
    ]);
  });

  it('reports a long one at once', () => {
    expect(feed([[5, 1.5]]).map(({ message }) => message)).toEqual(['The sound was away for 1.5 s.']);
  });

  it('says nothing of two holes, of three in a long time, and of none', () => {
    expect(feed([])).toEqual([]);
    expect(
      feed([
        [5, 0.3],
        [8, 0.3],
      ]),
    ).toEqual([]);
    expect(
      feed(
        [
          [5, 0.3],
          [45, 0.3],
          [90, 0.3],
        ],
        { seconds: 120 },
      ),
    ).toEqual([]);
  });

  it('says nothing of the pauses in Opus, whose frames have no fixed length', () => {
    const opus: AudioTrack = { ...TRACK, codec: 'opus', samplesPerFrame: 0, adts: null };
    expect(feed([], { track: opus, frame: ticksFromSeconds(0.4) })).toEqual([]);
    expect(feed([[5, 2]], { track: opus })).toHaveLength(1);
  });

  it('does not measure across an interruption', () => {
    const gaps = new AudioGaps();
    gaps.begin(TRACK);
    gaps.frame(0);
    gaps.begin(TRACK);
    expect(gaps.silence(ticksFromSeconds(9))).toBeNull();
    expect(gaps.frame(ticksFromSeconds(9))).toBeNull();
  });

  it('reports sound that stopped while the stream goes on', () => {
    const gaps = new AudioGaps();
    expect(gaps.silence(ticksFromSeconds(5))).toBeNull();
    feed([], { seconds: 10, gaps });
    expect(gaps.silence(ticksFromSeconds(11.9))).toBeNull();
    expect(gaps.silence(ticksFromSeconds(14.2))).toMatchObject({
      code: 'audio-gaps',
      severity: 'problem',
      message: 'The sound stopped 4 s ago; the picture goes on.',
    });
  });
});
