import type { Clock } from '../media/clock.ts';
import type { StreamState } from '../packaging/rendition-state.ts';
import { lockDirectory } from './directory-lock.ts';
import { DiskStore, type SweepOptions } from './disk-store.ts';
import type { MemoryStore } from './memory-store.ts';
import { segmentsOf, withoutLost } from './restorable.ts';

/** As many as the disk store writes at a time. */
const PARALLEL = 2;
/** The other process may be at it still, and a lock that was left by a killed one is to be taken away. */
const PATIENCE_MS = 1000;

const ALL: SweepOptions = { keep: () => false, olderThanMs: Number.NEGATIVE_INFINITY, now: 0 };

export interface HandoverOptions {
  readonly directory: string;
  readonly store: MemoryStore;
  readonly clock: Clock;
}

/**
 * Writes every segment in memory down, as files where the disk store has its own, for the process that comes next. The
 * directory belongs to nobody meanwhile: several gateways that keep segments in memory may share it.
 *
 * @param signal ends it early
 * @throws SluiceError SLUICE_STORE_IN_USE, SLUICE_STORE_UNUSABLE, and whatever a disk says that does not take them
 */
export async function leaveSegments(
  { directory, store, clock }: HandoverOptions,
  signal: AbortSignal,
): Promise<void> {
  const lock = await lockDirectory(directory, PATIENCE_MS);
  const files = makeFiles(directory, clock);
  try {
    await files.open();
    const names = store.names();
    await together(async () => {
      for (const name of names) {
        signal.throwIfAborted();
        const body = await store.get(name);
        if (body !== null) await files.put(name, body);
      }
    });
  } catch (error) {
    // Half of them is of no use, and a disk that is full should not stay so.
    await files.sweep(ALL).catch(() => {});
    throw error;
  } finally {
    await lock.release();
  }
}

/**
 * Takes what a process has left into memory, and its files away.
 *
 * @returns the states with what of them can go on, and the names of the segments taken
 */
export async function takeSegments(
  { directory, store, clock }: HandoverOptions,
  states: readonly StreamState[],
): Promise<{ states: StreamState[]; names: string[] }> {
  const lock = await lockDirectory(directory, PATIENCE_MS);
  try {
    const files = makeFiles(directory, clock);
    await files.open();
    const sizes = new Map<string, number>();
    const wanted = states.flatMap(segmentsOf).values();
    await together(async () => {
      for (const name of wanted) {
        const body = await files.get(name);
        if (body === null) continue;
        const { length } = body;
        // What memory has no room for is as good as lost.
        const taken = await store.put(name, body).then(
          () => true,
          () => false,
        );
        if (taken) sizes.set(name, length);
      }
    });
    await files.sweep(ALL);
    const sizeOf = (name: string) => sizes.get(name) ?? null;
    return { states: states.map((state) => withoutLost(state, sizeOf)), names: [...sizes.keys()] };
  } finally {
    await lock.release();
  }
}

function makeFiles(directory: string, clock: Clock): DiskStore {
  return new DiskStore({ directory, maxBytes: null, cacheBytes: 0, clock, onPlaylistError: () => {} });
}

async function together(work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: PARALLEL }, work));
}
