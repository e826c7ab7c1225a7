import type { Clock } from '../media/clock.ts';
import type { LiveCommand } from './live-command.ts';

/** A publisher that comes and goes all the time starts its commands no oftener. */
const START_INTERVAL_MS = 1000;

/** The commands of one stream. */
interface Slot<Publication> {
  wanted: Publication | null;
  /** Whose commands are running. */
  current: Publication | null;
  commands: readonly LiveCommand[];
  startedAt: number;
  leaving: boolean;
}

/**
 * What runs as long as a stream has a publisher. The commands of the next publisher wait until those of the last are
 * gone: whoever they send to takes one of them at a time.
 */
export class LiveCommands<Publication> {
  readonly #clock: Clock;
  readonly #start: (publication: Publication) => readonly LiveCommand[];
  readonly #slots = new Map<string, Slot<Publication>>();
  #whenGone: (() => void)[] = [];
  #closed = false;

  constructor(clock: Clock, start: (publication: Publication) => readonly LiveCommand[]) {
    this.#clock = clock;
    this.#start = start;
  }

  begin(path: string, publication: Publication): void {
    if (this.#closed) return;
    let slot = this.#slots.get(path);
    if (slot === undefined) {
      slot = { wanted: null, current: null, commands: [], startedAt: 0, leaving: false };
      this.#slots.set(path, slot);
    }
    slot.wanted = publication;
    this.#settle(path, slot);
  }

  end(path: string): void {
    const slot = this.#slots.get(path);
    if (slot === undefined) return;
    slot.wanted = null;
    this.#settle(path, slot);
  }

  /** Ends all; resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const path of [...this.#slots.keys()]) this.end(path);
    if (this.#slots.size > 0) await new Promise<void>((resolve) => this.#whenGone.push(resolve));
  }

  #settle(path: string, slot: Slot<Publication>): void {
    if (slot.leaving) return;
    if (slot.current !== null && slot.current !== slot.wanted) {
      slot.leaving = true;
      void this.#leave(slot).then(() => {
        slot.leaving = false;
        slot.current = null;
        this.#settle(path, slot);
      });
    } else if (slot.current === null && slot.wanted !== null) {
      slot.current = slot.wanted;
      slot.startedAt = this.#clock.now();
      slot.commands = this.#start(slot.wanted);
    } else if (slot.current === null) {
      this.#slots.delete(path);
      if (this.#slots.size > 0) return;
      for (const resolve of this.#whenGone.splice(0)) resolve();
    }
  }

  async #leave({ commands, startedAt }: Slot<Publication>): Promise<void> {
    await Promise.all(commands.map((command) => command.stop()));
    const early = startedAt + START_INTERVAL_MS - this.#clock.now();
    if (commands.length === 0 || early <= 0 || this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#clock.after(early, resolve);
    });
  }
}
