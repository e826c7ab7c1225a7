// Loaded into the gateway's process before anything else. Lets a test look into the process, and do to it what
// computers do: step the clock, stand still, have no room on the disk.

import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { getHeapStatistics } from 'node:v8';
import { mediaBlocks } from '../../../dist/media/block-pool.js';

const RealDate = Date;
let ahead = 0;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args) => (args.length === 0 ? new target(target.now() + ahead) : new target(...args)),
  apply: (target) => new target(target.now() + ahead).toString(),
  get: (target, key) => (key === 'now' ? () => target.now() + ahead : target[key]),
});

const { writeFile } = promises;
let diskIsFull = false;

/** What fits is written, and that is not all. */
promises.writeFile = async (path, data, options) => {
  if (!diskIsFull) return writeFile(path, data, options);
  await writeFile(path, data.slice(0, data.length / 2), options);
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  });
};
syncBuiltinESMExports();

const commands = {
  /** What is still referenced, in bytes. */
  held: () => {
    // Buffers are freed in the turn after the one that found them unreachable.
    globalThis.gc();
    globalThis.gc();
    // process.memoryUsage() opens a file, and descriptors may be what lacks.
    const { used_heap_size, external_memory } = getHeapStatistics();
    return used_heap_size + external_memory + mediaBlocks.bytesInUse + mediaBlocks.reservedBytes;
  },
  stepClock: (ms) => {
    ahead += ms;
    return Date.now();
  },
  fillDisk: (full) => {
    diskIsFull = full === 1;
    return full;
  },
  block: (ms) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
    return ms;
  },
};

process.on('message', ({ id, command, value }) => {
  process.send({ id, result: commands[command](value) });
});
// The gateway decides when its process ends.
process.channel.unref();
