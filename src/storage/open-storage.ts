import type { Clock } from '../media/clock.ts';
import type { EpochMs } from '../media/time.ts';
import type { StreamState } from '../packaging/rendition-state.ts';
import type { PlaylistFiles, SegmentStore, StreamJournal } from '../packaging/segment-store.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import { openDiskStore } from './disk-store.ts';
import { type HandoverOptions, hasSegments, leaveSegments, takeSegments } from './handover.ts';
import { MemoryStore } from './memory-store.ts';
import { withoutLost } from './restorable.ts';
import { StateFiles } from './state-files.ts';

/** How long a new process waits for the one that it replaces to let go of the directory. */
const HANDOVER_PATIENCE_MS = 10_000;
/** The newest segments are read by everybody; what players that are behind want comes from the page cache. */
const CACHE_BYTES = 256 * 1024 * 1024;
/** Players have forgotten a stream that ended this long ago. */
const NUMBERS_KEPT_MS = 24 * 3600 * 1000;
const SWEEP_INTERVAL_MS = 60_000;
/** Where there is little room left, what belongs to no stream goes as soon as it cannot be about to be listed. */
const CROWDED_AGE_MS = 60_000;

/** Small files that change, beside the segments. */
export type FileKind = 'state' | 'playlist';

export interface StorageOptions {
  readonly type: 'memory' | 'disk';
  readonly directory?: string | undefined;
  readonly maxBytes?: number | undefined;
  /** Seconds. */
  readonly maxAge: number;
  readonly clock: Clock;
  /** The system clock, by which files have their times and which the next process has too; it may step. */
  readonly systemTime: () => EpochMs;
  /**
   * This process is alone with the directory from here on. Nothing is read yet, so that it can listen before viewers
   * miss the process that it replaces.
   */
  readonly onOwned?: () => Promise<void>;
  /** A file cannot be read, written or removed: once until it works again. Segments tell their own errors. */
  readonly onFileError: (kind: FileKind, path: string, error: unknown) => void;
  readonly log: {
    info(fields: Record<string, unknown>, message: string): void;
    warn(fields: Record<string, unknown>, message: string): void;
  };
}

/** Where segments and what outlives the process are kept. */
export interface Storage {
  readonly store: SegmentStore;
  /** Whatever happens to the process, the segments are there again after a restart. */
  readonly persistent: boolean;
  /** A process that is told to end can leave its segments to the next one. */
  readonly goesOn: boolean;
  readonly journal: StreamJournal | null;
  readonly playlistFiles: PlaylistFiles | null;
  /** Bytes of segments that wait to be written. */
  readonly queuedBytes: () => number;
  /** How often a file could not be read, written or removed. */
  readonly fileErrors: () => Readonly<Record<FileKind, number>>;
  /** What an earlier process wrote down. */
  readonly states: readonly StreamState[];
  /** Deletes files that belong to no stream any more, now and then. @param inUse by the segment's name */
  startCleaning(inUse: (name: string) => boolean): void;
  /**
   * Leaves the segments to the next process, when no more of them come.
   *
   * @param withinMs how long it may take
   * @returns whether the next process can go on with them
   */
  handOver(withinMs: number): Promise<boolean>;
  /** Resolves when all is written, or has failed. */
  settled(): Promise<void>;
  /** Lets the next process have the directory. */
  release(): Promise<void>;
}

/** @throws SluiceError SLUICE_STORE_UNUSABLE, SLUICE_STORE_IN_USE */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  return options.type === 'disk' ? openDisk(options) : openMemory(options);
}

/**
 * Without a directory nothing is remembered. With one the numbers are, and a process that is told to end leaves its
 * segments there for the next one.
 */
async function openMemory(options: StorageOptions): Promise<Storage> {
  const { directory, maxBytes, clock, systemTime, onOwned, log } = options;
  const store = new MemoryStore(maxBytes ?? null);
  const nothing = async () => {};
  if (directory === undefined) {
    await onOwned?.();
    return {
      ...{ store, persistent: false, goesOn: false, journal: null, playlistFiles: null, states: [] },
      ...{ queuedBytes: () => 0, startCleaning: () => {}, handOver: async () => false },
      ...{ settled: nothing, release: nothing, fileErrors: () => ({ state: 0, playlist: 0 }) },
    };
  }
  const files = stateFiles(options, directory);
  const settled = () => files.settled();
  let released = false;
  await onOwned?.();
  const known = await loadStates(files, systemTime());
  const { states, names } = await takeOver({ directory, store, clock }, known, log);
  return {
    store,
    persistent: false,
    goesOn: true,
    journal: unless(() => released, dated(files, systemTime)),
    playlistFiles: null,
    queuedBytes: () => 0,
    fileErrors: () => ({ state: files.failures, playlist: 0 }),
    states,
    startCleaning: (inUse) => {
      for (const name of names) if (!inUse(name)) void store.delete(name);
    },
    handOver: async (withinMs) => {
      try {
        await leaveSegments({ directory, store, clock }, withinMs);
        return true;
      } catch (error) {
        const fields = { directory, reason: reasonOf(error) };
        log.warn(fields, 'the next process cannot go on with the segments: playlists end');
        return false;
      }
    },
    settled,
    release: async () => {
      released = true;
      await settled();
    },
  };
}

async function takeOver(
  options: HandoverOptions,
  known: readonly StreamState[],
  log: StorageOptions['log'],
): ReturnType<typeof takeSegments> {
  const { directory } = options;
  const nothing = { states: known.map((state) => withoutLost(state, () => null)), names: [] };
  if (known.every(({ rendition }) => rendition === null) && !(await hasSegments(directory))) return nothing;
  const failures: unknown[] = [];
  const taken = await takeSegments(options, known, (error) => failures.push(error)).catch(
    (error: unknown) => {
      failures.push(error);
      return nothing;
    },
  );
  if (failures.length > 0) {
    const fields = { directory, failures: failures.length, reason: reasonOf(failures[0]) };
    log.warn(fields, 'the segments of the last process cannot be taken over');
  }
  return taken;
}

async function openDisk(options: StorageOptions): Promise<Storage> {
  const { directory = '.', onOwned, log } = options;
  const lock = await lockDirectory(directory, HANDOVER_PATIENCE_MS, () =>
    log.info(
      { directory, seconds: HANDOVER_PATIENCE_MS / 1000 },
      'waiting for the process that has the directory',
    ),
  );
  try {
    await onOwned?.();
    return await openLocked(options, directory, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(options: StorageOptions, directory: string, lock: DirectoryLock): Promise<Storage> {
  const { maxBytes, maxAge, clock, systemTime, onFileError, log } = options;
  const files = stateFiles(options, directory);
  const store = await openDiskStore({
    directory,
    maxBytes: maxBytes ?? null,
    cacheBytes: CACHE_BYTES,
    clock,
    onPlaylistError: (path, error) => onFileError('playlist', path, error),
  });
  const states = (await loadStates(files, systemTime())).map((state) =>
    withoutLost(state, (name) => store.sizeOf(name)),
  );
  // A killed process may have left as much as is allowed, and new segments must not wait for its age.
  const crowded = () => maxBytes !== undefined && store.bytes > maxBytes / 2;
  let cancelSweep = () => {};
  let released = false;
  const settled = async () => {
    await Promise.all([files.settled(), store.settled()]);
  };
  return {
    store,
    persistent: true,
    goesOn: true,
    handOver: async () => true,
    journal: unless(() => released, dated(files, systemTime)),
    playlistFiles: {
      putPlaylist: (name, playlist) => {
        if (!released) store.putPlaylist(name, playlist);
      },
      deletePlaylist: async (name) => (released ? undefined : store.deletePlaylist(name)),
    },
    queuedBytes: () => store.waitingBytes,
    fileErrors: () => ({ state: files.failures, playlist: store.playlistFailures }),
    states,
    startCleaning: (inUse) => {
      const sweep = async () => {
        const {
          files: count,
          bytes,
          failed,
        } = await store.sweep({
          keep: inUse,
          olderThanMs: crowded() ? Math.min(CROWDED_AGE_MS, maxAge * 1000) : maxAge * 1000,
          now: systemTime(),
        });
        if (count + failed > 0) log.info({ files: count, bytes, failed }, 'files of no stream deleted');
      };
      const run = () => {
        sweep()
          .catch((error: unknown) => log.warn({ reason: reasonOf(error) }, 'the directory cannot be cleaned'))
          .finally(next);
      };
      const next = () => {
        if (!released) cancelSweep = clock.after(SWEEP_INTERVAL_MS, run);
      };
      if (crowded()) run();
      else next();
    },
    settled,
    release: async () => {
      released = true;
      cancelSweep();
      await settled();
      await lock.release();
    },
  };
}

function stateFiles({ clock, onFileError, log }: StorageOptions, directory: string): StateFiles {
  return new StateFiles({
    directory,
    clock,
    onCorrupt: (file, reason) =>
      log.warn({ file, reason }, 'a state file is not usable; it was set aside and its stream begins anew'),
    onError: (path, error) => onFileError('state', path, error),
  });
}

/** Its dates are read by another process, which knows nothing of how this one's clock was set at its start. */
function dated(files: StateFiles, systemTime: () => EpochMs): StreamJournal {
  return {
    save: (folder, state) => files.save(folder, { ...state, savedAt: systemTime() }),
    remove: (folder) => files.remove(folder),
  };
}

/** After the release the files are the next process's, and a stream that ends here must not overwrite them. */
function unless(released: () => boolean, journal: StreamJournal): StreamJournal {
  return {
    save: async (folder, state) => (released() ? undefined : journal.save(folder, state)),
    remove: async (folder) => (released() ? undefined : journal.remove(folder)),
  };
}

async function loadStates(files: StateFiles, now: EpochMs): Promise<StreamState[]> {
  const states: StreamState[] = [];
  for (const [folder, state] of await files.load()) {
    if (now - state.savedAt > NUMBERS_KEPT_MS) await files.remove(folder);
    else states.push(state);
  }
  return states;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
