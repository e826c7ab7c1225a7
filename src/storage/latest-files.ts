import { type DiskFs, removeFile, writeWhole } from './disk-fs.ts';
import type { DiskQueue } from './disk-queue.ts';

/** What a file should hold; null when it should not be there. */
type Wanted = string | null;

export interface LatestFilesOptions {
  readonly fs: DiskFs;
  readonly queue: DiskQueue;
  /** A file cannot be written or removed: once until it works again. The next change of it is the next attempt. */
  readonly onError: (path: string, error: unknown) => void;
}

/**
 * Small files that change. Of each, one write is under way and only the newest content waits, so a slow disk skips
 * versions and never falls behind, and versions never overtake each other.
 */
export class LatestFiles {
  readonly #options: LatestFilesOptions;
  readonly #waiting = new Map<string, Wanted>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #failing = new Set<string>();

  constructor(options: LatestFilesOptions) {
    this.#options = options;
  }

  /** @returns resolves when the file has this content or a newer one, or that has failed */
  set(path: string, content: Wanted): Promise<void> {
    this.#waiting.set(path, content);
    const writing = this.#writing.get(path) ?? this.#write(path);
    this.#writing.set(path, writing);
    return writing;
  }

  /** Resolves when everything set so far is written, or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing.values());
  }

  async #write(path: string): Promise<void> {
    const { queue, onError } = this.#options;
    while (this.#waiting.has(path)) {
      try {
        await queue.runPatiently(() => this.#attempt(path));
      } catch (error) {
        const first = !this.#failing.has(path);
        this.#failing.add(path);
        if (first) onError(path, error);
      }
    }
    this.#writing.delete(path);
  }

  /** Writes what is the newest when its turn has come. */
  async #attempt(path: string): Promise<void> {
    const { fs } = this.#options;
    const content = this.#waiting.get(path);
    this.#waiting.delete(path);
    if (content === undefined) return;
    await (content === null ? removeFile(fs, path) : writeWhole(fs, path, content));
    this.#failing.delete(path);
  }
}
