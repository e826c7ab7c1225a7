import { readdir } from 'node:fs/promises';
import type { Clock } from '../media/clock.ts';
import type { StreamState } from '../packaging/rendition-state.ts';
import { lockDirectory } from './directory-lock.ts';
import { DiskStore, type Swept, segmentsIn } from './disk-store.ts';
import type { MemoryStore } from './memory-store.ts';
import { segmentsOf, withoutLost } from './restorable.ts';

/** As many as the disk store writes at a time. */
const PARALLEL = 2;
/** The other process may be at it still, and a lock that was left by a killed one is to be taken away. */
const PATIENCE_MS = 1000;

export interface HandoverOptions {
  readonly directory: string;
  readonly store: MemoryStore;
  readonly clock: Clock;
}

/**
 * Writes every segment in memory down, as files where the disk store has its own, for the process that comes next. The
 * directory belongs to nobody meanwhile: gateways that keep segments in memory may share it, one at a time.
 *
 * @param withinMs how long it may take
 * @throws SluiceError SLUICE_STORE_IN_USE, SLUICE_STORE_UNUSABLE, and whatever a disk says that does not take them
 */
export async function leaveSegments(
  { directory, store, clock }: HandoverOptions,
  withinMs: number,
): Promise<void> {
  const late = AbortSignal.timeout(Math.floor(withinMs));
  const lock = await lockDirectory(directory, Math.min(PATIENCE_MS, withinMs));
  const files = makeFiles(directory, clock);
  const names = [...store.names()];
  try {
    await files.open();
    await together(names, async (name) => {
      late.throwIfAborted();
      const body = await store.get(name);
      if (body !== null) await files.put(name, body);
    });
  } catch (error) {
    // Half of them is of no use, and a disk that is full should not stay so.
    await deleteFiles(files, new Set(names)).catch(() => {});
    throw error;
  } finally {
    await lock.release();
  }
}

/** Whether a process has left anything there. */
export async function hasSegments(directory: string): Promise<boolean> {
  const found = await readdir(segmentsIn(directory)).catch(() => []);
  return found.length > 0;
}

/**
 * Takes what a process has left into memory, and its files away.
 *
 * @param onError a file cannot be read or deleted; its playlist begins anew
 * @returns the states with what of them can go on, and the names of the segments taken
 */
export async function takeSegments(
  { directory, store, clock }: HandoverOptions,
  states: readonly StreamState[],
  onError: (error: unknown) => void,
): Promise<{ states: StreamState[]; names: string[] }> {
  const lock = await lockDirectory(directory, PATIENCE_MS);
  try {
    const files = makeFiles(directory, clock);
    await files.refresh();
    const sizes = new Map<string, number>();
    await together(states.flatMap(segmentsOf), async (name) => {
      const body = await files.get(name).catch((error: unknown) => {
        onError(error);
        return null;
      });
      if (body === null) return;
      const { length } = body;
      // What memory has no room for is as good as lost.
      const taken = await store.put(name, body).then(
        () => true,
        () => false,
      );
      if (taken) sizes.set(name, length);
    });
    // Also what one that was killed has left, of which no state says anything.
    await deleteFiles(files).catch(onError);
    const sizeOf = (name: string) => sizes.get(name) ?? null;
    return { states: states.map((state) => withoutLost(state, sizeOf)), names: [...sizes.keys()] };
  } finally {
    await lock.release();
  }
}

function makeFiles(directory: string, clock: Clock): DiskStore {
  return new DiskStore({ directory, maxBytes: null, cacheBytes: 0, clock, onPlaylistError: () => {} });
}

/** @param names all when absent */
function deleteFiles(files: DiskStore, names?: ReadonlySet<string>): Promise<Swept> {
  const keep = (name: string) => names !== undefined && !names.has(name);
  return files.sweep({ keep, olderThanMs: Number.NEGATIVE_INFINITY, now: 0 });
}

/** @throws what the first of them threw, when none is at work any more */
async function together(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  const left = names.values();
  const run = async () => {
    for (const name of left) {
      if (failures.length > 0) return;
      await work(name).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, run));
  if (failures.length > 0) throw failures[0];
}
