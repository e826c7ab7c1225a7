import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./record.js', import.meta.url));

/** What one run of the recording command was started with. */
export interface Recorded {
  readonly pid: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A folder for the records of commands. */
export function recordsFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-hooks-'));
  const file = join(folder, 'records');
  return {
    folder,
    /** A command that records these arguments. */
    record: (...args: string[]): string[] => [process.execPath, SCRIPT, file, ...args],
    read: (): Recorded[] =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line))
        : [],
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** Not even as a zombie. */
export function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
