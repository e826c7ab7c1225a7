import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { body, rejection } from './support/disk.ts';

describe('MemoryStore', () => {
  it('keeps what it is given until it is deleted', async () => {
    const store = new MemoryStore();
    const data = body(10);
    await store.put('live@test/a.ts', data);
    expect(await store.get('live@test/a.ts')).toBe(data);
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
});
