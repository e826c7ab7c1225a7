// Compiles src, the engine and the targets into fuzz/work/build, and instruments what comes from src.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { instrument } from './instrument.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILD = join(ROOT, 'fuzz/work/build');

/** @returns {string} the folder of the compiled files */
export function build() {
  rmSync(BUILD, { recursive: true, force: true });
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', join(ROOT, 'fuzz/tsconfig.json')], { stdio: 'inherit' });
  const source = join(BUILD, 'src');
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue;
    const file = join(source, name);
    writeFileSync(file, instrument(readFileSync(file, 'utf8'), file));
  }
  return BUILD;
}
