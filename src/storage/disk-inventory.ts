import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochMs } from '../media/time.ts';
import { isMissing, isTemporary } from './disk-fs.ts';

/** What `streamFolder` gives, and nothing that means anything to a file system. */
const FOLDER = /^[A-Za-z0-9~_-][A-Za-z0-9~._@-]{0,199}$/;
const FILE = /^[A-Za-z0-9~_-][A-Za-z0-9~._-]{0,127}$/;

export function isFolderName(folder: string): boolean {
  return FOLDER.test(folder);
}

export function isFileName(file: string): boolean {
  return FILE.test(file);
}

export function isSegmentFile(file: string): boolean {
  return isFileName(file) && file.endsWith('.ts');
}

/** A file that a store has made. */
export interface FoundFile {
  readonly kind: 'segment' | 'playlist' | 'temporary';
  readonly folder: string;
  readonly file: string;
  readonly bytes: number;
  readonly modifiedAt: EpochMs;
}

/** What there is of a store: its folders and the files in them. What is a link or not named by us is left out. */
export async function takeInventory(root: string): Promise<{ folders: string[]; files: FoundFile[] }> {
  const folders = (await entries(root))
    .filter((entry) => entry.isDirectory() && isFolderName(entry.name))
    .map(({ name }) => name);
  const files: FoundFile[] = [];
  for (const folder of folders) {
    const path = join(root, folder);
    const names = (await entries(path)).filter((entry) => entry.isFile()).map(({ name }) => name);
    // One after the other: a disk that hangs must not get all threads.
    for (const name of names) {
      const found = await look(path, folder, name);
      if (found !== null) files.push(found);
    }
  }
  return { folders, files };
}

async function entries(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function look(path: string, folder: string, file: string): Promise<FoundFile | null> {
  const kind = kindOf(file);
  if (kind === null) return null;
  try {
    const { size, mtimeMs } = await lstat(join(path, file));
    return { kind, folder, file, bytes: size, modifiedAt: mtimeMs };
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function kindOf(file: string): FoundFile['kind'] | null {
  if (isTemporary(file)) return 'temporary';
  if (isSegmentFile(file)) return 'segment';
  return isFileName(file) && file.endsWith('.m3u8') ? 'playlist' : null;
}
