/** Runs a few jobs at a time and lets a few more wait. */
export interface BoundedJobs {
  /** True when a further job would be refused. */
  readonly full: boolean;
  /**
   * Runs `job` when it is its turn. The place is free again when `job` has settled.
   *
   * @returns null when too many wait already
   */
  run<T>(job: () => Promise<T>): Promise<T> | null;
}

/** @param limits how many run at a time, and how many wait on top of that */
export function makeBoundedJobs(limits: { readonly running: number; readonly waiting: number }): BoundedJobs {
  const waiting: (() => void)[] = [];
  let running = 0;

  function next(): void {
    if (running >= limits.running) return;
    const begin = waiting.shift();
    if (begin === undefined) return;
    running++;
    begin();
  }

  return {
    get full() {
      return running >= limits.running && waiting.length >= limits.waiting;
    },
    run: <T>(job: () => Promise<T>) => {
      if (running >= limits.running && waiting.length >= limits.waiting) return null;
      const turn = new Promise<void>((resolve) => waiting.push(resolve));
      next();
      return turn.then(job).finally(() => {
        running--;
        next();
      });
    },
  };
}
