// Loaded into the gateway's process before anything else. Lets a test look into the process, and do to it what
// computers do: step the clock, stand still, have a disk that fails. And lets it not wait for what happens seldom.

import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { getHeapStatistics } from 'node:v8';
import { mediaBlocks } from '../../../dist/media/block-pool.js';
import { systemClock } from '../../../dist/servers/system-clock.js';

const RealDate = Date;
let ahead = 0;
/** When the clock stepped, by the real one, and how far it is ahead since. */
const steps = [];

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args) => (args.length === 0 ? new target(target.now() + ahead) : new target(...args)),
  apply: (target) => new target(target.now() + ahead).toString(),
  get: (target, key) => (key === 'now' ? () => target.now() + ahead : target[key]),
});

const { lstat, writeFile } = promises;

// Files have their times from the clock that steps.
promises.lstat = async (path, options) => {
  const stats = await lstat(path, options);
  if (options?.bigint !== true) {
    stats.mtimeMs += steps.findLast(({ at }) => at <= stats.mtimeMs)?.ahead ?? 0;
  }
  return stats;
};

/** What the disk fails with; null while it works. */
let diskFault = null;

function fail(syscall) {
  throw Object.assign(new Error(`${diskFault}: injected, ${syscall}`), { code: diskFault, syscall });
}

promises.writeFile = async (path, data, options) => {
  if (diskFault === null) return writeFile(path, data, options);
  if (diskFault === 'EROFS') fail('open');
  // A full or broken disk takes a part.
  await writeFile(path, data.slice(0, data.length / 2), options);
  fail('write');
};
for (const name of ['mkdir', 'rename', 'unlink', 'rmdir']) {
  const real = promises[name];
  promises[name] = async (...args) => (diskFault === 'EROFS' ? fail(name) : real(...args));
}
syncBuiltinESMExports();

/** Alarms of the gateway that have neither rung nor been cancelled. */
const alarms = new Set();
const { after } = systemClock;

systemClock.after = (ms, run) => {
  const ring = () => {
    cancel();
    run();
  };
  const cancelTimer = after(ms, ring);
  const alarm = { ms, ring };
  const cancel = () => {
    alarms.delete(alarm);
    cancelTimer();
  };
  alarms.add(alarm);
  return cancel;
};

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
    steps.push({ at: RealDate.now(), ahead });
    return Date.now();
  },
  breakDisk: (code) => {
    diskFault = code;
    return 0;
  },
  ring: (ms) => {
    const due = [...alarms].filter((alarm) => alarm.ms === ms);
    for (const { ring } of due) ring();
    return due.length;
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
