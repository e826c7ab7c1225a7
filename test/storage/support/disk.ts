import { expect } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import { SegmentBody } from '../../../src/media/segment-body.ts';
import { type DiskFs, diskFs } from '../../../src/storage/disk-fs.ts';
import { DiskStore, type DiskStoreOptions } from '../../../src/storage/disk-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';

export const MB = 1024 * 1024;

export function makeStore(directory: string, options: Partial<DiskStoreOptions> = {}): DiskStore {
  return new DiskStore({
    directory,
    maxBytes: null,
    cacheBytes: 0,
    clock: new FakeClock(),
    onPlaylistError: (path, error) => expect.unreachable(`${path}: ${error}`),
    ...options,
  });
}

export function body(bytes: number, fill = 1): SegmentBody {
  return SegmentBody.of(Buffer.alloc(bytes, fill));
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** The code `action` rejects with: of a SluiceError or of the system. */
export async function rejection(action: Promise<unknown>): Promise<unknown> {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SluiceError) return error.code;
  return error instanceof Error && 'code' in error ? error.code : error;
}

type Operation = keyof DiskFs;
/** What happens to an operation instead of what should: an error, or nothing at all until the promise resolves. */
type Fault = (operation: Operation, path: string) => Error | Promise<void> | null;

/** A real file system in which `fault` decides about every operation. */
export function faultyFs(fault: Fault): DiskFs {
  const guard = async (operation: Operation, path: unknown): Promise<void> => {
    const outcome = fault(operation, String(path));
    if (outcome instanceof Error) throw outcome;
    await outcome;
  };
  return {
    mkdir: async (path, options) => {
      await guard('mkdir', path);
      return diskFs.mkdir(path, options);
    },
    writeFile: async (path, data, options) => {
      await guard('writeFile', path);
      return diskFs.writeFile(path, data, options);
    },
    rename: async (from, to) => {
      await guard('rename', from);
      return diskFs.rename(from, to);
    },
    readFile: async (path) => {
      await guard('readFile', path);
      return diskFs.readFile(path);
    },
    unlink: async (path) => {
      await guard('unlink', path);
      return diskFs.unlink(path);
    },
    rmdir: async (path) => {
      await guard('rmdir', path);
      return diskFs.rmdir(path);
    },
  };
}
