import { mkdir, mkdtemp, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { watchConfigFile } from '../../src/config/watch.ts';
import { makeGate } from '../storage/support/gate.ts';

const ERRORS_ARE_FAULTS = (error: unknown) => expect.unreachable(String(error));

/** A folder with a watched file in it, and what was read of it at each change. */
async function watched(prepare: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-watch-'));
  await prepare(folder);
  const file = join(folder, 'sluice.yaml');
  const seen: string[] = [];
  const ready = makeGate();
  const stop = watchConfigFile(file, {
    onChange: () => {
      readFile(file, 'utf8').then(
        (text) => seen.push(text),
        () => seen.push('gone'),
      );
    },
    onError: ERRORS_ARE_FAULTS,
    onReady: ready.open,
  });
  onTestFinished(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  await ready.closed;
  const sees = (text: string) => expect.poll(() => seen.at(-1), { timeout: 10_000 }).toBe(text);
  return { folder, file, seen, sees, stop };
}

const plain = async (folder: string) => writeFile(join(folder, 'sluice.yaml'), 'first');

it('sees writes into the file, also several in a row, when they are over', async () => {
  const { file, seen, sees } = await watched(plain);
  await writeFile(file, 'second');
  await sees('second');
  for (const text of ['a', 'ab', 'abc']) await writeFile(file, text);
  await sees('abc');
  expect(seen.length).toBeLessThan(5);
});

it('sees a file that replaces it, again and again', async () => {
  const { folder, file, sees } = await watched(plain);
  for (const text of ['second', 'third']) {
    await writeFile(join(folder, '.sluice.yaml.swp'), text);
    await rename(join(folder, '.sluice.yaml.swp'), file);
    await sees(text);
  }
});

it('sees it deleted, made again and changed then', async () => {
  const { file, sees } = await watched(plain);
  await unlink(file);
  await sees('gone');
  await writeFile(file, 'again');
  await sees('again');
  await writeFile(file, 'and again');
  await sees('and again');
});

it('sees a ConfigMap change, as Kubernetes does it', async () => {
  const { folder, sees } = await watched(async (folder) => {
    await mkdir(join(folder, '..1'));
    await writeFile(join(folder, '..1/sluice.yaml'), 'first');
    await symlink('..1', join(folder, '..data'));
    await symlink('..data/sluice.yaml', join(folder, 'sluice.yaml'));
  });
  for (const version of ['2', '3']) {
    await mkdir(join(folder, `..${version}`));
    await writeFile(join(folder, `..${version}/sluice.yaml`), `version ${version}`);
    await symlink(`..${version}`, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await rm(join(folder, `..${Number(version) - 1}`), { recursive: true });
    await sees(`version ${version}`);
  }
});

it('does not care for other files, nor for anything when it is over', async () => {
  const { folder, file, seen, sees, stop } = await watched(plain);
  await writeFile(join(folder, 'other.yaml'), 'x');
  await mkdir(join(folder, 'folder'));
  await writeFile(join(folder, 'folder/sluice.yaml'), 'x');
  await writeFile(file, 'second');
  await sees('second');
  expect(seen).toEqual(['second']);
  await writeFile(file, 'third');
  await stop();
  await writeFile(file, 'fourth');
  expect(seen).not.toContain('fourth');
});
