import { expect, it } from 'vitest';
import { CrowdLog, type Incident } from '../../src/servers/crowd-log.ts';
import { FakeClock } from '../support/fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  const lines: [level: string, message: string, fields: Record<string, unknown>][] = [];
  const crowd = new CrowdLog<'info' | 'warn'>(clock, {
    info: (fields, message) => lines.push(['info', message, fields]),
    warn: (fields, message) => lines.push(['warn', message, fields]),
  });
  const note = (n: number, more: Partial<Incident<'info' | 'warn'>> = {}) =>
    crowd.note({
      level: 'warn',
      kind: 'silent',
      peer: `192.0.2.${n}`,
      fields: { n },
      message: `silent ${n}`,
      ...more,
    });
  return { clock, lines, note };
}

it('tells the first at once and the others once in ten seconds', () => {
  const { clock, lines, note } = setUp();
  for (let n = 1; n <= 1000; n++) note(n % 50);
  expect(lines).toEqual([['warn', 'silent 1', { n: 1 }]]);
  clock.advance(9999);
  expect(lines).toHaveLength(1);
  clock.advance(1);
  expect(lines.slice(1)).toEqual([
    ['warn', '999 more of this kind from 50 addresses in 10 s, the latest: silent 0', { n: 0, count: 999 }],
  ]);
});

it('tells what lasts once in ten seconds, and what comes back later at once', () => {
  const { clock, lines, note } = setUp();
  for (let second = 0; second < 30; second++) {
    note(1);
    note(1);
    clock.advance(1000);
  }
  expect(lines.map(([, message]) => message)).toEqual([
    'silent 1',
    '19 more of this kind from 1 address in 10 s, the latest: silent 1',
    '20 more of this kind from 1 address in 10 s, the latest: silent 1',
    '20 more of this kind from 1 address in 10 s, the latest: silent 1',
  ]);
  clock.advance(10_000);
  expect(clock.pending).toBe(0);
  note(2);
  expect(lines.at(-1)).toEqual(['warn', 'silent 2', { n: 2 }]);
});

it('says nothing more of what happened once', () => {
  const { clock, lines, note } = setUp();
  note(1);
  clock.advance(60_000);
  expect(lines).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

it('keeps kinds apart', () => {
  const { clock, lines, note } = setUp();
  note(1);
  note(1, { kind: 'loud', level: 'info', message: 'loud' });
  expect(lines.map(([level, message]) => [level, message])).toEqual([
    ['warn', 'silent 1'],
    ['info', 'loud'],
  ]);
  clock.advance(10_000);
  expect(lines).toHaveLength(2);
});

it('tells what is only news in numbers once there are that many', () => {
  const { clock, lines, note } = setUp();
  const flood = { worthALine: 100, message: '100 requests' };
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 99; n++) note(n, flood);
    clock.advance(10_000);
  }
  expect(lines).toEqual([]);
  for (let n = 0; n < 250; n++) note(n, flood);
  expect(lines.map(([, message]) => message)).toEqual(['100 requests']);
  clock.advance(10_000);
  expect(lines.at(-1)?.[1]).toBe(
    '150 more of this kind from 150 addresses in 10 s, the latest: 100 requests',
  );
  // The end of a flood is not told for ever.
  note(1, flood);
  clock.advance(10_000);
  expect(lines).toHaveLength(2);
  expect(clock.pending).toBe(0);
});

it('counts no more than a thousand addresses', () => {
  const { clock, lines, note } = setUp();
  for (let n = 0; n < 5000; n++) note(n);
  clock.advance(10_000);
  expect(lines.at(-1)?.[1]).toContain('4999 more of this kind from 1000 addresses or more in 10 s');
});

it('leaves out addresses where there are none', () => {
  const { clock, lines } = setUp();
  const crowd = new CrowdLog<'info'>(clock, { info: (fields, message) => lines.push(['', message, fields]) });
  for (let n = 0; n < 3; n++) crowd.note({ level: 'info', kind: 'late', fields: {}, message: 'late' });
  clock.advance(10_000);
  expect(lines.map(([, message]) => message)).toEqual([
    'late',
    '2 more of this kind in 10 s, the latest: late',
  ]);
});
