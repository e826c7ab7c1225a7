import { describe, expect, it } from 'vitest';
import { ticksFromMs } from '../../src/media/time.ts';
import { Segmenter } from '../../src/packaging/segmenter.ts';
import { audioTrack, videoTrack } from '../media/support.ts';
import { packetAt } from './support.ts';

const VIDEO = videoTrack();
const AUDIO = audioTrack();

function segmenter(leading = VIDEO as typeof VIDEO | typeof AUDIO, independent = true): Segmenter {
  const result = new Segmenter(ticksFromMs(2000), ticksFromMs(4450));
  result.begin(leading, 0, independent);
  return result;
}

describe('Segmenter', () => {
  it.each([
    [1000, true, 'append'],
    [1480, true, 'append'],
    [1500, true, 'cut'],
    [2000, true, 'cut'],
    [2000, false, 'append'],
    [4000, false, 'append'],
    [4390, false, 'append'],
    [4420, false, 'forced-cut'],
    [4440, true, 'cut'],
    [9000, false, 'forced-cut'],
  ] as const)('video at %i ms, keyframe %s: %s', (ms, keyframe, expected) => {
    const s = segmenter();
    s.decide(packetAt(VIDEO, ms - 33, false));
    expect(s.decide(packetAt(VIDEO, ms, keyframe))).toBe(expected);
  });

  it('audio beside video never cuts, but notices when video has stopped', () => {
    const s = segmenter();
    expect(s.decide(packetAt(AUDIO, 2500))).toBe('append');
    expect(s.decide(packetAt(AUDIO, 4390))).toBe('append');
    expect(s.decide(packetAt(AUDIO, 4401))).toBe('forced-cut');
  });

  it('audio alone is cut at the wanted length', () => {
    const s = segmenter(AUDIO);
    expect(s.decide(packetAt(AUDIO, 1990))).toBe('append');
    expect(s.decide(packetAt(AUDIO, 2005))).toBe('cut');
  });

  it('takes the next keyframe soon after it had to cut without one', () => {
    expect(segmenter(VIDEO, false).decide(packetAt(VIDEO, 480, true))).toBe('append');
    expect(segmenter(VIDEO, false).decide(packetAt(VIDEO, 520, true))).toBe('cut');
    expect(segmenter(VIDEO, true).decide(packetAt(VIDEO, 520, true))).toBe('append');
  });

  it('looks ahead by the frame interval, at most half of the limit', () => {
    const at = (interval: number, ms: number) => {
      const s = segmenter();
      s.decide(packetAt(VIDEO, ms - interval, false));
      return s.decide(packetAt(VIDEO, ms, false));
    };
    expect(at(200, 4240)).toBe('append');
    expect(at(200, 4260)).toBe('forced-cut');
    expect(at(1000, 3440)).toBe('append');
    expect(at(1000, 3460)).toBe('forced-cut');
    expect(at(3000, 2220)).toBe('append');
    expect(at(3000, 2230)).toBe('forced-cut');
  });

  it('a new limit holds at once', () => {
    const s = segmenter();
    s.limit(ticksFromMs(2450));
    expect(s.decide(packetAt(AUDIO, 2410))).toBe('forced-cut');
  });
});
