import { describe, expect, it } from 'vitest';
import { DiskQueue } from '../../src/storage/disk-queue.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MB, rejection } from './support/disk.ts';
import { makeGate } from './support/gate.ts';

function makeQueue(parallel: number) {
  const clock = new FakeClock();
  return { clock, queue: new DiskQueue({ clock, parallel }) };
}

describe('DiskQueue', () => {
  it('runs some at a time, in order, and leaves no alarm behind', async () => {
    const { clock, queue } = makeQueue(2);
    const gates = [0, 1, 2, 3].map(() => makeGate());
    const begun: number[] = [];
    const results = gates.map((gate, index) =>
      queue.run(10, async () => {
        begun.push(index);
        await gate.closed;
        if (index === 1) throw new Error('broken');
        return index;
      }),
    );
    const second = rejection(results[1] ?? Promise.resolve());
    await Promise.resolve();
    expect(begun).toEqual([0, 1]);
    expect(queue.bytes).toBe(40);
    for (const gate of gates.slice(1)) gate.open();
    expect(await second).toEqual(new Error('broken'));
    expect(await Promise.all([results[2], results[3]])).toEqual([2, 3]);
    gates[0]?.open();
    expect(await results[0]).toBe(0);
    expect(begun).toEqual([0, 1, 2, 3]);
    expect([queue.bytes, clock.pending]).toEqual([0, 0]);
  });

  it('gives up what takes too long, keeps its place, and cleans up when it ends after all', async () => {
    const { clock, queue } = makeQueue(1);
    const gate = makeGate();
    const cleaned = makeGate();
    const stuck = rejection(
      queue.run(
        10,
        () => gate.closed,
        async () => cleaned.open(),
      ),
    );
    let ran = false;
    const behind = rejection(
      queue.run(20, async () => {
        ran = true;
      }),
    );
    clock.advance(15_000);
    expect(await Promise.all([stuck, behind])).toEqual(['SLUICE_STORE_BUSY', 'SLUICE_STORE_BUSY']);
    // What never began holds nothing any more.
    expect(queue.bytes).toBe(10);
    const next = queue.run(5, async () => 'well again');
    gate.open();
    await cleaned.closed;
    expect(await next).toBe('well again');
    expect([ran, queue.bytes, clock.pending]).toEqual([false, 0, 0]);
  });

  it('refuses at once when too much waits', async () => {
    const { clock, queue } = makeQueue(1);
    const gate = makeGate();
    const waiting = Array.from({ length: 4 }, () => queue.run(16 * MB, () => gate.closed));
    expect(await rejection(queue.run(1, async () => {}))).toBe('SLUICE_STORE_BUSY');
    gate.open();
    await Promise.all(waiting);
    expect(await rejection(queue.run(1, async () => {}))).toBeUndefined();
    expect(clock.pending).toBe(0);
  });

  it('lets what is patient wait for as long as it takes', async () => {
    const { clock, queue } = makeQueue(1);
    const gate = makeGate();
    const first = queue.runPatiently(() => gate.closed);
    const second = queue.runPatiently(async () => 2);
    clock.advance(3_600_000);
    gate.open();
    await first;
    expect(await second).toBe(2);
    expect(await rejection(queue.runPatiently(() => Promise.reject(new Error('no'))))).toEqual(
      new Error('no'),
    );
  });
});

it('reads wait for writes, and however many wait they leave room for them', async () => {
  const queue = new DiskQueue({ clock: new FakeClock(), parallel: 1 });
  const done: string[] = [];
  let release = () => {};
  const first = queue.run(0, () => new Promise<void>((resolve) => (release = resolve)));
  const reads = Array.from({ length: 60 }, () => queue.runRead(1024 * 1024, async () => done.push('read')));
  const write = queue.run(40 * 1024 * 1024, async () => done.push('write'));
  release();
  await Promise.all([first, write, ...reads]);
  expect(done[0]).toBe('write');
  expect(done).toHaveLength(61);
  expect(queue.bytes).toBe(0);
});
