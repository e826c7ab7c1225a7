import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';
import { SegmentBody } from '../media/segment-body.ts';
import type { EpochMs } from '../media/time.ts';
import type { SegmentStore } from '../packaging/segment-store.ts';
import { BodyCache } from './body-cache.ts';
import {
  type DiskFs,
  diskFs,
  isMissing,
  makeFolder,
  reasonOf,
  removeEmptyFolder,
  removeFile,
  writeWhole,
} from './disk-fs.ts';
import { type FoundFile, isFileName, isFolderName, isSegmentFile, takeInventory } from './disk-inventory.ts';
import { DiskQueue } from './disk-queue.ts';
import { LatestFiles } from './latest-files.ts';

/** With the one of the state files this leaves one of Node's four threads, whatever the disk does. */
const PARALLEL = 2;

export interface DiskStoreOptions {
  /** Everything is kept in `segments/` in it. */
  readonly directory: string;
  /** What all segments together may take; null for no limit. */
  readonly maxBytes: number | null;
  /** What may be kept in memory of them, the newest and the most wanted. */
  readonly cacheBytes: number;
  readonly clock: Clock;
  /** A playlist cannot be written: once until it can be again. */
  readonly onPlaylistError: (path: string, error: unknown) => void;
  readonly fs?: DiskFs;
}

export interface SweepOptions {
  /** Whether somebody still wants the segment of this name. */
  readonly keep: (name: string) => boolean;
  /** Younger files stay: they may be about to be listed, here or by a process that is being replaced. */
  readonly olderThanMs: number;
  /** By the system clock, as the times of files are. */
  readonly now: EpochMs;
}

/** What a sweep has done. */
export interface Swept {
  readonly files: number;
  readonly bytes: number;
  /** Files that should be gone but could not be deleted. */
  readonly failed: number;
}

/** Where in a storage directory they are. */
export function segmentsIn(directory: string): string {
  return join(directory, 'segments');
}

/**
 * Segments in plain files, `<directory>/segments/<folder>/<file>`, that any web server can serve and that are there
 * again after a restart. What viewers are reading now is in memory as well.
 */
export class DiskStore implements SegmentStore {
  readonly #root: string;
  readonly #maxBytes: number | null;
  readonly #fs: DiskFs;
  readonly #cache: BodyCache;
  readonly #queue: DiskQueue;
  readonly #playlists: LatestFiles;
  /** Sizes of the files by folder. */
  readonly #sizes = new Map<string, Map<string, number>>();
  readonly #reading = new Map<string, Promise<Uint8Array | null>>();
  #bytes = 0;
  /** Of segments that are being written. */
  #reserved = 0;

  constructor(options: DiskStoreOptions) {
    const { directory, maxBytes, cacheBytes, clock, onPlaylistError } = options;
    this.#root = segmentsIn(directory);
    this.#maxBytes = maxBytes;
    this.#fs = options.fs ?? diskFs;
    this.#cache = new BodyCache(cacheBytes);
    this.#queue = new DiskQueue({ clock, parallel: PARALLEL });
    this.#playlists = new LatestFiles({ fs: this.#fs, queue: this.#queue, onError: onPlaylistError });
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What waits for the disk. */
  get waitingBytes(): number {
    return this.#queue.bytes;
  }

  /** Times that a playlist could not be written or removed. */
  get playlistFailures(): number {
    return this.#playlists.failures;
  }

  /** What is kept in memory of what is on the disk. */
  get cachedBytes(): number {
    return this.#cache.bytes;
  }

  /** Size of a segment; null when there is none. Tells after a restart which segments are there, and whole. */
  sizeOf(name: string): number | null {
    const [folder, file] = split(name);
    return this.#sizes.get(folder)?.get(file) ?? null;
  }

  async put(name: string, body: SegmentBody): Promise<void> {
    // One piece is written in one call, and the disk may hold on to it after the write was given up.
    const data = body.copyOut();
    const path = this.#segmentPath(name);
    if (path === null) throw new SluiceError('SLUICE_INTERNAL', `${name} is no name of a segment`);
    const bytes = this.#bytes + this.#reserved + data.length - (this.sizeOf(name) ?? 0);
    if (this.#maxBytes !== null && bytes > this.#maxBytes) {
      throw new SluiceError('SLUICE_STORE_FULL', `the segments on disk have reached ${this.#maxBytes} bytes`);
    }
    this.#reserved += data.length;
    try {
      await this.#queue.run(
        data.length,
        () => writeWhole(this.#fs, path, data),
        // Nobody will list it, and nobody knows its name.
        () => removeFile(this.#fs, path),
      );
    } finally {
      this.#reserved -= data.length;
    }
    this.#remember(name, data.length);
    this.#cache.set(name, data);
  }

  async get(name: string): Promise<SegmentBody | null> {
    const data = await this.#find(name);
    return data && SegmentBody.of(data);
  }

  async #find(name: string): Promise<Uint8Array | null> {
    const path = this.#segmentPath(name);
    if (path === null) return null;
    const cached = this.#cache.get(name);
    if (cached !== null) return cached;
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = this.#queue.runRead(this.sizeOf(name) ?? 0, () => this.#read(name, path));
      this.#reading.set(name, reading);
      const done = () => this.#reading.delete(name);
      reading.then(done, done);
    }
    return reading;
  }

  async delete(name: string): Promise<void> {
    const path = this.#segmentPath(name);
    if (path === null) return;
    this.#cache.delete(name);
    await this.#queue.run(0, async () => {
      await removeFile(this.#fs, path);
      this.#forget(name);
      await this.#tidy(name);
    });
  }

  /**
   * Puts a playlist beside the segments, for a web server that serves all from the disk. A newer one replaces it and
   * none overtakes another; errors go to `onPlaylistError`.
   *
   * @param name `<folder>/<file>.m3u8`
   */
  putPlaylist(name: string, playlist: string): void {
    void this.#playlists.set(this.#playlistPath(name), playlist);
  }

  async deletePlaylist(name: string): Promise<void> {
    await this.#playlists.set(this.#playlistPath(name), null);
    await this.#tidy(name);
  }

  /** Resolves when the playlists put so far are written, or have failed. */
  settled(): Promise<void> {
    return this.#playlists.settled();
  }

  /**
   * Makes sure that the directory can be used, and learns what is in it. Once, before anything else.
   *
   * @throws SluiceError SLUICE_STORE_UNUSABLE
   */
  async open(): Promise<void> {
    try {
      await makeFolder(this.#fs, this.#root);
      const probe = join(this.#root, `.probe-${randomBytes(4).toString('hex')}`);
      await writeWhole(this.#fs, probe, 'Sluice was here');
      await removeFile(this.#fs, probe);
      await this.refresh();
    } catch (error) {
      throw new SluiceError(
        'SLUICE_STORE_UNUSABLE',
        `cannot keep segments in ${this.#root}: ${reasonOf(error)}`,
        { cause: error },
      );
    }
  }

  /** Learns of segments that another process has put here since: the one that this one replaces. */
  async refresh(): Promise<void> {
    const { files } = await this.#queue.runPatiently(() => takeInventory(this.#root));
    for (const { kind, folder, file, bytes } of files) {
      if (kind === 'segment') this.#remember(`${folder}/${file}`, bytes);
    }
  }

  /**
   * Deletes what nobody wants: segments of streams that are gone, and what a killed process left half done. Touches
   * nothing but files of this store's own names in its own folders, and follows no links.
   */
  sweep(options: SweepOptions): Promise<Swept> {
    return this.#queue.runPatiently(() => this.#sweep(options));
  }

  async #sweep({ keep, olderThanMs, now }: SweepOptions): Promise<Swept> {
    const { folders, files } = await takeInventory(this.#root);
    const isKept = ({ kind, folder, file }: FoundFile) => kind === 'segment' && keep(`${folder}/${file}`);
    // A playlist belongs to the segments beside it.
    const alive = new Set(files.filter(isKept).map(({ folder }) => folder));
    const swept = { files: 0, bytes: 0, failed: 0 };
    for (const file of files) {
      const wanted = file.kind === 'playlist' ? alive.has(file.folder) : isKept(file);
      if (wanted || now - file.modifiedAt < olderThanMs) continue;
      const name = `${file.folder}/${file.file}`;
      try {
        await removeFile(this.#fs, join(this.#root, name));
        this.#cache.delete(name);
        this.#forget(name);
        swept.files++;
        swept.bytes += file.bytes;
      } catch {
        swept.failed++;
      }
    }
    for (const folder of folders) await this.#tidy(`${folder}/`);
    return swept;
  }

  async #read(name: string, path: string): Promise<Uint8Array | null> {
    let data: Uint8Array;
    try {
      data = await this.#fs.readFile(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.#forget(name);
      return null;
    }
    // What a power cut has left of it is no segment.
    if (data.length !== (this.sizeOf(name) ?? data.length)) return null;
    // It may have been deleted meanwhile.
    if (this.sizeOf(name) !== null) this.#cache.set(name, data);
    return data;
  }

  /** Removes the folder of this name if it holds nothing any more. */
  async #tidy(name: string): Promise<void> {
    const [folder] = split(name);
    if (!this.#sizes.has(folder)) await removeEmptyFolder(this.#fs, join(this.#root, folder));
  }

  #remember(name: string, bytes: number): void {
    this.#forget(name);
    const [folder, file] = split(name);
    const files = this.#sizes.get(folder) ?? new Map<string, number>();
    this.#sizes.set(folder, files.set(file, bytes));
    this.#bytes += bytes;
  }

  #forget(name: string): void {
    const [folder, file] = split(name);
    const files = this.#sizes.get(folder);
    this.#bytes -= files?.get(file) ?? 0;
    files?.delete(file);
    if (files?.size === 0) this.#sizes.delete(folder);
  }

  #segmentPath(name: string): string | null {
    const [folder, file] = split(name);
    return isFolderName(folder) && isSegmentFile(file) ? join(this.#root, folder, file) : null;
  }

  #playlistPath(name: string): string {
    const [folder, file] = split(name);
    if (!isFolderName(folder) || !isFileName(file) || !file.endsWith('.m3u8')) {
      throw new SluiceError('SLUICE_INTERNAL', `${name} is no name of a playlist`);
    }
    return join(this.#root, folder, file);
  }
}

/** @throws SluiceError SLUICE_STORE_UNUSABLE when the directory cannot be made or written */
export async function openDiskStore(options: DiskStoreOptions): Promise<DiskStore> {
  const store = new DiskStore(options);
  await store.open();
  return store;
}

function split(name: string): [folder: string, file: string] {
  const slash = name.indexOf('/');
  return [name.slice(0, Math.max(0, slash)), name.slice(slash + 1)];
}
