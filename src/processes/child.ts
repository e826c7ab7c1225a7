import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { ownerMark } from './orphans.ts';
import { TailText } from './tail-text.ts';

/** What a child may write to stderr before only the end of it is kept. */
const MAX_STDERR = 8 * 1024;
/**
 * Between the polite signal and the one that cannot be ignored; and between the end of a child and that of its pipes,
 * which something that left the group may hold open for ever.
 */
const PATIENCE_MS = 5000;
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
  /** How long its end, and that of its pipes, is waited for before force is used; 5000 when absent. */
  readonly patienceMs?: number;
}

export interface ChildExit {
  /** Null when a signal ended it, or when it never started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started: not there, not executable, arguments too long, no descriptor left. */
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
  /** Asks the group to end, and kills it when it does not; `exited` tells when it is gone. */
  stop(): Promise<ChildExit>;
  /** Ends the group at once. */
  kill(): Promise<ChildExit>;
}

/** Starts a program by its arguments, without a shell. Never throws: what goes wrong is in `exited`. */
export function startChild(options: ChildOptions): Child {
  let child: ChildProcess;
  try {
    child = spawn(options.command, options.args, {
      // A group of its own, so that what it starts ends with it.
      detached: true,
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'pipe', ...Array<'pipe'>(options.extraOutputs ?? 0).fill('pipe')],
      env: { ...inherited(), ...options.env, ...ownerMark() },
    });
  } catch (error) {
    // Arguments that are too long or contain a zero byte, and few others; most failures are events.
    return unstarted(error instanceof Error ? error : new Error(String(error)), options.extraOutputs ?? 0);
  }
  return supervise(child, options);
}

/** The gateway's own variables may hold secrets, and a child needs none of them. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_')));
}

function supervise(child: ChildProcess, options: ChildOptions): Child {
  const stderr = new TailText(MAX_STDERR);
  // A child that ends early closes its input; that is told by its exit.
  child.stdin?.on('error', () => {});
  child.stderr?.on('error', () => {}).on('data', (chunk: Buffer) => stderr.append(chunk));
  // Without descriptors left there are no pipes.
  const outputs = Array.from({ length: 1 + (options.extraOutputs ?? 0) }, (_, index) => {
    const pipe = child.stdio?.[index === 0 ? 1 : index + 2] as Readable | null | undefined;
    return pipe ?? closedStream();
  });
  for (const output of outputs) output.on('error', () => {});
  lowerPriority(child, options.niceness ?? 0);
  const patience = options.patienceMs ?? PATIENCE_MS;
  const exited = exitOf(child, patience);
  let stopping = false;
  return {
    pid: child.pid ?? null,
    stdin: child.stdin ?? closedStream(),
    outputs,
    get stderr() {
      return stderr.text;
    },
    exited,
    stop: () => {
      if (!stopping && child.pid !== undefined && !isGone(child)) {
        stopping = true;
        stopGroup(child.pid, exited, patience);
      }
      return exited;
    },
    kill: () => {
      stopping = true;
      if (child.pid !== undefined && !isGone(child)) signalGroup(child.pid, 'SIGKILL');
      return exited;
    },
  };
}

/** What a caller gets when not even the attempt was possible. */
function unstarted(error: Error, extraOutputs: number): Child {
  const exited = Promise.resolve({ code: null, signal: null, error });
  return {
    pid: null,
    stdin: closedStream(),
    outputs: Array.from({ length: 1 + extraOutputs }, closedStream),
    stderr: '',
    exited,
    stop: () => exited,
    kill: () => exited,
  };
}

function closedStream(): PassThrough {
  const stream = new PassThrough();
  stream.on('error', () => {});
  stream.destroy();
  return stream;
}

function exitOf(child: ChildProcess, patience: number): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
    });
    child.once('exit', (code, signal) => {
      const { pid } = child;
      // What it started and left behind does not outlive it by much: it may have something to finish.
      if (pid !== undefined) endRest(pid, patience);
      const timer = setTimeout(() => {
        for (const pipe of child.stdio) pipe?.destroy();
      }, patience);
      child.once('close', () => {
        clearTimeout(timer);
        resolve({ code, signal, error: null });
      });
    });
  });
}

function isGone({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function stopGroup(pid: number, exited: Promise<ChildExit>, patience: number): void {
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), patience);
  void exited.then(() => clearTimeout(timer));
}

/** To be called right after the leader of a group is gone: the number stays taken while the group has members. */
function endRest(pid: number, patience: number): void {
  if (!signalGroup(pid, 'SIGTERM')) return;
  const killAt = performance.now() + patience;
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
