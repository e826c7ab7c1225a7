import { expect, it } from 'vitest';
import { makeBoundedJobs } from '../../../src/transcode/thumbnails/bounded-jobs.ts';

it('runs some, lets some wait, refuses the rest, and goes on after a failure', async () => {
  const jobs = makeBoundedJobs({ running: 2, waiting: 2 });
  const begun: number[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const start = (number: number) =>
    jobs.run(
      () =>
        new Promise<number>((resolve, reject) => {
          begun.push(number);
          ends[number] = (error) => (error ? reject(error) : resolve(number));
        }),
    );
  const running = [0, 1, 2, 3].map(start);
  expect(jobs.full).toBe(true);
  expect(start(4)).toBeNull();
  await Promise.resolve();
  expect(begun).toEqual([0, 1]);
  ends[0]?.(new Error('broken'));
  await expect(running[0]).rejects.toThrow('broken');
  expect(jobs.full).toBe(false);
  await new Promise(setImmediate);
  expect(begun).toEqual([0, 1, 2]);
  for (const number of [1, 2]) ends[number]?.();
  await Promise.all([running[1], running[2]]);
  await new Promise(setImmediate);
  ends[3]?.();
  expect(await running[3]).toBe(3);
});
