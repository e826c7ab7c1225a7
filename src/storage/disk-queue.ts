import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';

export interface DiskQueueOptions {
  readonly clock: Clock;
  /** Tasks that run at a time. */
  readonly parallel: number;
  /** What unfinished tasks may hold in memory together. */
  readonly maxBytes: number;
  /** A task that is not done by then has failed, wherever it is. */
  readonly timeoutMs: number;
}

/**
 * Lets some disk operations run at a time and the others wait, and bounds how long and how much. A disk that does not
 * answer (a hanging network mount) then costs its users an error each instead of waiting and growing for ever.
 */
export class DiskQueue {
  readonly #options: DiskQueueOptions;
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #bytes = 0;

  constructor(options: DiskQueueOptions) {
    this.#options = options;
  }

  /** What unfinished tasks hold in memory, given up ones too. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Runs `task` when its turn comes.
   *
   * @param bytes what the task holds in memory
   * @param tooLate called when the task succeeds after it was given up
   * @throws SluiceError SLUICE_STORE_BUSY
   */
  run<T>(bytes: number, task: () => Promise<T>, tooLate?: () => void): Promise<T> {
    const { clock, parallel, maxBytes, timeoutMs } = this.#options;
    if (this.#bytes + bytes > maxBytes) {
      return Promise.reject(new SluiceError('SLUICE_STORE_BUSY', `${this.#bytes} bytes wait for the disk`));
    }
    this.#bytes += bytes;
    return new Promise<T>((resolve, reject) => {
      let state: 'waiting' | 'running' | 'given up' = 'waiting';
      const start = () => {
        this.#waiting.delete(start);
        state = 'running';
        this.#running++;
        void task()
          .then(
            (result) => {
              if (state === 'given up') tooLate?.();
              else resolve(result);
            },
            (error: unknown) => reject(error),
          )
          .finally(() => {
            this.#bytes -= bytes;
            cancel();
            if (state === 'running') this.#leave();
          });
      };
      const cancel = clock.after(timeoutMs, () => {
        if (state === 'running') {
          // Its memory stays counted until the disk lets go of it; its place goes to the next.
          this.#leave();
        } else {
          this.#waiting.delete(start);
          this.#bytes -= bytes;
        }
        state = 'given up';
        reject(
          new SluiceError('SLUICE_STORE_BUSY', `the disk did not answer for ${timeoutMs / 1000} seconds`),
        );
      });
      if (this.#running < parallel) start();
      else this.#waiting.add(start);
    });
  }

  #leave(): void {
    this.#running--;
    const [next] = this.#waiting;
    next?.();
  }
}
