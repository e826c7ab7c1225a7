import { describe, expect, it } from 'vitest';
import { ClockDrift } from '../../../src/live/ingest-doctor/clock-drift.ts';
import { ticksFromSeconds } from '../../../src/media/time.ts';
import type { Warning } from '../../../src/media/warning.ts';
import { noise } from '../../media/support.ts';

/** A sample per second of media; `arrival` says when, in seconds. @returns what is said */
function feed(seconds: number, arrival: (media: number) => number, drift = new ClockDrift()): Warning[] {
  const said: Warning[] = [];
  let wall = 0;
  for (let media = 0; media < seconds; media++) {
    wall = Math.max(wall, arrival(media) * 1000);
    const warning = drift.sample({ wall, media: ticksFromSeconds(media), bytes: media * 250_000 });
    if (warning !== null) said.push(warning);
  }
  return said;
}

/** Delays up to 300 ms, some of two seconds: a bad wireless network. */
function badNetwork(): (time: number) => number {
  const random = noise(3);
  return (time) => time + random() * 0.3 + (random() > 0.97 ? 2 : 0);
}

describe('ClockDrift', () => {
  it.each([
    [1.002, '0.20 % slow (7 s an hour)'],
    [0.997, '0.30 % fast (11 s an hour)'],
  ])('a clock at %f is reported after five minutes, also on a bad network', (rate, text) => {
    expect(feed(320, (media) => media * rate)).toEqual([]);
    const said = feed(360, (media) => media * rate);
    expect(said).toMatchObject([
      { code: 'clock-drift', severity: 'warning', message: expect.stringContaining(text) },
    ]);
    const network = badNetwork();
    const stillSaid = feed(420, (media) => network(media * rate));
    expect(new Set(stillSaid.map(({ code }) => code))).toEqual(new Set(['clock-drift']));
  });

  it.each<[string, (media: number) => number]>([
    ['a right clock', (media) => media],
    ['a right clock on a bad network', badNetwork()],
    ['a clock half as wrong as that', (media) => media * 1.0005],
    ['a step of a second', (media) => (media < 200 ? media : media + 1)],
    [
      'a delay that grows for a minute and stays',
      (media) => media + Math.min(2, Math.max(0, media - 200) / 30),
    ],
    ['a stall of 20 s that is caught up', (media) => (media > 200 && media < 220 ? 220 : media)],
    ['a file sent too fast', (media) => media / 3],
  ])('says nothing of %s', (_name, arrival) => {
    expect(feed(900, arrival)).toEqual([]);
  });

  it('what loses 3 % for five minutes is no clock but an uplink', () => {
    const said = feed(400, (media) => media / 0.97);
    expect(said[0]).toMatchObject({
      code: 'upload-behind',
      severity: 'problem',
      message: expect.stringContaining('97 %'),
    });
  });

  it('goes away with the drift', () => {
    const said = feed(1200, (media) => (media < 400 ? media * 1.003 : media + 1.2));
    expect(said.length).toBeGreaterThan(2);
    expect(said.length).toBeLessThan(8);
  });

  it('starts over after an interruption', () => {
    const drift = new ClockDrift();
    expect(feed(300, (media) => media * 1.003, drift)).toEqual([]);
    drift.interrupt();
    expect(feed(300, (media) => 300 + media * 1.003, drift)).toEqual([]);
  });
});
