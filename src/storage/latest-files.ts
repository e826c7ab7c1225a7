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
  #failures = 0;

  constructor(options: LatestFilesOptions) {
    this.#options = options;
  }

  /** Attempts that failed. */
  get failures(): number {
    return this.#failures;
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
    while (this.#waiting.has(path)) await this.#options.queue.runPatiently(() => this.#attempt(path));
    this.#writing.delete(path);
  }

  /** Writes what is the newest when its turn has come. */
  async #attempt(path: string): Promise<void> {
    const { fs, onError } = this.#options;
    const content = this.#waiting.get(path);
    this.#waiting.delete(path);
    if (content === undefined) return;
    try {
      await (content === null ? removeFile(fs, path) : writeWhole(fs, path, content));
      this.#failing.delete(path);
    } catch (error) {
      this.#failures++;
      if (!this.#failing.has(path)) onError(path, error);
      // What is removed may never come again: publishers choose the names, and on a broken disk all would stay here.
      if (content === null) this.#failing.delete(path);
      else this.#failing.add(path);
    }
  }
}
