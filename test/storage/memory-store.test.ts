import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, BlockPool } from '../../src/media/block-pool.ts';
import { BodyWriter } from '../../src/media/segment-body.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { bytesOf } from '../support/segment-bytes.ts';
import { body, rejection } from './support/disk.ts';

describe('MemoryStore', () => {
  it('keeps what it is given until it is deleted', async () => {
    const store = new MemoryStore();
    await store.put('live@test/a.ts', body(10, 7));
    expect(await bytesOf(store.get('live@test/a.ts'))).toEqual(Buffer.alloc(10, 7));
    expect(await bytesOf(store.get('live@test/a.ts'))).toEqual(Buffer.alloc(10, 7));
    expect(store.bytes).toBe(10);
    await store.delete('live@test/a.ts');
    await store.delete('live@test/a.ts');
    expect(await store.get('live@test/a.ts')).toBeNull();
    expect(store.bytes).toBe(0);
  });

  it('refuses what is beyond its size and takes more when there is room', async () => {
    const store = new MemoryStore(100);
    await store.put('live@test/a.ts', body(60));
    expect(await rejection(store.put('live@test/b.ts', body(41)))).toBe('SLUICE_STORE_FULL');
    expect(await store.get('live@test/b.ts')).toBeNull();
    await store.put('live@test/b.ts', body(40));
    await store.delete('live@test/a.ts');
    await store.put('live@test/c.ts', body(60));
    expect(store.bytes).toBe(100);
  });

  it('gives memory back when a segment is deleted, refused or replaced, but not while it is read', async () => {
    const pool = new BlockPool();
    const writer = new BodyWriter(pool);
    const segment = (fill: number) => {
      const bytes = Buffer.alloc(BLOCK_BYTES, fill);
      writer.write(bytes.buffer, 0, bytes.length);
      return writer.take();
    };
    const store = new MemoryStore(BLOCK_BYTES);
    await store.put('live@test/a.ts', segment(1));
    expect(await rejection(store.put('live@test/b.ts', segment(2)))).toBe('SLUICE_STORE_FULL');
    expect(pool.bytesInUse).toBe(BLOCK_BYTES);
    await store.put('live@test/a.ts', segment(3));
    expect(pool.bytesInUse).toBe(BLOCK_BYTES);

    const read = await store.get('live@test/a.ts');
    await store.delete('live@test/a.ts');
    expect(pool.bytesInUse).toBe(BLOCK_BYTES);
    expect(read?.copyOut()).toEqual(Buffer.alloc(BLOCK_BYTES, 3));
    expect(pool.bytesInUse).toBe(0);
  });
});
