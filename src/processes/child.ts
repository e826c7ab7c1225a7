import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { Readable, Writable } from 'node:stream';
import { ownerMark } from './orphans.ts';
import { TailText } from './tail-text.ts';

/** What a child may write to stderr before only the end of it is kept. */
const MAX_STDERR = 8 * 1024;
/** Between the polite signal and the one that cannot be ignored. */
const KILL_AFTER_MS = 5000;
/** How often it is looked whether what a child left behind is gone: its number may soon be another's. */
const LOOK_INTERVAL_MS = 250;

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Pipes beyond stdout that the child writes to: descriptors 3, 4 … */
  readonly extraOutputs?: number;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** 0 … 19: how far it stands behind others for the CPU. */
  readonly niceness?: number;
}

export interface ChildExit {
  /** Null when a signal ended it, or when it never started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started: not there, not executable, wrong architecture, no descriptor left. */
  readonly error: Error | null;
}

/** A program that runs beside the gateway, in a process group of its own. */
export interface Child {
  /** Null when it could not be started. */
  readonly pid: number | null;
  readonly stdin: Writable;
  /** stdout, then the extra ones. Whoever starts a child reads them all, or it blocks. */
  readonly outputs: readonly Readable[];
  /** The end of what it wrote to stderr; nobody has to read that. */
  readonly stderr: string;
  /** Resolves when it is gone and its pipes are closed. Never rejects. */
  readonly exited: Promise<ChildExit>;
  /**
   * Asks the group to end, and kills it when it does not; `exited` tells when it is gone.
   *
   * @param patienceMs how long it is waited; with 0 it is killed at once, also after an earlier call
   */
  stop(patienceMs?: number): Promise<ChildExit>;
}

/**
 * Starts a program by its arguments, without a shell. Never throws: what goes wrong is in `exited`. When it ends, what it
 * has started ends too, as far as that has stayed in its group.
 */
export function startChild(options: ChildOptions): Child {
  const stderr = new TailText(MAX_STDERR);
  const child = trySpawn(options);
  if (child instanceof Error) return notStarted(options, Promise.resolve(withoutStart(child)));
  const exited = exitOf(child);
  // Without a descriptor for its pipes it has none.
  if (child.stdio === undefined) return notStarted(options, exited);
  // A child that ends early closes its input; that is told by its exit.
  child.stdin?.on('error', () => {});
  child.stderr?.on('error', () => {}).on('data', (chunk: Buffer) => stderr.append(chunk));
  const outputs = child.stdio.filter((_, index) => index === 1 || index > 2) as Readable[];
  for (const output of outputs) output.on('error', () => {});
  lowerPriority(child, options.niceness ?? 0);
  const { pid } = child;
  if (pid !== undefined) child.once('exit', () => endRest(pid));
  let stopping = false;
  return {
    pid: pid ?? null,
    stdin: child.stdin as Writable,
    outputs,
    get stderr() {
      return stderr.text;
    },
    exited,
    stop: (patienceMs = KILL_AFTER_MS) => {
      if (pid !== undefined && (!stopping || patienceMs === 0)) {
        stopping = true;
        stopGroup(child, pid, exited, patienceMs);
      }
      return exited;
    },
  };
}

/** Some failures are thrown, such as arguments that are too long; others come as an event. */
function trySpawn({ command, args, env, extraOutputs = 0 }: ChildOptions): ChildProcess | Error {
  try {
    return spawn(command, args, {
      // A group of its own, so that what it starts ends with it.
      detached: true,
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'pipe', ...Array<'pipe'>(extraOutputs).fill('pipe')],
      env: { ...process.env, ...env, ...ownerMark() },
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function withoutStart(error: Error): ChildExit {
  return { code: null, signal: null, error };
}

function notStarted({ extraOutputs = 0 }: ChildOptions, exited: Promise<ChildExit>): Child {
  return {
    pid: null,
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    outputs: Array.from({ length: 1 + extraOutputs }, () => Readable.from([])),
    stderr: '',
    exited,
    stop: () => exited,
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    let failed: Error | null = null;
    child.once('error', (error) => {
      failed = error;
      if (child.pid === undefined) resolve(withoutStart(error));
    });
    child.once('close', (code, signal) => resolve({ code, signal, error: failed }));
  });
}

function stopGroup(child: ChildProcess, pid: number, exited: Promise<ChildExit>, patienceMs: number): void {
  const kill = () => {
    signalGroup(pid, 'SIGKILL');
    // What left the group may hold the pipes open for ever.
    for (const pipe of child.stdio) pipe?.destroy();
  };
  if (patienceMs === 0) {
    kill();
    return;
  }
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(kill, patienceMs);
  void exited.then(() => clearTimeout(timer));
}

/** To be called right after the leader of a group is gone: the number stays taken while the group has members. */
function endRest(pid: number): void {
  if (!signalGroup(pid, 'SIGTERM')) return;
  const killAt = performance.now() + KILL_AFTER_MS;
  const timer = setInterval(() => {
    const late = performance.now() >= killAt;
    if (!signalGroup(pid, late ? 'SIGKILL' : 0) || late) clearInterval(timer);
  }, LOOK_INTERVAL_MS);
  timer.unref();
}

/** @returns whether there is such a group */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function lowerPriority({ pid }: ChildProcess, niceness: number): void {
  if (pid === undefined || niceness === 0) return;
  try {
    setPriority(pid, Math.min(niceness, constants.priority.PRIORITY_LOW));
  } catch {
    // Gone already, or this system has no such thing: it runs all the same.
  }
}
