import { describe, expect, it } from 'vitest';
import { Pace, type PaceSample, stalled } from '../../../src/live/ingest-doctor/pace.ts';
import { ticksFromSeconds } from '../../../src/media/time.ts';
import type { Warning } from '../../../src/media/warning.ts';

/** 2 Mb/s. */
const BYTES_PER_SECOND = 250_000;

function sampleAt(media: number, wall: number): PaceSample {
  return { wall: wall * 1000, media: ticksFromSeconds(media), bytes: media * BYTES_PER_SECOND };
}

/** A sample per second of media; `arrival` says when, in seconds. @returns what is said, and when */
function feed(seconds: number, arrival: (media: number) => number, pace = new Pace()) {
  const said: { at: number; warning: Warning }[] = [];
  for (let media = 0; media < seconds; media++) {
    const warning = pace.sample(sampleAt(media, arrival(media)));
    if (warning !== null) said.push({ at: arrival(media), warning });
  }
  return said;
}

describe('Pace', () => {
  it('an uplink that carries nine tenths falls behind, and is told so after two windows', () => {
    const said = feed(120, (media) => media / 0.9);
    expect(said[0]?.at).toBeGreaterThan(20);
    expect(said[0]?.at).toBeLessThan(30);
    expect(said.length).toBeGreaterThan(8);
    expect(said[0]?.warning).toEqual({
      code: 'upload-behind',
      severity: 'problem',
      message: expect.stringMatching(/over 2\d s media arrived at 90 % of its speed \(1\.8 Mb\/s\)/),
      fix: expect.stringContaining('Settings > Advanced > Network > Dynamically change bitrate'),
    });
  });

  it.each<[string, (media: number) => number]>([
    ['in time', (media) => media],
    ['a little slow, which a clock may be', (media) => media * 1.02],
    ['one long stall, then everything at once', (media) => (media > 30 && media < 55 ? 55 : media)],
    [
      'one long stall, caught up slowly',
      (media) => (media < 30 ? media : Math.max(media, 50 + (media - 30) * 0.8)),
    ],
    ['a stall of 3 s in every 10', (media) => (media % 10 < 3 ? media - (media % 10) + 3 : media)],
    ['a stall of 11 s in every 12', (media) => media - (media % 12) + Math.max(11, media % 12)],
    ['a step of a second, when a track left', (media) => (media < 30 ? media : media + 1)],
    ['what was buffered first', (media) => Math.max(0, media - 8)],
    ['slow only once', (media) => (media < 30 ? media : Math.min(30 + (media - 30) / 0.7, media + 2))],
  ])('says nothing of media that comes %s', (_name, arrival) => {
    expect(feed(150, arrival)).toEqual([]);
  });

  it('a file that is sent as fast as it can be read', () => {
    const said = feed(600, (media) => media / 4);
    expect(said[0]?.warning).toMatchObject({
      code: 'faster-than-real-time',
      severity: 'warning',
      message: expect.stringContaining('4.0 times'),
      fix: expect.stringContaining('-re'),
    });
  });

  it('is silent again when the uplink recovers', () => {
    const said = feed(200, (media) => (media < 60 ? media / 0.8 : media + 15));
    expect(Math.max(...said.map(({ at }) => at))).toBeLessThan(90);
  });

  it('starts over after an interruption', () => {
    const pace = new Pace();
    expect(feed(14, (media) => media / 0.8, pace)).toEqual([]);
    pace.interrupt();
    expect(feed(14, (media) => 100 + media / 0.8, pace)).toEqual([]);
  });
});

it('nothing for ten seconds from somebody who is connected is a stall', () => {
  expect(stalled(5000, 14_999)).toBeNull();
  expect(stalled(5000, 17_200)).toMatchObject({
    code: 'upload-stalled',
    severity: 'problem',
    message: expect.stringContaining('12 s'),
  });
});
