import type { Clock } from '../media/clock.ts';
import type { HookOutcome, HookRun } from './hook-run.ts';

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;
/** What ran so long has worked; the next failure is a new one. */
const STEADY_MS = 60_000;

export interface LiveCommandOptions {
  readonly clock: Clock;
  readonly start: () => HookRun;
  /** It ended by itself, well or not, and will be started again after so many ms. */
  readonly onEnd: (outcome: HookOutcome, delayMs: number) => void;
}

/** A command that is there until it is stopped. */
export interface LiveCommand {
  /** Resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts it now, and again with growing delays whenever it ends. */
export function keepRunning({ clock, start, onEnd }: LiveCommandOptions): LiveCommand {
  let stopped = false;
  let delay = FIRST_DELAY_MS;
  let run: HookRun | null = null;
  let cancel = () => {};
  const begin = () => {
    const startedAt = clock.now();
    const current = start();
    run = current;
    void current.finished.then((outcome) => {
      run = null;
      if (stopped) return;
      if (clock.now() - startedAt >= STEADY_MS) delay = FIRST_DELAY_MS;
      onEnd(outcome, delay);
      cancel = clock.after(delay, begin);
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    });
  };
  begin();
  return {
    stop: async () => {
      stopped = true;
      cancel();
      run?.stop();
      await run?.finished;
    },
  };
}
