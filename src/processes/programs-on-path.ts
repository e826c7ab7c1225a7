import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Where programs of a name are, in the order in which a shell would look: files that may be executed. */
export function programsOnPath(name: string, path: string | undefined = process.env.PATH): string[] {
  const names = process.platform === 'win32' ? [`${name}.exe`, name] : [name];
  // Relative folders depend on where the gateway was started, and would let a file in that folder pass for the program.
  const folders = new Set((path ?? '').split(delimiter).filter(isAbsolute));
  return [...folders].flatMap((folder) => names.map((file) => join(folder, file))).filter(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
