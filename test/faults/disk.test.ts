import { execFile } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DiskFs, diskFs } from '../../src/storage/disk-fs.ts';
import type { DiskStore } from '../../src/storage/disk-store.ts';
import { StateFiles } from '../../src/storage/state-files.ts';
import { body, faultyFs, MB, makeStore, rejection, systemError } from '../storage/support/disk.ts';
import { temporaryDirectory } from '../storage/support/folder.ts';
import { makeGate } from '../storage/support/gate.ts';
import { streamState } from '../storage/support/state.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { bytesOf } from '../support/segment-bytes.ts';

const run = promisify(execFile);
const SIZE = 512 * 1024;
const nameOf = (n: number) => `live@test/a-${n}.ts`;

async function unfinished(directory: string): Promise<string[]> {
  const files = await readdir(directory, { recursive: true });
  return files.filter((file) => file.endsWith('.tmp'));
}

function states(directory: string) {
  const errors: string[] = [];
  const files = new StateFiles({
    directory,
    clock: new FakeClock(),
    onCorrupt: (file, reason) => expect.unreachable(`${file} ${reason}`),
    onError: (_file, error) => errors.push(String(error)),
  });
  const save = (end: number) => files.save('live@test', streamState({ end }));
  const loaded = async () => (await files.load()).get('live@test')?.end;
  return { errors, save, loaded };
}

/** Writes segments from number `first` on until one is refused. */
async function fill(store: DiskStore, first: number): Promise<{ written: number[]; code: unknown }> {
  const written: number[] = [];
  for (let n = first; n < first + 50; n++) {
    const code = await rejection(store.put(nameOf(n), body(SIZE, n)));
    if (code !== undefined) return { written, code };
    written.push(n);
  }
  return { written, code: undefined };
}

async function whole(store: DiskStore, n: number): Promise<boolean> {
  return (await bytesOf(store.get(nameOf(n))))?.equals(Buffer.alloc(SIZE, n)) ?? false;
}

describe('a real file system of 4 MB', () => {
  /** Null where mounting is not allowed; the same faults are injected further down. */
  async function mounted(): Promise<string | null> {
    const directory = await temporaryDirectory();
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]);
    } catch {
      return null;
    }
    onTestFinished(async () => {
      await run('umount', [directory]);
    });
    return directory;
  }

  it('that is full costs the segments that do not fit and no other, and is used again when there is room', async ({
    skip,
  }) => {
    const directory = await mounted();
    if (directory === null) return skip('mounting a file system is not permitted here');
    const store = makeStore(directory);
    const state = states(directory);
    await state.save(1);
    const { written, code } = await fill(store, 1);
    expect(code).toBe('ENOSPC');
    expect(written.length).toBeGreaterThanOrEqual(6);
    expect(store.bytes).toBe(written.length * SIZE);
    expect(await unfinished(directory)).toEqual([]);
    for (const n of written) expect(await whole(store, n)).toBe(true);

    // Not even a state fits any more: the old one stays, and it is told once.
    await rejection(writeFile(join(directory, 'filler'), Buffer.alloc(4 * MB, 1)));
    await state.save(2);
    await state.save(3);
    expect(state.errors).toEqual([expect.stringContaining('ENOSPC')]);
    expect(await state.loaded()).toBe(1);

    await rm(join(directory, 'filler'));
    await store.delete(nameOf(1));
    expect((await fill(store, 100)).written).toEqual([100]);
    expect(await whole(store, 100)).toBe(true);
    await store.delete(nameOf(2));
    await state.save(4);
    expect(await state.loaded()).toBe(4);
  });

  it('that turns read-only serves what it has and is used again when it can be written', async ({ skip }) => {
    const directory = await mounted();
    if (directory === null) return skip('mounting a file system is not permitted here');
    const playlistErrors: unknown[] = [];
    const store = makeStore(directory, { onPlaylistError: (_path, error) => playlistErrors.push(error) });
    const state = states(directory);
    await store.put(nameOf(1), body(SIZE, 1));
    await state.save(1);
    await run('mount', ['-o', 'remount,ro', directory]);
    expect(await rejection(store.put(nameOf(2), body(SIZE, 2)))).toBe('EROFS');
    expect(await rejection(store.delete(nameOf(1)))).toBe('EROFS');
    expect(await whole(store, 1)).toBe(true);
    expect(store.bytes).toBe(SIZE);
    expect(await rejection(makeStore(directory).open())).toBe('SLUICE_STORE_UNUSABLE');
    for (const text of ['one', 'two']) {
      store.putPlaylist('live@test/media.m3u8', text);
      await store.settled();
      await state.save(2);
    }
    expect(playlistErrors).toHaveLength(1);
    expect(state.errors).toEqual([expect.stringContaining('EROFS')]);

    await run('mount', ['-o', 'remount,rw', directory]);
    await store.put(nameOf(3), body(SIZE, 3));
    expect(await whole(store, 3)).toBe(true);
    store.putPlaylist('live@test/media.m3u8', 'three');
    await store.settled();
    expect(await readFile(join(directory, 'segments/live@test/media.m3u8'), 'utf8')).toBe('three');
    await state.save(5);
    expect(await state.loaded()).toBe(5);
  });
});

describe('a directory', () => {
  it('that vanishes costs what was in it and is made again', async () => {
    const directory = join(await temporaryDirectory(), 'store');
    const store = makeStore(directory, { cacheBytes: 1.5 * SIZE });
    const state = states(directory);
    await store.open();
    await store.put(nameOf(1), body(SIZE, 1));
    await store.put(nameOf(2), body(SIZE, 2));
    await rm(directory, { recursive: true });
    expect(await store.get(nameOf(1))).toBeNull();
    // This one is still in memory.
    expect(await whole(store, 2)).toBe(true);
    await store.put(nameOf(3), body(SIZE, 3));
    expect(await whole(store, 3)).toBe(true);
    store.putPlaylist('live@other/media.m3u8', 'new');
    await store.settled();
    await state.save(1);
    expect(await state.loaded()).toBe(1);
    await store.delete(nameOf(2));
    expect(store.bytes).toBe(SIZE);
    expect((await readdir(join(directory, 'segments'))).sort()).toEqual(['live@other', 'live@test']);
  });

  it('in whose place there is a file is used again when that is gone', async () => {
    const directory = join(await temporaryDirectory(), 'store');
    const store = makeStore(directory);
    await writeFile(directory, '');
    expect(['ENOTDIR', 'EEXIST']).toContain(await rejection(store.put(nameOf(1), body(SIZE))));
    await rm(directory);
    await store.put(nameOf(2), body(SIZE, 2));
    expect(await whole(store, 2)).toBe(true);
  });
});

describe('a disk', () => {
  it.each(['EIO', 'ENOSPC', 'EROFS', 'EMFILE', 'EACCES'])(
    'that fails with %s anywhere keeps its books right and works again after that',
    async (code) => {
      const step = fc.record({
        action: fc.constantFrom('put', 'get', 'delete'),
        n: fc.nat(4),
        broken: fc.constantFrom('none', 'none', 'writeFile', 'rename', 'readFile', 'unlink', 'mkdir'),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
          const directory = await temporaryDirectory();
          let broken = 'none';
          const fs = faultyFs((operation) => (operation === broken ? systemError(code) : null));
          const store = makeStore(directory, { fs, cacheBytes: 25 });
          const held = new Set<number>();
          for (const step of steps) {
            broken = step.broken;
            const name = nameOf(step.n);
            if (step.action === 'put') {
              if ((await rejection(store.put(name, body(10, step.n)))) === undefined) held.add(step.n);
            } else if (step.action === 'delete') {
              if ((await rejection(store.delete(name))) === undefined) held.delete(step.n);
            } else {
              await rejection(store.get(name));
            }
            expect(store.bytes).toBe(10 * held.size);
          }
          broken = 'none';
          for (const n of [0, 1, 2, 3, 4]) {
            const expected = held.has(n) ? Buffer.alloc(10, n) : null;
            const found = await bytesOf(store.get(nameOf(n)));
            expect(found).toEqual(expected);
          }
          await store.put(nameOf(9), body(10, 9));
          const next = makeStore(directory);
          await next.open();
          expect(next.bytes).toBe(store.bytes);
          await rm(directory, { recursive: true });
        }),
        { numRuns: 40 },
      );
    },
  );

  it('that fails to rename leaves no unfinished file', async () => {
    const directory = await temporaryDirectory();
    const fs = faultyFs((operation) => (operation === 'rename' ? systemError('EIO') : null));
    expect(await rejection(makeStore(directory, { fs }).put(nameOf(1), body(10)))).toBe('EIO');
    expect(await unfinished(directory)).toEqual([]);
  });

  it('whose process is killed between writing and renaming shows no half segment', async () => {
    const directory = await temporaryDirectory();
    const renaming = makeGate();
    const fs = faultyFs((operation) => {
      if (operation !== 'rename') return null;
      renaming.open();
      return new Promise(() => {});
    });
    void makeStore(directory, { fs }).put(nameOf(1), body(SIZE));
    await renaming.closed;
    const store = makeStore(directory);
    await store.open();
    expect([store.bytes, await store.get(nameOf(1))]).toEqual([0, null]);
    expect(await unfinished(directory)).toHaveLength(1);
    const now = Date.now() + 3_600_000;
    expect(await store.sweep({ keep: () => true, olderThanMs: 60_000, now })).toMatchObject({ files: 1 });
    expect(await readdir(join(directory, 'segments'))).toEqual([]);
  });

  it('that does not answer one write serves the others, and what it writes too late is removed', async () => {
    const directory = await temporaryDirectory();
    const gate = makeGate();
    const removed = makeGate();
    const fs: DiskFs = {
      ...faultyFs((operation, path) =>
        operation === 'rename' && path.includes('stuck') ? gate.closed : null,
      ),
      unlink: async (path) => {
        await diskFs.unlink(path);
        removed.open();
      },
    };
    const clock = new FakeClock();
    const store = makeStore(directory, { fs, clock });
    const stuck = rejection(store.put('live@stuck/a.ts', body(SIZE)));
    expect(await fill(store, 1)).toMatchObject({ code: undefined });
    clock.advance(15_000);
    expect(await stuck).toBe('SLUICE_STORE_BUSY');
    expect(store.waitingBytes).toBe(SIZE);
    gate.open();
    await removed.closed;
    // Two places for three deletions: the last one shows that the place is free again.
    await Promise.all([1, 2, 3].map((n) => store.delete(nameOf(n))));
    expect(await store.get('live@stuck/a.ts')).toBeNull();
    expect([store.waitingBytes, store.bytes]).toEqual([0, 47 * SIZE]);
  });

  it('that answers nothing holds a bounded amount of memory and is used again when it answers', async () => {
    const directory = await temporaryDirectory();
    const gate = makeGate();
    const clock = new FakeClock();
    const store = makeStore(directory, {
      clock,
      fs: faultyFs((operation) => (operation === 'writeFile' ? gate.closed : null)),
    });
    const puts = Array.from({ length: 100 }, (_, n) => rejection(store.put(nameOf(n), body(MB))));
    expect(store.waitingBytes).toBe(64 * MB);
    expect((await Promise.all(puts.slice(64))).every((code) => code === 'SLUICE_STORE_BUSY')).toBe(true);
    clock.advance(15_000);
    expect((await Promise.all(puts)).every((code) => code === 'SLUICE_STORE_BUSY')).toBe(true);
    expect(store.waitingBytes).toBe(2 * MB);
    gate.open();
    await store.put(nameOf(200), body(SIZE, 200));
    expect(await whole(store, 200)).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
