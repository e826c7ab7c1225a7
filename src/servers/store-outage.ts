import type { Stream } from '../live/stream.ts';
import type { Clock } from '../media/clock.ts';
import { ERRORS, SluiceError } from '../media/errors.ts';
import type { EpochMs } from '../media/time.ts';

/** A disk that is about full takes one segment and refuses the next, and that is one outage. */
const QUIET_MS = 10_000;

/** The part of a logger that the lines go to. */
export interface OutageLog {
  info(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

/** One line when the store begins to lose segments and one when it has stopped, however many streams there are. */
export class StoreOutage {
  readonly #clock: Clock;
  readonly #log: OutageLog;
  /** Segments. */
  #lost = 0;
  #lastAt: EpochMs = 0;
  /** Those that have lost some. */
  #streams = new WeakSet<Stream>();
  #streamCount = 0;

  constructor(clock: Clock, log: OutageLog) {
    this.#clock = clock;
    this.#log = log;
  }

  segmentLost(stream: Stream, error: unknown, uri: string): void {
    if (this.#lost === 0) {
      const code = error instanceof SluiceError ? error.code : 'SLUICE_STORE_FAILED';
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error(
        { code, reason, stream: stream.path, segment: uri, fix: ERRORS[code] },
        'segments cannot be stored and are lost; the streams go on',
      );
    }
    this.#lost++;
    this.#lastAt = this.#clock.now();
    if (this.#streams.has(stream)) return;
    this.#streams.add(stream);
    this.#streamCount++;
  }

  segmentStored(): void {
    if (this.#lost === 0 || this.#clock.now() - this.#lastAt < QUIET_MS) return;
    this.#log.info({ lost: this.#lost, streams: this.#streamCount }, 'segments can be stored again');
    this.#lost = 0;
    this.#streams = new WeakSet();
    this.#streamCount = 0;
  }
}
