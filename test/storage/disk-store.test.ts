import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DiskFs, diskFs } from '../../src/storage/disk-fs.ts';
import { openDiskStore } from '../../src/storage/disk-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { bytesOf } from '../support/segment-bytes.ts';
import { body, faultyFs, MB, makeStore, rejection, systemError } from './support/disk.ts';
import { temporaryDirectory } from './support/folder.ts';
import { makeGate } from './support/gate.ts';

describe('DiskStore', () => {
  it('keeps segments in plain files that a new process finds again', async () => {
    const directory = await temporaryDirectory();
    const store = makeStore(directory);
    await store.put('live@test/a-1.ts', body(100, 7));
    await store.put('live@test/a-2.ts', body(50, 8));
    const path = join(directory, 'segments/live@test/a-1.ts');
    expect(await readFile(path)).toEqual(Buffer.alloc(100, 7));
    // As far as the umask of whoever runs the tests allows.
    expect((await stat(path)).mode & 0o133).toBe(0);
    expect(store.bytes).toBe(150);

    const next = makeStore(directory);
    await next.open();
    expect(next.bytes).toBe(150);
    expect(next.sizeOf('live@test/a-2.ts')).toBe(50);
    expect(next.sizeOf('live@test/a-3.ts')).toBeNull();
    expect(await bytesOf(next.get('live@test/a-2.ts'))).toEqual(Buffer.alloc(50, 8));
    expect(await readdir(join(directory, 'segments'))).toEqual(['live@test']);
  });

  it('deletes a segment, with its folder when it was the last one', async () => {
    const directory = await temporaryDirectory();
    const store = makeStore(directory, { cacheBytes: MB });
    await store.put('live@test/a-1.ts', body(10));
    await store.put('live@test/a-2.ts', body(10));
    await store.delete('live@test/a-1.ts');
    expect(await store.get('live@test/a-1.ts')).toBeNull();
    expect(store.bytes).toBe(10);
    await store.delete('live@test/a-2.ts');
    await store.delete('live@test/a-2.ts');
    expect(store.bytes).toBe(0);
    expect(await readdir(join(directory, 'segments'))).toEqual([]);
  });

  it.each([
    'a.ts',
    '/a.ts',
    'live@test/',
    'live@test/a.txt',
    'live@test/.a.ts',
    'live@test/../a.ts',
    '../live/a.ts',
    '..//a.ts',
    './a.ts',
    'live@test/a\0.ts',
    'live/test/a.ts',
    `live@test/${'a'.repeat(130)}.ts`,
  ])('has nothing under %j and writes nothing there', async (name) => {
    const directory = await temporaryDirectory();
    const store = makeStore(directory);
    expect(await rejection(store.put(name, body(1)))).toBe('SLUICE_INTERNAL');
    expect(await store.get(name)).toBeNull();
    await store.delete(name);
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses what is beyond its size, also while writes are under way, and takes more when there is room', async () => {
    const store = makeStore(await temporaryDirectory(), { maxBytes: 100 });
    const outcomes = await Promise.all(
      [1, 2, 3].map((n) => rejection(store.put(`live@test/a-${n}.ts`, body(40)))),
    );
    expect(outcomes).toEqual([undefined, undefined, 'SLUICE_STORE_FULL']);
    expect(store.bytes).toBe(80);
    await store.delete('live@test/a-1.ts');
    await store.put('live@test/a-4.ts', body(60));
    expect(store.bytes).toBe(100);
  });

  it('reads what is wanted at the same time once, and what was used last not at all', async () => {
    const reads: string[] = [];
    const fs = faultyFs((operation, path) => {
      if (operation === 'readFile') reads.push(path.slice(-6));
      return null;
    });
    const directory = await temporaryDirectory();
    const store = makeStore(directory, { cacheBytes: 250, fs });
    for (const n of [1, 2, 3]) await store.put(`live@test/a-${n}.ts`, body(100, n));
    expect(store.cachedBytes).toBe(200);
    await store.get('live@test/a-3.ts');
    await store.get('live@test/a-2.ts');
    expect(reads).toEqual([]);
    const [first, second] = await Promise.all([
      bytesOf(store.get('live@test/a-1.ts')),
      bytesOf(store.get('live@test/a-1.ts')),
    ]);
    expect(reads).toEqual(['a-1.ts']);
    expect(first).toEqual(Buffer.alloc(100, 1));
    expect(second).toEqual(first);
    expect(await bytesOf(store.get('live@test/a-1.ts'))).toEqual(first);
    expect(reads).toEqual(['a-1.ts']);
    // Segment 3 had to make room, 2 was used later.
    await store.get('live@test/a-2.ts');
    await store.get('live@test/a-3.ts');
    expect(reads).toEqual(['a-1.ts', 'a-3.ts']);
    expect(store.cachedBytes).toBeLessThanOrEqual(250);
  });

  it('does not bring back what is deleted while it is read', async () => {
    const [read, deleted] = [makeGate(), makeGate()];
    const fs: DiskFs = {
      ...diskFs,
      readFile: async (path) => {
        const data = await diskFs.readFile(path);
        read.open();
        await deleted.closed;
        return data;
      },
    };
    const directory = await temporaryDirectory();
    await makeStore(directory).put('live@test/a.ts', body(10));
    const store = makeStore(directory, { cacheBytes: MB, fs });
    await store.open();
    const reading = store.get('live@test/a.ts');
    await read.closed;
    await store.delete('live@test/a.ts');
    deleted.open();
    expect((await reading)?.copyOut()).toEqual(Buffer.alloc(10, 1));
    expect(await store.get('live@test/a.ts')).toBeNull();
    expect([store.bytes, store.cachedBytes]).toEqual([0, 0]);
  });

  it('does not serve a file that a power cut has shortened', async () => {
    const directory = await temporaryDirectory();
    const store = makeStore(directory);
    await store.put('live@test/a.ts', body(10));
    await writeFile(join(directory, 'segments/live@test/a.ts'), Buffer.alloc(4, 1));
    expect(await store.get('live@test/a.ts')).toBeNull();
    const next = makeStore(directory);
    await next.open();
    expect(next.sizeOf('live@test/a.ts')).toBe(4);
  });

  it('learns what the process before it wrote last', async () => {
    const directory = await temporaryDirectory();
    const [before, after] = [makeStore(directory), makeStore(directory)];
    await after.open();
    await before.put('live@test/a.ts', body(10));
    expect(after.sizeOf('live@test/a.ts')).toBeNull();
    expect(await bytesOf(after.get('live@test/a.ts'))).toEqual(Buffer.alloc(10, 1));
    await after.refresh();
    expect([after.sizeOf('live@test/a.ts'), after.bytes]).toEqual([10, 10]);
  });

  it('writes playlists whole, the newest last', async () => {
    const directory = await temporaryDirectory();
    const writes: string[] = [];
    const fs = faultyFs((operation) => {
      if (operation === 'rename') writes.push(operation);
      return null;
    });
    const store = makeStore(directory, { fs });
    for (let n = 1; n <= 20; n++) store.putPlaylist('live@test/media.m3u8', `version ${n}`);
    await store.settled();
    const path = join(directory, 'segments/live@test');
    expect(await readFile(join(path, 'media.m3u8'), 'utf8')).toBe('version 20');
    // The first, which was under way, and the newest.
    expect(writes).toHaveLength(2);
    expect(store.bytes).toBe(0);
    await store.deletePlaylist('live@test/media.m3u8');
    expect(await readdir(join(directory, 'segments'))).toEqual([]);
    expect(() => store.putPlaylist('live@test/../../x.m3u8', '')).toThrow('no name of a playlist');
  });
});

describe('openDiskStore', () => {
  const options = { maxBytes: null, cacheBytes: 0, clock: new FakeClock(), onPlaylistError: () => {} };

  it('makes the directory and leaves no trace of its attempt', async () => {
    const directory = join(await temporaryDirectory(), 'a/b');
    await openDiskStore({ ...options, directory });
    expect(await readdir(directory, { recursive: true })).toEqual(['segments']);
  });

  it('says what is wrong with a directory', async () => {
    const directory = join(await temporaryDirectory(), 'file');
    await writeFile(directory, '');
    const opening = openDiskStore({ ...options, directory });
    await expect(opening).rejects.toMatchObject({
      code: 'SLUICE_STORE_UNUSABLE',
      message: expect.stringContaining(`${directory}/segments`),
    });
    const fs = faultyFs((operation) => (operation === 'writeFile' ? systemError('EROFS') : null));
    const readOnly = openDiskStore({ ...options, directory: await temporaryDirectory(), fs });
    await expect(readOnly).rejects.toMatchObject({
      code: 'SLUICE_STORE_UNUSABLE',
      message: expect.stringContaining('EROFS'),
    });
  });
});

describe('a sweep', () => {
  const NOW = 2_000_000_000_000;
  const MINUTE = 60_000;

  /** Files and their ages in minutes. */
  async function filled(ages: Record<string, number>): Promise<string> {
    const directory = await temporaryDirectory();
    for (const [name, age] of Object.entries(ages)) {
      const path = join(directory, name);
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, 'x');
      await utimes(path, (NOW - age * MINUTE) / 1000, (NOW - age * MINUTE) / 1000);
    }
    return directory;
  }

  async function filesIn(directory: string): Promise<string[]> {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
      .sort();
  }

  it('takes what a killed process left, and only that', async () => {
    const directory = await filled({
      'segments/live@test/kept.ts': 60,
      'segments/live@test/media.m3u8': 60,
      'segments/live@test/unknown.ts': 60,
      'segments/live@test/new.ts': 1,
      'segments/live@test/.old.ts.00c0ffee.tmp': 60,
      'segments/live@test/.new.ts.00c0ffee.tmp': 1,
      'segments/live@gone/a.ts': 60,
      'segments/live@gone/media.m3u8': 60,
    });
    await mkdir(join(directory, 'segments/live@empty'));
    const store = makeStore(directory);
    await store.open();
    expect(store.bytes).toBe(4);
    const keep = (name: string) => name === 'live@test/kept.ts';
    expect(await store.sweep({ keep, olderThanMs: 10 * MINUTE, now: NOW })).toEqual({
      files: 4,
      bytes: 4,
      failed: 0,
    });
    expect(await filesIn(directory)).toEqual([
      'segments/live@test/.new.ts.00c0ffee.tmp',
      'segments/live@test/kept.ts',
      'segments/live@test/media.m3u8',
      'segments/live@test/new.ts',
    ]);
    expect(await readdir(join(directory, 'segments'))).toEqual(['live@test']);
    expect(store.bytes).toBe(2);
  });

  it('leaves alone what is not its own, and what links point to', async () => {
    const directory = await filled({
      'other/a.ts': 60,
      'segments/a.ts': 60,
      'segments/live@test/notes.txt': 60,
      'segments/live@test/.hidden': 60,
      'segments/live@test/deep/a.ts': 60,
      'segments/.trash/a.ts': 60,
      'segments/lost found/a.ts': 60,
    });
    await symlink(join(directory, 'other'), join(directory, 'segments/live@link'));
    await symlink(join(directory, 'other/a.ts'), join(directory, 'segments/live@test/link.ts'));
    const before = await filesIn(directory);
    const store = makeStore(directory);
    await store.open();
    expect(store.bytes).toBe(0);
    expect(await store.sweep({ keep: () => false, olderThanMs: 0, now: NOW })).toEqual({
      files: 0,
      bytes: 0,
      failed: 0,
    });
    expect(await filesIn(directory)).toEqual(before);
  });

  it('counts what it could not delete and gets it the next time', async () => {
    const directory = await filled({ 'segments/live@test/a.ts': 60, 'segments/live@test/b.ts': 60 });
    let broken = true;
    const fs = faultyFs((operation, path) =>
      broken && operation === 'unlink' && path.endsWith('a.ts') ? systemError('EIO') : null,
    );
    const store = makeStore(directory, { fs });
    await store.open();
    const options = { keep: () => false, olderThanMs: 0, now: NOW };
    expect(await store.sweep(options)).toEqual({ files: 1, bytes: 1, failed: 1 });
    expect(store.bytes).toBe(1);
    broken = false;
    expect(await store.sweep(options)).toEqual({ files: 1, bytes: 1, failed: 0 });
    expect(store.bytes).toBe(0);
  });

  it('does nothing where the directory is gone', async () => {
    const directory = await temporaryDirectory();
    const store = makeStore(directory);
    await store.open();
    await rm(directory, { recursive: true });
    expect(await store.sweep({ keep: () => false, olderThanMs: 0, now: NOW })).toMatchObject({ files: 0 });
  });
});
