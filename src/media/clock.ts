import type { EpochMs } from './time.ts';

/** Where the pure layers get their time from, so that tests can own it. */
export interface Clock {
  /** Wall-clock milliseconds that never step: the wall time at process start plus monotonic time since. */
  now(): EpochMs;
  /** Calls `run` once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
}
