import { randomBytes } from 'node:crypto';
import type { PathLike } from 'node:fs';
import * as promises from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What is asked of the file system; tests put one with faults in its place. */
export interface DiskFs {
  mkdir(path: PathLike, options: { recursive: true; mode: number }): Promise<unknown>;
  writeFile(path: PathLike, data: string | Uint8Array, options: { mode: number }): Promise<void>;
  rename(from: PathLike, to: PathLike): Promise<void>;
  readFile(path: PathLike): Promise<Buffer>;
  unlink(path: PathLike): Promise<void>;
  rmdir(path: PathLike): Promise<void>;
}

export const diskFs: DiskFs = promises;

const TEMPORARY = /^\.[A-Za-z0-9~._@-]+\.[0-9a-f]{8}\.tmp$/;
/** Readable for everybody, because nginx runs as somebody else. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** A file that a write has left unfinished, or is about to finish. */
export function isTemporary(file: string): boolean {
  return TEMPORARY.test(file);
}

/**
 * Writes a whole file under a temporary name, then renames it: a reader sees all of it or nothing. Makes the folder
 * when it is not (or no longer) there. Nothing is synced: what is written outlives the process, not a power cut.
 */
export async function writeWhole(fs: DiskFs, path: string, data: string | Uint8Array): Promise<void> {
  // Two processes may write the same file while one takes over from the other, so the name is not predictable.
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    try {
      await fs.writeFile(temporary, data, { mode: FILE_MODE });
      await fs.rename(temporary, path);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await makeFolder(fs, dirname(path));
      await fs.writeFile(temporary, data, { mode: FILE_MODE });
      await fs.rename(temporary, path);
    }
  } catch (error) {
    await fs.unlink(temporary).catch(() => {});
    throw error;
  }
}

export async function makeFolder(fs: DiskFs, path: string): Promise<void> {
  await fs.mkdir(path, { recursive: true, mode: FOLDER_MODE });
}

/** Deletes a file; that there is none is fine. */
export async function removeFile(fs: DiskFs, path: string): Promise<void> {
  await fs.unlink(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

/** Deletes a folder if nothing is in it. */
export async function removeEmptyFolder(fs: DiskFs, path: string): Promise<void> {
  await fs.rmdir(path).catch(() => {});
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
