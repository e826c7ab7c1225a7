import type { Clock } from '../../media/clock.ts';

const LOOK_MS = 1000;
/** Looks in a row at work that does not get on, before it counts as hanging. */
const MAX_IDLE_LOOKS = 10;

export interface StallWatchOptions {
  readonly clock: Clock;
  /** Has there been work since the last look, or does some wait? A program that is not fed may be silent for ever. */
  readonly busy: () => boolean;
  /** How much came out, of each output. */
  readonly progress: () => readonly number[];
  /** Called once, with the seconds it bore. */
  readonly onStall: (seconds: number) => void;
}

/**
 * Notices a program that has work and makes nothing of it for 10 s. Only time with work counts: after a pause of the
 * source nothing is overdue.
 *
 * @returns ends the watch
 */
export function watchForStall({ clock, busy, progress, onStall }: StallWatchOptions): () => void {
  let seen = progress();
  let idleLooks = seen.map(() => 0);
  let cancel = clock.after(LOOK_MS, look);

  function look(): void {
    const now = progress();
    const working = busy();
    idleLooks = now.map((count, index) =>
      count !== seen[index] ? 0 : (idleLooks[index] ?? 0) + (working ? 1 : 0),
    );
    seen = now;
    if (idleLooks.some((looks) => looks >= MAX_IDLE_LOOKS)) {
      onStall((MAX_IDLE_LOOKS * LOOK_MS) / 1000);
      return;
    }
    cancel = clock.after(LOOK_MS, look);
  }

  return () => cancel();
}
