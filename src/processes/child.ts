import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { TailText } from './tail-text.ts';

/** What a child may write to stderr before only the end of it is kept. */
const MAX_STDERR = 8 * 1024;
/** Between the polite signal and the one that cannot be ignored. */
const KILL_AFTER_MS = 5000;

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
  /** Asks the group to end, and kills it when it does not; `exited` tells when it is gone. */
  stop(): Promise<ChildExit>;
}

/** Starts a program by its arguments, without a shell. Never throws: what goes wrong is in `exited`. */
export function startChild(options: ChildOptions): Child {
  const stderr = new TailText(MAX_STDERR);
  const child = spawn(options.command, options.args, {
    // A group of its own, so that what it starts ends with it.
    detached: true,
    windowsHide: true,
    stdio: ['pipe', 'pipe', 'pipe', ...Array<'pipe'>(options.extraOutputs ?? 0).fill('pipe')],
    env: { ...process.env, ...options.env },
  });
  // A child that ends early closes its input; that is told by its exit.
  child.stdin?.on('error', () => {});
  child.stderr?.on('error', () => {}).on('data', (chunk: Buffer) => stderr.append(chunk));
  const outputs = child.stdio.filter((_, index) => index === 1 || index > 2) as Readable[];
  for (const output of outputs) output.on('error', () => {});
  lowerPriority(child, options.niceness ?? 0);
  const exited = exitOf(child);
  let stopping = false;
  return {
    pid: child.pid ?? null,
    stdin: child.stdin as Writable,
    outputs,
    get stderr() {
      return stderr.text;
    },
    exited,
    stop: () => {
      if (!stopping && child.pid !== undefined) {
        stopping = true;
        stopGroup(child, child.pid, exited);
      }
      return exited;
    },
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    let failed: Error | null = null;
    child.once('error', (error) => {
      failed = error;
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
    });
    child.once('close', (code, signal) => resolve({ code, signal, error: failed }));
  });
}

function stopGroup(child: ChildProcess, pid: number, exited: Promise<ChildExit>): void {
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => {
    signalGroup(pid, 'SIGKILL');
    // What left the group may hold the pipes open for ever.
    for (const pipe of child.stdio) pipe?.destroy();
  }, KILL_AFTER_MS);
  void exited.then(() => clearTimeout(timer));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
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
