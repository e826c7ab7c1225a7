import { readdirSync, readFileSync } from 'node:fs';

export interface EncoderProcess {
  readonly pid: number;
  readonly args: readonly string[];
}

/** Programs below this process that encode what comes through a pipe: those of gateways, not those that publish. */
export function encoderProcesses(): EncoderProcess[] {
  return descendants(process.pid).flatMap((pid) => {
    const args = (read(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1);
    const input = args[args.indexOf('-i') + 1];
    return input === 'pipe:0' || input === 'pipe:' || input === '-' ? [{ pid, args }] : [];
  });
}

/** Processes below this one that ended and that nobody has taken notice of. */
export function zombies(): number[] {
  return descendants(process.pid).filter((pid) => / Z /.test(afterName(read(`/proc/${pid}/stat`) ?? '')));
}

/** CPU time of a process so far, all threads, in clock ticks. Zero when it is gone. */
export function cpuTicks(pid: number): number {
  // utime and stime are fields 14 and 15; the name, field 2, may hold anything.
  const fields = afterName(read(`/proc/${pid}/stat`) ?? '').split(' ');
  return Number(fields[12] ?? 0) + Number(fields[13] ?? 0);
}

function afterName(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 1);
}

function descendants(root: number): number[] {
  const found: number[] = [];
  const pending = [root];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    const children = childrenOf(pid);
    found.push(...children);
    pending.push(...children);
  }
  return found;
}

function childrenOf(pid: number): number[] {
  const threads = attempt(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  return threads.flatMap((thread) =>
    (read(`/proc/${pid}/task/${thread}/children`) ?? '').split(' ').filter(Boolean).map(Number),
  );
}

function read(path: string): string | null {
  return attempt(() => readFileSync(path, 'utf8'));
}

/** Processes go while they are looked at. */
function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
