import { describe, expect, it } from 'vitest';
import { CallbackQueue } from '../../src/access/callback-queue.ts';

const LONG = 60_000;

/** Questions that are answered when the test says so. */
function rig() {
  const queue = new CallbackQueue();
  const open: ((answer: number) => void)[] = [];
  const lefts: number[] = [];
  return {
    queue,
    open,
    lefts,
    ask: (timeoutMs = LONG) =>
      queue.ask(timeoutMs, (leftMs) => {
        lefts.push(leftMs);
        return new Promise<number>((resolve) => void open.push(resolve));
      }),
    settle: async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    },
  };
}

describe('the callback queue', () => {
  it('asks a hundred at a time, then in order, each with what is left of its time', async () => {
    const { ask, open, lefts, settle } = rig();
    const asked = Array.from({ length: 103 }, () => ask());
    await settle();
    expect(open).toHaveLength(100);
    open[5]?.(5);
    open[7]?.(7);
    expect(await asked[5]).toBe(5);
    await settle();
    expect(open).toHaveLength(102);
    open[100]?.(100);
    expect(await asked[100]).toBe(100);
    expect(lefts.slice(0, 100)).toEqual(Array(100).fill(LONG));
    for (const left of lefts.slice(100)) expect(left).toBeLessThan(LONG);
    for (const answer of open) answer(0);
    await settle();
    for (const answer of open) answer(0);
    await Promise.all(asked);
    // There is room again.
    void ask();
    await settle();
    expect(lefts.at(-1)).toBe(LONG);
  });

  it('lets a thousand wait, but none for longer than its time', async () => {
    const { ask, open } = rig();
    const running = Array.from({ length: 100 }, () => ask());
    const waiting = Array.from({ length: 1000 }, () => ask(50));
    expect(await ask()).toBe('full');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['late']));
    const last = ask();
    expect(open).toHaveLength(100);
    for (const answer of open) answer(1);
    await Promise.all(running);
    open[100]?.(2);
    expect(await last).toBe(2);
  });

  it('goes on when a question fails', async () => {
    const queue = new CallbackQueue();
    const failing = Array.from({ length: 250 }, () =>
      queue.ask(LONG, () => Promise.reject(new Error('broken'))).catch(() => 'failed'),
    );
    expect(new Set(await Promise.all(failing))).toEqual(new Set(['failed']));
    expect(await queue.ask(LONG, async () => 'fine')).toBe('fine');
  });
});
