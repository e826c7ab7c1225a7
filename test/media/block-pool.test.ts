import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, BlockPool } from '../../src/media/block-pool.ts';

const MIB = 1024 * 1024;

describe('BlockPool', () => {
  it('never has a block in two hands', () => {
    const step = fc.record({ take: fc.nat({ max: 300 }), give: fc.nat({ max: 300 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        let twice = 0;
        const pool = new BlockPool();
        const held = new Map<string, Buffer>();
        const keyOf = (block: Buffer) => `${idOf(block.buffer)}+${block.byteOffset}`;
        for (const { take, give } of steps) {
          for (let n = 0; n < take; n++) {
            const block = pool.take();
            if (held.has(keyOf(block)) || block.length !== BLOCK_BYTES) twice++;
            held.set(keyOf(block), block);
          }
          // From anywhere, as segments of different streams expire.
          const back = [...held].filter((_, index) => index % 3 !== 1).slice(0, give);
          for (const [key] of back) held.delete(key);
          pool.give(back.map(([, block]) => block));
          expect(pool.bytesInUse).toBe(held.size * BLOCK_BYTES);
        }
        expect(twice).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('takes the block that was used last: of the first extent a small gateway touches a part', () => {
    const pool = new BlockPool();
    const [first, second] = [pool.take(), pool.take()];
    pool.give([second]);
    expect(pool.take()).toBe(second);
    pool.give([first]);
    expect(pool.take()).toBe(first);
  });

  it('touches those after it as a whole: rare peaks touch nothing new', () => {
    const pool = new BlockPool();
    const extent = (33 * MIB) / BLOCK_BYTES;
    const before = process.memoryUsage.rss();
    for (let n = 0; n < extent; n++) pool.take();
    const untouched = process.memoryUsage.rss() - before;
    // Of the second never more than one is in use.
    for (let n = 0; n < extent; n++) pool.give([pool.take()]);
    const touched = process.memoryUsage.rss() - before;
    expect(untouched).toBeLessThan(8 * MIB);
    expect(touched).toBeGreaterThan(25 * MIB);
    expect(pool.bytesInUse).toBe(33 * MIB);
  });

  it('touches memory without changing what is in it', () => {
    const pool = new BlockPool();
    const blocks = Array.from({ length: (100 * MIB) / BLOCK_BYTES }, (_, index) =>
      pool.take().fill(1 + (index % 255)),
    );
    const expected = Buffer.alloc(BLOCK_BYTES);
    const changed = blocks.filter((block, index) => !block.equals(expected.fill(1 + (index % 255))));
    expect(changed).toEqual([]);
  });

  it('keeps a part of what is in use for the next segments', () => {
    const pool = new BlockPool();
    const blocks = Array.from({ length: (800 * MIB) / BLOCK_BYTES }, () => pool.take());
    pool.give(blocks.splice(0, (160 * MIB) / BLOCK_BYTES));
    expect(pool.bytesInUse).toBe(640 * MIB);
    // To the extent of 33 MiB.
    expect(pool.reservedBytes).toBeGreaterThanOrEqual(80 * MIB);
    expect(pool.reservedBytes).toBeLessThanOrEqual((80 + 33) * MIB);
    pool.give(blocks);
    expect(pool.bytesInUse).toBe(0);
    expect(pool.reservedBytes).toBe(33 * MIB);
  });

  it('moves together what a burst has left scattered', () => {
    const pool = new BlockPool();
    const burst = Array.from({ length: (320 * MIB) / BLOCK_BYTES }, () => pool.take());
    const live = burst.filter((_, index) => index % 64 === 0);
    pool.give(burst.filter((_, index) => index % 64 !== 0));
    expect(pool.reservedBytes).toBeGreaterThan(300 * MIB);
    // The few streams that are left replace their segments one by one.
    for (let turn = live.length; turn > 0; turn--) {
      const next = pool.take();
      pool.give(live.splice(0, 1));
      live.push(next);
    }
    expect(pool.bytesInUse).toBe(5 * MIB);
    expect(pool.reservedBytes).toBe((33 - 5) * MIB);
  });

  it('refuses what is not its own', () => {
    expect(() => new BlockPool().give([new BlockPool().take()])).toThrow(RangeError);
  });

  it('lets the collector know of what it drops: waves need no more memory than one of them', async () => {
    const pool = new BlockPool();
    const dropped = new Set<WeakRef<ArrayBufferLike>>();
    for (let wave = 0; wave < 40; wave++) {
      const blocks = Array.from({ length: (4 * 33 * MIB) / BLOCK_BYTES }, () => pool.take());
      for (const memory of new Set(blocks.map(({ buffer }) => buffer))) dropped.add(new WeakRef(memory));
      pool.give(blocks);
      // The collector works in steps, some of them on other threads, and tells nobody when it is done.
      await delay(20);
    }
    const kept = new Set([...dropped].flatMap((memory) => memory.deref() ?? []));
    // Of 121 in all, which are kept when it is not told. Where the machine is busy it comes late.
    expect(kept.size).toBeLessThan(80);
  });
});

const ids = new WeakMap<ArrayBufferLike, number>();
let nextId = 0;

function idOf(memory: ArrayBufferLike): number {
  let id = ids.get(memory);
  if (id === undefined) {
    id = nextId++;
    ids.set(memory, id);
  }
  return id;
}
