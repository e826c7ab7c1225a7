import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { programsOnPath } from '../../src/processes/programs-on-path.ts';
import { makeFolder, writeProgram } from './support.ts';

it('finds all programs of a name, in the order of PATH', () => {
  const [first, second, third] = [makeFolder(), makeFolder(), makeFolder()];
  writeProgram(first, 'tool', 'true', 0o644);
  mkdirSync(join(second, 'tool'));
  const real = [writeProgram(third, 'tool', 'true'), writeProgram(third, 'other', 'true')];
  const path = ['', 'relative', '/nowhere/at/all', first, second, third, third].join(':');
  expect(programsOnPath('tool', path)).toEqual([real[0]]);
  expect(programsOnPath('none', path)).toEqual([]);
  expect(programsOnPath('tool', '')).toEqual([]);
});

it('looks at the PATH of this process', () => {
  expect(programsOnPath('sh').length).toBeGreaterThan(0);
});
