/** Callbacks under way at a time; a callback is somebody's own server. */
const MAX_RUNNING = 100;
/** Questions that wait for one of them to be answered. */
const MAX_WAITING = 1000;

/** Lets questions wait for their turn, no longer than an answer may take. */
export class CallbackQueue {
  #running = 0;
  /** In order; each begins its question. */
  readonly #waiting = new Set<() => void>();

  /**
   * Asks now or when it is its turn.
   *
   * @param ask gets the ms that are left of `timeoutMs`
   * @returns instead of an answer: `full` when too many wait already, `late` when the turn never came
   */
  async ask<T>(timeoutMs: number, ask: (leftMs: number) => Promise<T>): Promise<T | 'full' | 'late'> {
    let leftMs = timeoutMs;
    if (this.#running < MAX_RUNNING) this.#running++;
    else if (this.#waiting.size >= MAX_WAITING) return 'full';
    else {
      const since = performance.now();
      // Whoever ends hands its place over, so that nobody overtakes.
      if (!(await this.#turn(timeoutMs))) return 'late';
      leftMs -= performance.now() - since;
    }
    try {
      return await ask(Math.max(1, leftMs));
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #turn(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const begin = () => {
        clearTimeout(timer);
        this.#waiting.delete(begin);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(begin);
        resolve(false);
      }, withinMs);
      this.#waiting.add(begin);
    });
  }
}
