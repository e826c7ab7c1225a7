const MAX_RUNNING = 16;
const MAX_WAITING = 256;
/** One stream whose hooks hang must leave room for the others. */
const MAX_WAITING_OF_ONE = 32;

/** Something to do that takes a while; it never rejects. */
export type Job = () => Promise<void>;

interface Waiting {
  readonly group: string;
  readonly job: Job;
}

/** Runs a bounded number of jobs at a time; those of one group one after the other, in order. */
export class JobQueue {
  readonly #waiting: Waiting[] = [];
  /** Groups that have a job running. */
  readonly #running = new Set<string>();
  #whenIdle: (() => void)[] = [];

  /** @returns false when there is no room, and the job will never run */
  add(group: string, job: Job): boolean {
    const ofGroup = this.#waiting.filter((waiting) => waiting.group === group).length;
    if (this.#waiting.length >= MAX_WAITING || ofGroup >= MAX_WAITING_OF_ONE) return false;
    this.#waiting.push({ group, job });
    this.#startNext();
    return true;
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #startNext(): void {
    while (this.#running.size < MAX_RUNNING) {
      const index = this.#waiting.findIndex(({ group }) => !this.#running.has(group));
      const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
      if (next === undefined) break;
      this.#running.add(next.group);
      void next.job().then(() => {
        this.#running.delete(next.group);
        this.#startNext();
      });
    }
    if (this.#running.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
