import { expect, it } from 'vitest';
import { FindingMemory } from '../../../src/live/ingest-doctor/finding-memory.ts';
import type { Warning } from '../../../src/media/warning.ts';

const gaps = (message: string): Warning => ({ code: 'audio-gaps', severity: 'warning', message, fix: '' });

it('keeps the newest words of a finding for a minute after it was last seen', () => {
  const memory = new FindingMemory();
  memory.see(gaps('one'), 1000);
  memory.see(gaps('two'), 50_000);
  expect(memory.current(109_999)).toEqual([gaps('two')]);
  expect(memory.current(110_000)).toEqual([]);
  memory.see(gaps('three'), 120_000);
  expect(memory.current(120_000)).toEqual([gaps('three')]);
});
