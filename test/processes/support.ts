import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const folders: string[] = [];

/** A folder that goes away with the tests of this file. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-programs-'));
  folders.push(folder);
  return folder;
}

afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Writes a shell script that can be run; returns its path. */
export function writeProgram(folder: string, name: string, script: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode });
  return path;
}

/** Fields of /proc/<pid>/stat after the name: state, parent, group …; null when there is no such process, or only its shell. */
export function processStat(pid: number): string[] | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields;
  } catch {
    return null;
  }
}
