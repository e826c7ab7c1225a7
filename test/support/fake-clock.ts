import type { Clock } from '../../src/media/clock.ts';

interface Alarm {
  readonly at: number;
  readonly run: () => void;
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now: number;
  readonly #alarms = new Set<Alarm>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const alarm: Alarm = { at: this.#now + ms, run };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Alarms that have neither rung nor been cancelled. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Moves time on and rings what falls due on the way, in order, at its own time; also what those set. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: Alarm | null = null;
      for (const alarm of this.#alarms) {
        if (alarm.at <= end && (next === null || alarm.at < next.at)) next = alarm;
      }
      if (next === null) break;
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}
