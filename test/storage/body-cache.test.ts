import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BodyCache } from '../../src/storage/body-cache.ts';

it('holds what was used last, as much as fits', () => {
  const step = fc.record({
    action: fc.constantFrom('set', 'get', 'delete'),
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    bytes: fc.integer({ min: 0, max: 120 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const cache = new BodyCache(100);
      /** The obvious way: the newest use at the end. */
      let model: { name: string; data: Uint8Array }[] = [];
      const total = () => model.reduce((sum, { data }) => sum + data.length, 0);
      for (const { action, name, bytes } of steps) {
        const held = model.find((entry) => entry.name === name);
        const others = model.filter((entry) => entry !== held);
        if (action === 'get') {
          expect(cache.get(name)).toBe(held?.data ?? null);
          if (held !== undefined) model = [...others, held];
        } else if (action === 'delete') {
          cache.delete(name);
          model = others;
        } else {
          const data = Buffer.alloc(bytes);
          cache.set(name, data);
          model = bytes > 100 ? others : [...others, { name, data }];
          while (total() > 100) model.shift();
        }
        expect(cache.bytes).toBe(total());
      }
    }),
  );
});

it('counts all that a view keeps alive', () => {
  const cache = new BodyCache(100);
  cache.set('a', Buffer.alloc(90).subarray(0, 10));
  cache.set('b', Buffer.alloc(200).subarray(0, 10));
  expect(cache.bytes).toBe(90);
  expect(cache.get('b')).toBeNull();
});
