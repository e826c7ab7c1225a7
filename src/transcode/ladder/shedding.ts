import type { Clock } from '../../media/clock.ts';
import type { EpochMs } from '../../media/time.ts';

/** Encoders look ahead by up to a second; beyond this they do not keep up. */
const BEHIND_MS = 5000;
/** … and below this they do. */
const CALM_MS = 2500;
/** A new encoder has to catch up with what waited for it. */
const CATCH_UP_MS = 12_000;
/** How long encoding has to be calm before a rendition comes back; doubled each time that was too early. */
const FIRST_PATIENCE_MS = 60_000;
const LONGEST_PATIENCE_MS = 1_800_000;

export type PaceVerdict = 'keep' | 'shed' | 'back';

/** Decides how many of the largest renditions are left out so that the others keep up with the stream. */
export class Shedding {
  readonly #clock: Clock;
  #count = 0;
  #beganAt: EpochMs = Number.NEGATIVE_INFINITY;
  #calmSince: EpochMs | null = null;
  #patienceMs = FIRST_PATIENCE_MS;
  #behindBefore = false;
  /** A rendition came back: if encoding falls behind again, that was too early. */
  #returned = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are left out. */
  get count(): number {
    return this.#count;
  }

  /** A new encoder begins. */
  began(): void {
    this.#beganAt = this.#clock.now();
    this.#calmSince = null;
    this.#behindBefore = false;
  }

  /**
   * @param lagMs of the source that is not encoded yet
   * @param rungs in the whole ladder; one is always left
   */
  check(lagMs: number, now: EpochMs, rungs: number): PaceVerdict {
    if (lagMs > BEHIND_MS) return this.#behind(now, rungs);
    this.#behindBefore = false;
    if (lagMs > CALM_MS) {
      this.#calmSince = null;
      return 'keep';
    }
    this.#calmSince ??= now;
    if (this.#count === 0 || now - this.#calmSince < this.#patienceMs) return 'keep';
    this.#count--;
    this.#returned = true;
    return 'back';
  }

  #behind(now: EpochMs, rungs: number): PaceVerdict {
    this.#calmSince = null;
    if (now - this.#beganAt < CATCH_UP_MS || this.#count >= rungs - 1) return 'keep';
    // Once may be a hiccup of the machine.
    if (!this.#behindBefore) {
      this.#behindBefore = true;
      return 'keep';
    }
    this.#count++;
    if (this.#returned) this.#patienceMs = Math.min(LONGEST_PATIENCE_MS, this.#patienceMs * 2);
    this.#returned = false;
    return 'shed';
  }
}
