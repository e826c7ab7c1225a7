import fc from 'fast-check';
import { expect, it } from 'vitest';
import { makeJobLimit } from '../../src/transcode/job-limit.ts';

it('grants at once while there is room, then as room is given back', () => {
  const jobs = makeJobLimit(() => 1);
  const granted: string[] = [];
  const first = jobs.acquire('ladder', () => granted.push('first'));
  const second = jobs.acquire('ladder', () => granted.push('second'));
  expect(granted).toEqual(['first']);
  expect([jobs.running, jobs.waiting]).toEqual([1, 1]);
  first();
  first();
  expect(granted).toEqual(['first', 'second']);
  second();
  expect([jobs.running, jobs.waiting]).toEqual([0, 0]);
});

it('lets conversions go first', () => {
  const jobs = makeJobLimit(() => 1);
  const granted: string[] = [];
  const giveBack = jobs.acquire('ladder', () => granted.push('running'));
  jobs.acquire('ladder', () => granted.push('ladder'));
  jobs.acquire('conversion', () => granted.push('conversion'));
  giveBack();
  expect(granted).toEqual(['running', 'conversion']);
});

it('asks the newest ladder job to make room for a conversion, once', () => {
  const jobs = makeJobLimit(() => 2);
  const asked: string[] = [];
  jobs.acquire(
    'ladder',
    () => {},
    () => asked.push('old'),
  );
  const giveBack = jobs.acquire(
    'ladder',
    () => {},
    () => asked.push('new'),
  );
  let granted = false;
  jobs.acquire('conversion', () => {
    granted = true;
  });
  expect(asked).toEqual(['new']);
  jobs.changed();
  expect(asked).toEqual(['new']);
  expect(granted).toBe(false);
  giveBack();
  expect(granted).toBe(true);
  expect(asked).toEqual(['new']);
});

it('forgets requests that are withdrawn, and follows a changed maximum', () => {
  let max = 0;
  const jobs = makeJobLimit(() => max);
  const granted: string[] = [];
  const withdraw = jobs.acquire('conversion', () => granted.push('withdrawn'));
  jobs.acquire('conversion', () => granted.push('kept'));
  withdraw();
  max = 2;
  jobs.changed();
  expect(granted).toEqual(['kept']);
});

it('never runs more than the maximum, and leaves no room unused', () => {
  const step = fc.record({ ladder: fc.boolean(), giveBack: fc.boolean(), which: fc.nat(20) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
      const jobs = makeJobLimit(() => max);
      const open: (() => void)[] = [];
      for (const { ladder, giveBack, which } of steps) {
        if (giveBack && open.length > 0) open.splice(which % open.length, 1)[0]?.();
        else open.push(jobs.acquire(ladder ? 'ladder' : 'conversion', () => {}));
        expect(jobs.running).toBe(Math.min(max, open.length));
        expect(jobs.waiting).toBe(open.length - jobs.running);
      }
    }),
  );
});
