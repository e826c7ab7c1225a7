import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = 'test/support/hls-validator';

/**
 * Makes JavaScript of the tests' HLS validator in a temporary folder: Node 20 does not run TypeScript. Takes a second.
 *
 * @returns {{ file: string, remove(): void }} the module to import
 */
export function compileValidator() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-validator-'));
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      rootDir: join(ROOT, SOURCE),
      outDir: folder,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    files: [join(ROOT, SOURCE, 'validator.ts')],
    include: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  execFileSync(process.execPath, [join(typescript, 'bin/tsc'), '-p', folder], { stdio: 'inherit' });
  return {
    file: join(folder, 'validator.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
