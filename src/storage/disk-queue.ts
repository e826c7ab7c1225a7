import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';

export interface DiskQueueOptions {
  readonly clock: Clock;
  /**
   * Tasks that run at a time. Node does the file work, and looks up host names, with four threads for the whole
   * process; a disk that hangs must not get all of them.
   */
  readonly parallel: number;
}

/** Writes go first: a viewer who wants what is not in memory never costs a publisher a segment. */
type Lane = 'write' | 'read';

/** What unfinished tasks of a lane may hold in memory together: some seconds of everything that is published. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Some segments long: what takes longer comes too late for viewers. */
const TIMEOUT_MS = 15_000;

/**
 * Lets some disk operations run at a time and the others wait, and bounds how long and how much. A disk that does not
 * answer (a hanging network mount) then costs its users an error each instead of waiting and growing for ever.
 */
export class DiskQueue {
  readonly #options: DiskQueueOptions;
  readonly #waiting = { write: new Set<() => Promise<void>>(), read: new Set<() => Promise<void>>() };
  readonly #bytes = { write: 0, read: 0 };
  #running = 0;

  constructor(options: DiskQueueOptions) {
    this.#options = options;
  }

  /** What unfinished tasks hold in memory, given up ones too while the disk has them. */
  get bytes(): number {
    return this.#bytes.write + this.#bytes.read;
  }

  /**
   * Runs `task`, a write, when its turn comes. One that does not get through in time is given up; if it has begun, it keeps its
   * place and memory until the disk lets go of it.
   *
   * @param bytes what the task holds in memory
   * @param tooLate called when the task succeeds after it was given up
   * @throws SluiceError SLUICE_STORE_BUSY
   */
  run<T>(bytes: number, task: () => Promise<T>, tooLate?: () => Promise<void>): Promise<T> {
    return this.#run('write', bytes, task, tooLate);
  }

  /** The same for a read. */
  runRead<T>(bytes: number, task: () => Promise<T>): Promise<T> {
    return this.#run('read', bytes, task);
  }

  async #run<T>(
    lane: Lane,
    bytes: number,
    task: () => Promise<T>,
    tooLate?: () => Promise<void>,
  ): Promise<T> {
    if (this.#bytes[lane] + bytes > MAX_BYTES) {
      throw new SluiceError('SLUICE_STORE_BUSY', `${this.#bytes[lane]} bytes wait for the disk already`);
    }
    this.#bytes[lane] += bytes;
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const job = async () => {
        try {
          const result = await task();
          if (over) await tooLate?.();
          else resolve(result);
        } catch (error) {
          reject(error);
        } finally {
          this.#bytes[lane] -= bytes;
          cancel();
        }
      };
      const cancel = this.#options.clock.after(TIMEOUT_MS, () => {
        over = true;
        if (this.#waiting[lane].delete(job)) this.#bytes[lane] -= bytes;
        reject(
          new SluiceError('SLUICE_STORE_BUSY', `the disk did not answer for ${TIMEOUT_MS / 1000} seconds`),
        );
      });
      this.#enter(lane, job);
    });
  }

  /** Runs `task` when its turn comes, however long both takes. For what exists once, not for each segment. */
  runPatiently<T>(task: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => this.#enter('write', () => task().then(resolve, reject)));
  }

  #enter(lane: Lane, job: () => Promise<void>): void {
    if (this.#running < this.#options.parallel) this.#begin(job);
    else this.#waiting[lane].add(job);
  }

  #begin(job: () => Promise<void>): void {
    this.#running++;
    void job().finally(() => {
      this.#running--;
      const lane = this.#waiting.write.size > 0 ? this.#waiting.write : this.#waiting.read;
      const [next] = lane;
      if (next === undefined) return;
      lane.delete(next);
      this.#begin(next);
    });
  }
}
