import { expect, it } from 'vitest';
import { makeByteCache } from '../../../src/transcode/thumbnails/byte-cache.ts';

it('keeps what was used last, by number and by bytes', () => {
  const cache = makeByteCache<{ bytes: number }>({ entries: 3, bytes: 100 });
  const value = (bytes: number) => ({ bytes });
  for (const key of ['a', 'b', 'c']) cache.set(key, value(10));
  cache.get('a');
  cache.set('d', value(10));
  expect(['a', 'b', 'c', 'd'].filter((key) => cache.get(key) !== null)).toEqual(['a', 'c', 'd']);
  cache.set('d', value(85));
  expect([cache.size, cache.bytes]).toEqual([2, 95]);
  expect(cache.get('a')).toBeNull();
  cache.set('e', value(101));
  expect([cache.size, cache.bytes]).toEqual([0, 0]);
});
