import { describe, expect, it } from 'vitest';
import { JobQueue } from '../../src/hooks/job-queue.ts';

/** Jobs that end when the test says so. */
function rig() {
  const queue = new JobQueue();
  const ends = new Map<string, () => void>();
  return {
    queue,
    running: () => [...ends.keys()],
    add: (group: string, name = group) =>
      queue.add(group, () => new Promise((resolve) => void ends.set(name, resolve))),
    end: async (name: string) => {
      ends.get(name)?.();
      ends.delete(name);
      await Promise.resolve();
    },
  };
}

const range = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);

describe('the job queue', () => {
  it('runs those of one group in order, one at a time, and others meanwhile', async () => {
    const { add, end, running } = rig();
    add('a', 'a1');
    add('a', 'a2');
    add('b', 'b1');
    add('a', 'a3');
    expect(running()).toEqual(['a1', 'b1']);
    await end('a1');
    expect(running()).toEqual(['b1', 'a2']);
    await end('b1');
    await end('a2');
    expect(running()).toEqual(['a3']);
  });

  it('runs sixteen at a time, lets 256 wait, and takes no more', async () => {
    const { add, end, running } = rig();
    expect(range(16 + 256).every((name) => add(name))).toBe(true);
    expect(running()).toHaveLength(16);
    expect(add('one more')).toBe(false);
    await end('3');
    expect(running()).toHaveLength(16);
    expect(running()).toContain('16');
    expect(add('one more')).toBe(true);
  });

  it('keeps room for others when one group gets nowhere', () => {
    const { add, running } = rig();
    expect(range(33).every((name) => add('stuck', name))).toBe(true);
    expect(add('stuck', 'too many')).toBe(false);
    expect(add('other')).toBe(true);
    expect(running()).toEqual(['0', 'other']);
  });

  it('tells when it is idle', async () => {
    const { queue, add, end } = rig();
    await queue.idle();
    add('a', 'a1');
    add('a', 'a2');
    let idle = false;
    const told = queue.idle().then(() => {
      idle = true;
    });
    await end('a1');
    expect(idle).toBe(false);
    await end('a2');
    await told;
  });
});
