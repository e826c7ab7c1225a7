import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../media/clock.ts';
import type { StreamState } from '../packaging/rendition-state.ts';
import { type DiskFs, diskFs, isMissing, isTemporary, removeFile } from './disk-fs.ts';
import { isFolderName } from './disk-inventory.ts';
import { DiskQueue } from './disk-queue.ts';
import { LatestFiles } from './latest-files.ts';
import { decodeState, encodeState } from './state-schema.ts';

/** A thousand segments and as many that have left the list take 330 KB, in each of nine renditions. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
/** Damaged files kept of one stream; the last one is replaced by newer ones. */
const MAX_CORRUPT = 5;
/** No write takes as long: an unfinished file this old was left by a process that was killed. */
const ABANDONED_MS = 60_000;
const SUFFIX = '.json';

export interface StateFilesOptions {
  /** The files are in `state/` in it. */
  readonly directory: string;
  readonly clock: Clock;
  /** A file was not usable and has been set aside. */
  readonly onCorrupt: (file: string, reason: string) => void;
  /** A file cannot be read, or cannot be written: once until it can be again. */
  readonly onError: (file: string, error: unknown) => void;
  readonly fs?: DiskFs;
}

/** What streams need to go on after a restart: one small file each, replaced as a whole. Nothing here ever throws. */
export class StateFiles {
  readonly #options: StateFilesOptions;
  readonly #root: string;
  readonly #fs: DiskFs;
  readonly #files: LatestFiles;
  #unread = 0;

  constructor(options: StateFilesOptions) {
    this.#options = options;
    this.#root = join(options.directory, 'state');
    this.#fs = options.fs ?? diskFs;
    this.#files = new LatestFiles({
      fs: this.#fs,
      queue: new DiskQueue({ clock: options.clock, parallel: 1 }),
      onError: options.onError,
    });
  }

  /** Times that a file could not be read, written or removed. */
  get failures(): number {
    return this.#unread + this.#files.failures;
  }

  /** @returns resolves when this or a newer state is written, or that has failed */
  save(folder: string, state: StreamState): Promise<void> {
    return this.#files.set(this.#path(folder), encodeState(state));
  }

  remove(folder: string): Promise<void> {
    return this.#files.set(this.#path(folder), null);
  }

  /** Resolves when all is written, or has failed. */
  settled(): Promise<void> {
    return this.#files.settled();
  }

  /** All states there are, by folder. What is not usable is set aside and does not hold up the others. */
  async load(): Promise<Map<string, StreamState>> {
    const states = new Map<string, StreamState>();
    for (const file of await this.#list()) {
      const path = join(this.#root, file);
      try {
        if (isTemporary(file)) {
          const stats = await lstat(path);
          const old = this.#options.clock.now() - stats.mtimeMs > ABANDONED_MS;
          if (stats.isFile() && old) await removeFile(this.#fs, path);
          continue;
        }
        const folder = file.slice(0, -SUFFIX.length);
        if (!file.endsWith(SUFFIX) || !isFolderName(folder)) continue;
        const state = await this.#read(path, folder);
        if (typeof state === 'string') await this.#setAside(path, state);
        else states.set(folder, state);
      } catch (error) {
        this.#readFailed(path, error);
      }
    }
    return states;
  }

  async #list(): Promise<string[]> {
    try {
      return await readdir(this.#root);
    } catch (error) {
      this.#readFailed(this.#root, error);
      return [];
    }
  }

  #readFailed(path: string, error: unknown): void {
    if (isMissing(error)) return;
    this.#unread++;
    this.#options.onError(path, error);
  }

  async #read(path: string, folder: string): Promise<StreamState | string> {
    const stats = await lstat(path);
    // Docker makes a directory of a file that is mounted and not there; a stream could not write its state over it.
    if (stats.isDirectory()) return 'is a directory';
    if (!stats.isFile()) return 'is no regular file';
    if (stats.size > MAX_FILE_BYTES) return `is larger than ${MAX_FILE_BYTES} bytes`;
    return decodeState(await readFile(path, 'utf8'), folder);
  }

  async #setAside(path: string, reason: string): Promise<void> {
    const names = Array.from({ length: MAX_CORRUPT }, (_, index) => `${path}.corrupt-${index + 1}`);
    let target = names.at(-1) ?? path;
    for (const name of names) {
      const taken = await lstat(name).catch(() => null);
      if (taken !== null) continue;
      target = name;
      break;
    }
    await this.#fs.rename(path, target);
    this.#options.onCorrupt(path, reason);
  }

  #path(folder: string): string {
    return join(this.#root, `${folder}${SUFFIX}`);
  }
}
