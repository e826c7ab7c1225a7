import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Target } from '../../fuzz/engine/fuzzer.ts';

const FUZZ = new URL('../../fuzz/', import.meta.url);
const MAX_CORPUS_BYTES = 300_000;

const targets = readdirSync(new URL('targets', FUZZ)).map((file) => file.replace(/\.ts$/, ''));

function inputs(target: string): [string, Buffer][] {
  const folder = new URL(`corpus/${target}/`, FUZZ);
  return readdirSync(folder).map((file) => [file, readFileSync(new URL(file, folder))]);
}

// What the fuzzer once had to find is tried here in a second, on machines that never fuzz.
describe('the corpus', () => {
  it('belongs to targets that exist, and is small', () => {
    expect(readdirSync(new URL('corpus', FUZZ)).sort()).toEqual([...targets].sort());
    const size = targets.flatMap(inputs).reduce((sum, [, bytes]) => sum + bytes.length, 0);
    expect(size).toBeLessThan(MAX_CORPUS_BYTES);
  });

  it.each(targets)(
    '%s',
    async (name) => {
      const target: Target = await import(`../../fuzz/targets/${name}.ts`);
      const corpus = inputs(name);
      expect(corpus.length).toBeGreaterThan(0);
      const failed: string[] = [];
      for (const [file, bytes] of [...corpus, ['an empty input', Buffer.alloc(0)] as const]) {
        try {
          await target.fuzz(Buffer.from(bytes));
          target.inspect?.(Buffer.from(bytes));
        } catch (error) {
          failed.push(`${file}: ${error instanceof Error ? error.stack : error}`);
        }
      }
      expect(failed).toEqual([]);
    },
    120_000,
  );
});
