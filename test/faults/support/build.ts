import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** These tests run the command as it is installed. */
export function setup(): void {
  execFileSync('npm', ['run', 'build'], { cwd: fileURLToPath(new URL('../../../', import.meta.url)) });
}
