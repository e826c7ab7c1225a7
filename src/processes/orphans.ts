import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** In the environment of every child: who started it. Children of children inherit it. */
const MARK = 'SLUICE_OWNER';
/** Another installation, of a test for example, looks after its own. */
const INSTALLATION = createHash('sha256')
  .update(import.meta.url)
  .digest('hex')
  .slice(0, 12);
const KILL_AFTER_MS = 5000;
const LOOK_INTERVAL_MS = 100;

interface Running {
  readonly pid: number;
  /** By the kernel's clock: numbers are used again, a number and a start together are not. */
  readonly startedAt: string;
}

let mark: Readonly<Record<string, string>> | null = null;

/** What tells the children of this process apart from all others. Empty where the system has no /proc. */
export function ownerMark(): Readonly<Record<string, string>> {
  mark ??= makeMark();
  return mark;
}

/**
 * Ends what gateways of this installation that were killed have left running. A process that runs for a gateway which is gone is of use to
 * nobody, and may hold what its successor needs. Nothing is written down for this: the children carry a mark, so that
 * one that was started in the last moment is found too, and one whose number is another's by now is not mistaken.
 *
 * @param killAfterMs how long they get to end by themselves
 * @returns how many there were; resolves when they are gone
 */
export async function endOrphans(killAfterMs = KILL_AFTER_MS): Promise<number> {
  const orphans = await findOrphans();
  for (const orphan of orphans) signal(orphan, 'SIGTERM');
  const killAt = performance.now() + killAfterMs;
  let left = orphans;
  while (left.length > 0 && performance.now() < killAt) {
    await delay(LOOK_INTERVAL_MS, undefined, { ref: false });
    left = await runningOf(left);
  }
  for (const orphan of left) signal(orphan, 'SIGKILL');
  return orphans.length;
}

async function findOrphans(): Promise<Running[]> {
  const own = ownerMark()[MARK];
  if (own === undefined) return [];
  const orphans: Running[] = [];
  for (const entry of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const found = await markOf(entry);
      if (found === null || !(await isOfTheGone(found, own))) continue;
      const startedAt = await startOf(entry);
      if (startedAt !== null) orphans.push({ pid: Number(entry), startedAt });
    } catch {
      // What cannot be looked at, for want of a descriptor for example, is left alone.
    }
  }
  return orphans;
}

async function isOfTheGone(found: string, own: string): Promise<boolean> {
  const [, owner, startedAt, space] = /^(\d+)\.(\d+)\.(\d+\.[\da-f]+)$/.exec(found) ?? [];
  // Numbers mean nothing in another container: who is not seen there may be alive.
  if (owner === undefined || space !== own.split('.').slice(2).join('.')) return false;
  return (await startOf(owner)) !== startedAt;
}

/** Null for processes of other users too: the kernel does not show them. */
async function markOf(pid: string): Promise<string | null> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
  const at = `\0${environment}`.indexOf(`\0${MARK}=`);
  if (at < 0) return null;
  return environment.slice(at + MARK.length + 1).split('\0', 1)[0] ?? null;
}

async function runningOf(orphans: readonly Running[]): Promise<Running[]> {
  const running: Running[] = [];
  for (const orphan of orphans) {
    // Not to be seen is not to be there: better one too many left alone than another's process killed.
    const startedAt = await startOf(String(orphan.pid)).catch(() => null);
    if (startedAt === orphan.startedAt) running.push(orphan);
  }
  return running;
}

/** Null when it is gone, also when only its exit code is left. */
async function startOf(pid: string): Promise<string | null> {
  try {
    return startIn(await readFile(`/proc/${pid}/stat`, 'latin1'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

/** The name before the last parenthesis may hold anything. Then: 3rd field state, 22nd start. */
function startIn(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : (fields[19] ?? null);
}

function makeMark(): Readonly<Record<string, string>> {
  try {
    const startedAt = startIn(readFileSync('/proc/self/stat', 'latin1'));
    const space = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
    return startedAt === null || space === undefined
      ? {}
      : { [MARK]: [process.pid, startedAt, space, INSTALLATION].join('.') };
  } catch {
    return {};
  }
}

function signal({ pid }: Running, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}
