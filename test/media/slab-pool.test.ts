import { describe, expect, it } from 'vitest';
import { SLAB_BYTES, SlabPool } from '../../src/media/slab-pool.ts';

describe('SlabPool', () => {
  it('uses a slab again once the last one has released it, the newest first', () => {
    const pool = new SlabPool();
    const [first, second] = [pool.take(), pool.take()];
    expect(first.length).toBe(SLAB_BYTES);
    const message = first.subarray(100, 200);
    pool.hold(message);
    pool.release(first);
    expect(pool.reservedBytes).toBe(0);
    pool.release(second);
    pool.release(message);
    expect(pool.reservedBytes).toBe(2 * SLAB_BYTES);
    expect(pool.take()).toBe(first);
    expect(pool.take()).toBe(second);
    expect(pool.take()).not.toBe(first);
  });

  it('never uses one again that somebody keeps, whoever releases it', () => {
    const pool = new SlabPool();
    const slab = pool.take();
    pool.hold(slab);
    pool.keep(slab.subarray(5));
    pool.hold(slab);
    for (let n = 0; n < 10; n++) pool.release(slab);
    expect(pool.reservedBytes).toBe(0);
    expect(pool.take()).not.toBe(slab);
  });

  it('keeping ends with the slab: the next one is used again', () => {
    const pool = new SlabPool();
    pool.keep(pool.take());
    const slab = pool.take();
    pool.release(slab);
    expect(pool.take()).toBe(slab);
  });

  it('ignores what is not in a slab', () => {
    const pool = new SlabPool();
    const foreign = [Buffer.alloc(10), new Uint8Array(10), new SlabPool().take()];
    for (const data of foreign) {
      pool.hold(data);
      pool.release(data);
      pool.release(data);
      pool.keep(data);
    }
    expect(pool.reservedBytes).toBe(0);
  });

  it('does not hoard: a burst leaves 8 MiB at most', () => {
    const pool = new SlabPool();
    const burst = Array.from({ length: 500 }, () => pool.take());
    for (const slab of burst) pool.release(slab);
    expect(pool.reservedBytes).toBe(8 * 1024 * 1024);
  });
});
