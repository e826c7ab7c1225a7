import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Why process figures cannot be read here, or null. */
export function noProcessStats() {
  return process.platform === 'linux'
    ? null
    : 'CPU time of other processes is read from /proc, which is Linux only';
}

let ticksPerSecond;

/** CPU seconds of a process and its children, all threads: altogether, and the part inside the kernel. */
export function cpuSeconds(pid) {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  let user = 0;
  let kernel = 0;
  for (const stat of readAll(pid, 'stat')) {
    // The second field is the name in brackets and may hold anything; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    user += Number(fields[11]) / ticksPerSecond;
    kernel += Number(fields[12]) / ticksPerSecond;
  }
  return { total: user + kernel, kernel };
}

/** Resident memory of a process and its children in MB (10^6), now and at its highest. */
export function memory(pid) {
  const total = { rss: 0, peak: 0 };
  for (const status of readAll(pid, 'status')) {
    total.rss += kibibytes(status, 'VmRSS');
    total.peak += kibibytes(status, 'VmHWM');
  }
  return total;
}

/** Open descriptors of a process, children not counted. */
export function descriptors(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Children of a process, and theirs. */
export function descendants(pid) {
  return processTree(pid).slice(1);
}

function kibibytes(status, field) {
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024) / 1e6;
}

/** A file of /proc for a process and its children. */
function readAll(pid, file) {
  return processTree(pid).flatMap((one) => {
    try {
      return [readFileSync(`/proc/${one}/${file}`, 'utf8')];
    } catch (error) {
      // Children end while they are counted; the process itself must be there.
      if (one === pid) throw error;
      return [];
    }
  });
}

function processTree(pid) {
  const tree = [pid];
  for (let at = 0; at < tree.length; at++) {
    try {
      for (const thread of readdirSync(`/proc/${tree[at]}/task`)) {
        const children = readFileSync(`/proc/${tree[at]}/task/${thread}/children`, 'utf8');
        tree.push(...children.split(' ').filter(Boolean).map(Number));
      }
    } catch (error) {
      if (at === 0) throw error;
    }
  }
  return tree;
}
