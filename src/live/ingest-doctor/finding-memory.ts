import type { EpochMs } from '../../media/time.ts';
import type { Warning } from '../../media/warning.ts';

/** Longer than the slowest check takes to see the same thing again, so that findings do not flicker. */
const MEMORY_MS = 60_000;

/** Findings stay for a while after they were last seen, and then go by themselves. */
export class FindingMemory {
  readonly #seen = new Map<Warning['code'], { warning: Warning; until: EpochMs }>();

  /** @param validMs how long it stays without being seen again */
  see(warning: Warning, now: EpochMs, validMs = MEMORY_MS): void {
    this.#seen.set(warning.code, { warning, until: now + validMs });
  }

  current(now: EpochMs): Warning[] {
    const warnings: Warning[] = [];
    for (const [code, { warning, until }] of this.#seen) {
      if (now < until) warnings.push(warning);
      else this.#seen.delete(code);
    }
    return warnings;
  }
}
