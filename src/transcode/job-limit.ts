/**
 * - `conversion`: without it there is no stream, so it goes first
 * - `ladder`: makes a stream nicer
 */
export type JobPriority = 'conversion' | 'ladder';

/** Counts the ffmpeg processes of the whole gateway. */
export interface JobLimit {
  /**
   * Asks for room for one process.
   *
   * @param granted called once when there is room: at once and inside this call, or later
   * @param yieldRoom of a ladder job: called once when a conversion needs its room; it ends the process and gives back
   * @returns gives the room back, or withdraws the request; calling it again does nothing
   */
  acquire(priority: JobPriority, granted: () => void, yieldRoom?: () => void): () => void;
  /** The maximum may have been raised. */
  changed(): void;
  readonly running: number;
  readonly waiting: number;
}

interface Job {
  readonly priority: JobPriority;
  readonly granted: () => void;
  readonly yieldRoom: (() => void) | undefined;
  state: 'waiting' | 'running' | 'yielding' | 'gone';
}

/** @param max how many processes may run now; asked each time */
export function makeJobLimit(max: () => number): JobLimit {
  const jobs = new Set<Job>();
  const count = (wanted: (job: Job) => boolean) => [...jobs].filter(wanted).length;
  const running = () => count(({ state }) => state === 'running' || state === 'yielding');
  const waiting = (priority: JobPriority) =>
    [...jobs].find((job) => job.state === 'waiting' && job.priority === priority);

  const grant = () => {
    while (running() < max()) {
      const next = waiting('conversion') ?? waiting('ladder');
      if (next === undefined) return;
      next.state = 'running';
      next.granted();
    }
    makeRoom();
  };

  /** One ladder job gives way for each conversion that waits; the newest, which has the fewest viewers yet. */
  const makeRoom = () => {
    let needed =
      count(({ state, priority }) => state === 'waiting' && priority === 'conversion') -
      count(({ state }) => state === 'yielding');
    for (const job of [...jobs].reverse()) {
      if (needed <= 0) return;
      if (job.state !== 'running' || job.yieldRoom === undefined) continue;
      job.state = 'yielding';
      needed--;
      job.yieldRoom();
    }
  };

  return {
    acquire: (priority, granted, yieldRoom) => {
      const job: Job = { priority, granted, yieldRoom, state: 'waiting' };
      jobs.add(job);
      grant();
      return () => {
        if (job.state === 'gone') return;
        job.state = 'gone';
        jobs.delete(job);
        grant();
      };
    },
    changed: grant,
    get running() {
      return running();
    },
    get waiting() {
      return count(({ state }) => state === 'waiting');
    },
  };
}
