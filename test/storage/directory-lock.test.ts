import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type DirectoryLock, lockDirectory } from '../../src/storage/directory-lock.ts';
import { rejection } from './support/disk.ts';
import { temporaryDirectory } from './support/folder.ts';
import { makeGate } from './support/gate.ts';

const LONG_MS = 20_000;

async function lock(directory: string, patienceMs = LONG_MS): Promise<DirectoryLock> {
  const taken = await lockDirectory(directory, patienceMs);
  onTestFinished(() => taken.release());
  return taken;
}

/** What a process leaves that had the lock and was killed. */
async function killHolder(directory: string): Promise<void> {
  const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', script, join(directory, 'lock.sock')]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(await readdir(directory)).toContain('lock.sock');
}

it('makes the directory, and leaves nothing in it when it is released', async () => {
  const directory = join(await temporaryDirectory(), 'a/b');
  const taken = await lock(directory);
  expect(await readdir(directory)).toEqual(['lock.sock']);
  await taken.release();
  await taken.release();
  expect(await readdir(directory)).toEqual([]);
});

it('one process at a time: the second gives up when its patience is over', async () => {
  const directory = await temporaryDirectory();
  await lock(directory);
  expect(await rejection(lock(directory, 0))).toBe('SLUICE_STORE_IN_USE');
  const begun = performance.now();
  expect(await rejection(lock(directory, 100))).toBe('SLUICE_STORE_IN_USE');
  expect(performance.now() - begun).toBeGreaterThan(95);
  // Other directories have nothing to do with it.
  await lock(await temporaryDirectory(), 0);
});

it('who waits has it as soon as it is released', async () => {
  const directory = await temporaryDirectory();
  const first = await lock(directory);
  const order: string[] = [];
  const waits = makeGate();
  const second = lockDirectory(directory, LONG_MS, () => {
    order.push('waits');
    waits.open();
  }).then((taken) => {
    order.push('taken');
    return taken;
  });
  await waits.closed;
  order.push('released');
  const releasedAt = performance.now();
  await first.release();
  await (await second).release();
  expect(performance.now() - releasedAt).toBeLessThan(LONG_MS / 4);
  expect(order).toEqual(['waits', 'released', 'taken']);
});

it('a queue of processes gets it one after the other', async () => {
  const directory = await temporaryDirectory();
  let holders = 0;
  let most = 0;
  const turns = Array.from({ length: 8 }, async () => {
    const taken = await lockDirectory(directory, LONG_MS);
    most = Math.max(most, ++holders);
    await new Promise((resolve) => setImmediate(resolve));
    holders--;
    await taken.release();
  });
  await Promise.all(turns);
  expect(most).toBe(1);
});

it('a process that was killed holds nothing', async () => {
  const directory = await temporaryDirectory();
  await killHolder(directory);
  await lock(directory, 2000);
  expect(await readdir(directory)).toEqual(['lock.sock']);
});

it('of several that find what a killed process left only one gets it', async () => {
  for (let round = 0; round < 5; round++) {
    const directory = await temporaryDirectory();
    await killHolder(directory);
    const attempts = await Promise.allSettled(Array.from({ length: 6 }, () => lockDirectory(directory, 300)));
    const holders = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    for (const holder of holders) onTestFinished(() => holder.release());
    expect(holders).toHaveLength(1);
    expect(await readdir(directory)).toEqual(['lock.sock']);
    expect(await rejection(lock(directory, 0))).toBe('SLUICE_STORE_IN_USE');
  }
});

it('a file of that name is in nobody’s way', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'lock.sock'), '');
  await lock(directory, 2000);
});

it.runIf(process.platform === 'linux')('works however long the path is', async () => {
  const parent = join(await temporaryDirectory(), 'd'.repeat(60), 'e'.repeat(60));
  const [one, other] = [join(parent, 'f'.repeat(60)), join(parent, 'g'.repeat(60))];
  const taken = await lock(one, 0);
  // Systems that cut paths off would take these for the same.
  await lock(other, 0);
  expect(await rejection(lock(one, 0))).toBe('SLUICE_STORE_IN_USE');
  expect(await readdir(one)).toEqual(['lock.sock']);
  expect(await readdir(dirname(parent))).toEqual(['e'.repeat(60)]);
  await taken.release();
  expect(await readdir(one)).toEqual([]);
  await lock(one, 0);
});

it('says what is wrong with a directory that cannot be used', async () => {
  const directory = await temporaryDirectory();
  const file = join(directory, 'file');
  await writeFile(file, '');
  for (const path of [file, join(file, 'below')]) {
    expect(await rejection(lock(path))).toBe('SLUICE_STORE_UNUSABLE');
    await expect(lock(path)).rejects.toThrow(path);
  }
});

it.skipIf(process.getuid?.() === 0)('does not try for ever where it may not write', async () => {
  const directory = await temporaryDirectory();
  await killHolder(directory);
  await chmod(directory, 0o500);
  onTestFinished(() => chmod(directory, 0o700));
  expect(await rejection(lock(directory, 500))).toBe('SLUICE_STORE_UNUSABLE');
});

it('a directory that vanished while it was held can be released', async () => {
  const directory = await temporaryDirectory();
  const taken = await lock(directory);
  await rm(directory, { recursive: true });
  await mkdir(directory);
  await taken.release();
  await lock(directory, 0);
});
