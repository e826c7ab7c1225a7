import { version } from 'node:process';
import { describe, expect, it } from 'vitest';
import { processFigures } from '../../src/servers/process-figures.ts';

describe('the figures of the process', () => {
  it('are those of this one', () => {
    const { node, memory } = processFigures();
    expect(node).toBe(version);
    expect(memory.rss).toBeGreaterThan(memory.heap);
    expect(memory.heap).toBeGreaterThan(1e6);
    expect(memory.external).toBeGreaterThan(0);
  });

  it('are there without the one that needs a descriptor', () => {
    const { memory } = processFigures(() => {
      throw new Error('EMFILE');
    });
    expect(memory).toEqual({ rss: null, heap: expect.any(Number), external: expect.any(Number) });
  });
});
