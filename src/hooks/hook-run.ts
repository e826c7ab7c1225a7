import type { Clock } from '../media/clock.ts';
import { type ChildExit, startChild } from '../processes/child.ts';
import type { HookCommand } from './hook-command.ts';

/** Of what a command wrote to stderr a line of the log quotes so much. */
const MAX_QUOTED = 500;

/** How a command ended. */
export interface HookOutcome {
  /** Null when it ended well, or because it was stopped. */
  readonly failure: string | null;
  readonly exitCode: number | null;
  /** The end of what it wrote to stderr. */
  readonly stderr: string;
}

/** A command that was started. */
export interface HookRun {
  /** There is, or was, a process. */
  readonly started: boolean;
  /** Resolves when it is gone. Never rejects. */
  readonly finished: Promise<HookOutcome>;
  /** Asks it to end, and kills it when it does not: that is no failure. */
  stop(): void;
  /** Kills it. */
  kill(): void;
}

/** @param timeoutMs after which it is ended; null when it may run for ever */
export function startHook(
  { program, args, env }: HookCommand,
  timeoutMs: number | null,
  clock: Clock,
): HookRun {
  const child = startChild({ command: program, args, env });
  // It has nothing to read, and what it says to nobody is not kept.
  child.stdin.end();
  for (const output of child.outputs) output.resume();
  let stopped = false;
  let late = false;
  const cancel =
    timeoutMs === null
      ? () => {}
      : clock.after(timeoutMs, () => {
          late = true;
          void child.stop();
        });
  const finished = child.exited.then((exit): HookOutcome => {
    cancel();
    const failure = late ? `took longer than ${(timeoutMs ?? 0) / 1000} s` : failureOf(exit);
    return {
      failure: stopped ? null : failure,
      exitCode: exit.code,
      stderr: child.stderr.slice(-MAX_QUOTED),
    };
  });
  return {
    started: child.pid !== null,
    finished,
    stop: () => {
      // One that was late before stays a failure.
      stopped ||= !late;
      void child.stop();
    },
    kill: () => {
      stopped ||= !late;
      void child.kill();
    },
  };
}

function failureOf({ code, signal, error }: ChildExit): string | null {
  if (error !== null) return `cannot be started (${'code' in error ? error.code : 'it cannot be run'})`;
  if (signal !== null) return `was ended by ${signal}`;
  return code === 0 ? null : `ended with ${code}`;
}
