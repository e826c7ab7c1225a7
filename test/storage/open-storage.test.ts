import { mkdir, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { StreamState } from '../../src/packaging/rendition-state.ts';
import { openStorage, type Storage, type StorageOptions } from '../../src/storage/open-storage.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { bytesOf } from '../support/segment-bytes.ts';
import { body, rejection } from './support/disk.ts';
import { temporaryDirectory } from './support/folder.ts';
import { streamState } from './support/state.ts';

const NOW = 1_700_000_000_000;

function rig(options: Partial<StorageOptions> = {}) {
  const log: string[] = [];
  const fileErrors: string[] = [];
  const write = (_fields: Record<string, unknown>, message: string) => {
    log.push(message);
  };
  const clock = new FakeClock(NOW);
  const open = (more: Partial<StorageOptions> = {}): Promise<Storage> =>
    openStorage({
      type: 'disk',
      maxAge: 3600,
      clock,
      systemTime: () => clock.now(),
      onFileError: (kind, path) => fileErrors.push(`${kind} ${path}`),
      log: { info: write, warn: write },
      ...options,
      ...more,
    });
  return { clock, log, fileErrors, open };
}

/** A stream whose segments are all on the disk. */
async function writeStream(storage: Storage, state: StreamState = streamState()): Promise<StreamState> {
  for (const { uri, bytes } of [...(state.rendition?.segments ?? []), ...(state.rendition?.retired ?? [])])
    await storage.store.put(`live@test/${uri}`, body(bytes));
  await storage.journal?.save('live@test', state);
  // Whatever the state says of its date.
  return { ...state, savedAt: NOW };
}

it('memory without a directory remembers nothing', async () => {
  const { open } = rig({ type: 'memory' });
  const storage = await open();
  expect(storage).toMatchObject({ persistent: false, journal: null, playlistFiles: null, states: [] });
  await storage.release();
});

it('memory with a directory remembers states, and needs it for itself no more than that', async () => {
  const { open } = rig({ type: 'memory', directory: await temporaryDirectory() });
  const [first, second] = [await open(), await open()];
  const state = await writeStream(first, streamState({ rendition: null }));
  await first.release();
  expect(second.states).toEqual([]);
  const third = await open();
  expect(third.states).toEqual([state]);
  expect(third.persistent).toBe(false);
});

it('memory with a directory leaves its segments to the next process, and takes them out of it', async () => {
  const directory = await temporaryDirectory();
  const { open } = rig({ type: 'memory', directory });
  const first = await open();
  const state = await writeStream(first);
  expect(await first.handOver(4999.9)).toBe(true);
  await first.release();
  const second = await open();
  expect(second.states).toEqual([state]);
  expect(second.store.bytes).toBe(first.store.bytes);
  expect(await bytesOf(second.store.get('live@test/s-9.ts'))).toHaveLength(700);
  expect(await readdir(join(directory, 'segments'))).toEqual([]);
  // Of what does not go on nothing stays in memory.
  second.startCleaning((name) => name.endsWith('s-12.ts'));
  expect(second.store.bytes).toBe(1000);
  // It did not get to leave anything: the state is still there.
  const third = await open();
  expect(third.states).toEqual([{ ...state, rendition: null }]);
});

it('memory that is too small for what was left takes no half playlists', async () => {
  const { open } = rig({ type: 'memory', directory: await temporaryDirectory() });
  const first = await open();
  const state = await writeStream(first);
  await first.handOver(5000);
  await first.release();
  const second = await open({ maxBytes: 2500 });
  expect(second.states).toEqual([{ ...state, rendition: null }]);
  second.startCleaning(() => false);
  expect(second.store.bytes).toBe(0);
});

it('memory leaves nothing where it cannot, and says so', async () => {
  const { open, log } = rig({ type: 'memory' });
  const storage = await open({ directory: '/dev/null/no' });
  await storage.store.put('live@test/s-1.ts', body(10));
  log.length = 0;
  expect(await storage.handOver(5000)).toBe(false);
  expect(log).toEqual(['the next process cannot go on with the segments: playlists end']);
});

it('memory that is told to end has no time: nothing is left half', async () => {
  const directory = await temporaryDirectory();
  const { open, log } = rig({ type: 'memory', directory });
  const storage = await open();
  await writeStream(storage);
  expect(await storage.handOver(0)).toBe(false);
  expect(log).toEqual(['the next process cannot go on with the segments: playlists end']);
  expect(await readdir(join(directory, 'segments'))).toEqual([]);
});

it('memory that the disk does not take leaves nothing half', async () => {
  const directory = await temporaryDirectory();
  const { open, log } = rig({ type: 'memory', directory });
  const storage = await open();
  await writeStream(storage);
  const inTheWay = join(directory, 'segments/live@test/s-12.ts');
  await mkdir(inTheWay, { recursive: true });
  expect(await storage.handOver(5000)).toBe(false);
  expect(log).toEqual(['the next process cannot go on with the segments: playlists end']);
  expect(await readdir(join(directory, 'segments/live@test'))).toEqual(['s-12.ts']);
});

it('memory cleans up after a process that was killed while it left its segments', async () => {
  const directory = await temporaryDirectory();
  const { open, log } = rig({ type: 'memory', directory });
  const first = await open();
  const state = await writeStream(first);
  await first.handOver(5000);
  await first.journal?.save('live@test', { ...state, rendition: null });
  const second = await open();
  expect(second.states).toMatchObject([{ rendition: null }]);
  expect(second.store.bytes).toBe(0);
  expect(await readdir(join(directory, 'segments'))).toEqual([]);
  expect(log).toEqual([]);
});

it('memory goes on with the streams whose files it can read', async () => {
  const directory = await temporaryDirectory();
  const { open, log } = rig({ type: 'memory', directory });
  const first = await open();
  const whole = await writeStream(first);
  await first.store.put('live@other/s-1.ts', body(10));
  const { rendition } = whole;
  if (rendition === null) throw new Error('no rendition');
  const segments = [{ ...rendition.segments[0], uri: 's-1.ts', bytes: 10 }] as typeof rendition.segments;
  const other = { ...whole, name: 'other', rendition: { ...rendition, segments, retired: [] } };
  await first.journal?.save('live@other', other);
  await first.handOver(5000);
  const file = join(directory, 'segments/live@other/s-1.ts');
  await unlink(file);
  await mkdir(file);
  const second = await open();
  expect(new Map(second.states.map((state) => [state.name, state.rendition]))).toEqual(
    new Map([
      ['test', whole.rendition],
      ['other', null],
    ]),
  );
  expect(log).toEqual(['the segments of the last process cannot be taken over']);
  second.startCleaning(() => false);
  expect(second.store.bytes).toBe(0);
});

it('memory touches nothing of a process that keeps segments in the same directory', async () => {
  const directory = await temporaryDirectory();
  const { open, log } = rig({ directory });
  const disk = await open();
  const state = await writeStream(disk);
  const memory = await open({ type: 'memory' });
  expect(memory.states).toEqual([{ ...state, rendition: null }]);
  expect(log).toEqual(['the segments of the last process cannot be taken over']);
  await memory.store.put('live@test/s-1.ts', body(10));
  expect(await memory.handOver(5000)).toBe(false);
  expect(await readdir(join(directory, 'segments/live@test'))).toHaveLength(4);
  await disk.release();
});

it('renditions go on each for itself: one with a segment missing begins anew', async () => {
  const directory = await temporaryDirectory();
  const { open } = rig({ directory });
  const first = await open();
  const whole = streamState();
  const { rendition } = whole;
  if (rendition === null) throw new Error('no rendition');
  const aligned = ['160p', '240p'].map((name) => ({
    ...rendition,
    name,
    retired: [],
    segments: rendition.segments.map((one) => ({ ...one, uri: `${name}-${one.uri}` })),
  }));
  for (const { uri, bytes } of aligned.flatMap(({ segments }) => segments))
    await first.store.put(`live@test/${uri}`, body(bytes));
  const state = await writeStream(first, { ...whole, aligned });
  await first.release();
  await unlink(join(directory, 'segments/live@test/160p-s-11.ts'));
  const second = await open();
  expect(second.states).toEqual([{ ...state, aligned: aligned.slice(1) }]);
  await second.release();
});

it('the disk gives back what the last process had', async () => {
  const { open } = rig({ directory: await temporaryDirectory() });
  const first = await open();
  expect(first).toMatchObject({ persistent: true, states: [] });
  const state = await writeStream(first);
  await first.release();
  const second = await open();
  expect(second.states).toEqual([state]);
  expect(await bytesOf(second.store.get('live@test/s-9.ts'))).toHaveLength(700);
  await second.release();
});

it('a stream with a segment missing or cut short keeps its numbers only', async () => {
  for (const damage of ['missing', 'short']) {
    const directory = await temporaryDirectory();
    const { open } = rig({ directory });
    const first = await open();
    const state = await writeStream(first);
    await first.release();
    const file = join(directory, 'segments/live@test/s-11.ts');
    await (damage === 'missing' ? unlink(file) : writeFile(file, 'x'));
    const second = await open();
    expect(second.states, damage).toEqual([{ ...state, rendition: null }]);
    await second.release();
  }
});

it('a retired segment that is missing is nobody’s loss', async () => {
  const directory = await temporaryDirectory();
  const { open } = rig({ directory });
  const first = await open();
  const state = await writeStream(first);
  await first.release();
  await unlink(join(directory, 'segments/live@test/s-9.ts'));
  const second = await open();
  expect(second.states).toEqual([state]);
  await second.release();
});

it('a damaged state is set aside with a warning, and the others are there', async () => {
  const directory = await temporaryDirectory();
  const { open, log } = rig({ directory });
  const first = await open();
  const other = streamState({ name: 'other', rendition: null, savedAt: NOW });
  await writeStream(first);
  await first.journal?.save('live@other', other);
  await first.release();
  const file = join(directory, 'state/live@test.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('"end":90000123', '"end":90000124'));
  const second = await open();
  expect(second.states).toEqual([other]);
  expect(log).toEqual(['a state file is not usable; it was set aside and its stream begins anew']);
  expect(await readdir(join(directory, 'state'))).toContain('live@test.json.corrupt-1');
  await second.release();
});

it('numbers are forgotten after a day', async () => {
  const directory = await temporaryDirectory();
  const { open, clock } = rig({ directory });
  const first = await open();
  const state = await writeStream(first, streamState({ savedAt: NOW, rendition: null }));
  await first.release();
  clock.advance(24 * 3600 * 1000);
  const second = await open();
  expect(second.states).toEqual([state]);
  await second.release();
  clock.advance(1);
  const third = await open();
  expect(third.states).toEqual([]);
  await third.release();
  expect(await readdir(join(directory, 'state'))).toEqual([]);
});

it('states have the date of the clock that the next process has', async () => {
  const { open, clock } = rig({ directory: await temporaryDirectory() });
  const stepped = NOW + 3_600_000;
  const first = await open({ systemTime: () => stepped });
  await writeStream(first);
  await first.release();
  expect(clock.now()).toBe(NOW);
  const second = await open({ systemTime: () => stepped });
  expect(second.states.map(({ savedAt }) => savedAt)).toEqual([stepped]);
  await second.release();
});

it('one process at a time; the next one hears when it is alone, before anything is read', async () => {
  const { open, log } = rig({ directory: await temporaryDirectory() });
  const order: string[] = [];
  const first = await open();
  const second = open({
    onOwned: async () => {
      order.push('owned');
    },
  });
  await expect.poll(() => log.at(-1)).toBe('waiting for the process that has the directory');
  const state = await writeStream(first);
  order.push('released');
  await first.release();
  const storage = await second;
  expect(order).toEqual(['released', 'owned']);
  expect(storage.states).toEqual([state]);
  await storage.release();
});

it('writes no state after the release, when the files belong to the next process', async () => {
  const { open } = rig({ directory: await temporaryDirectory() });
  const first = await open();
  const state = await writeStream(first);
  await first.release();
  await first.journal?.save('live@test', { ...state, rendition: null });
  await first.journal?.remove('live@test');
  await first.settled();
  const second = await open();
  expect(second.states).toEqual([state]);
  await second.release();
});

it('what goes wrong on the way lets go of the directory', async () => {
  const { open } = rig({ directory: await temporaryDirectory() });
  const failing = open({ onOwned: () => Promise.reject(new Error('the port is taken')) });
  expect(await rejection(failing)).toMatchObject({ message: 'the port is taken' });
  const storage = await open();
  await storage.release();
});

it.each(['memory', 'disk'] as const)(
  'counts every attempt at a file that fails, and tells it once until it works again: %s',
  async (type) => {
    const directory = await temporaryDirectory();
    const { open, fileErrors } = rig({ type, directory });
    const storage = await open();
    const path = { state: 'state/live@test.json', playlist: 'segments/live@test/media.m3u8' };
    // Nothing can be written where a directory is.
    for (const file of Object.values(path))
      await mkdir(join(directory, file, 'in the way'), { recursive: true });
    const write = async () => {
      await storage.journal?.save('live@test', streamState());
      storage.playlistFiles?.putPlaylist('live@test/media.m3u8', '#EXTM3U');
      await storage.settled();
    };
    await write();
    await write();
    const playlist = type === 'disk' ? 1 : 0;
    expect(storage.fileErrors()).toEqual({ state: 2, playlist: 2 * playlist });
    const told = [`state ${join(directory, path.state)}`, `playlist ${join(directory, path.playlist)}`];
    expect(fileErrors).toEqual(told.slice(0, 1 + playlist));
    for (const file of Object.values(path)) await rm(join(directory, file), { recursive: true });
    await write();
    expect(storage.fileErrors()).toEqual({ state: 2, playlist: 2 * playlist });
    expect(await readFile(join(directory, path.state), 'utf8')).toContain('live');
    await storage.release();
  },
);

it('deletes what belongs to no stream when it is old enough', async () => {
  const { open, clock } = rig({ directory: await temporaryDirectory() });
  clock.advance(Date.now() - NOW);
  const storage = await open();
  for (const name of ['s-1.ts', 's-2.ts']) await storage.store.put(`live@test/${name}`, body(10));
  storage.startCleaning((name) => name.endsWith('s-1.ts'));
  clock.advance(60_000);
  await expect.poll(() => storage.store.bytes).toBe(20);
  for (let minute = 0; minute < 65; minute++) {
    clock.advance(60_000);
    await storage.settled();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect
    .poll(() => {
      clock.advance(60_000);
      return storage.store.bytes;
    })
    .toBe(10);
  expect(await storage.store.get('live@test/s-1.ts')).not.toBeNull();
  await storage.release();
  expect(clock.pending).toBe(0);
});

it('what a killed process left goes within a minute where new segments need the room', async () => {
  const { open, clock } = rig({ directory: await temporaryDirectory(), maxBytes: 1000 });
  clock.advance(Date.now() - NOW);
  const first = await open();
  for (const name of ['s-1.ts', 's-2.ts', 's-3.ts']) await first.store.put(`live@test/${name}`, body(200));
  await first.release();
  clock.advance(61_000);
  const second = await open();
  expect(second.store.bytes).toBe(600);
  second.startCleaning((name) => name.endsWith('s-1.ts'));
  await expect.poll(() => second.store.bytes).toBe(200);
  // With room enough again files have their time.
  await second.store.put('live@test/s-4.ts', body(10));
  await expect.poll(() => clock.pending).toBe(1);
  clock.advance(300_000);
  await expect.poll(() => clock.pending).toBe(1);
  expect(second.store.bytes).toBe(210);
  await second.release();
  expect(clock.pending).toBe(0);
});
