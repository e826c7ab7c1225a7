import type { Stream } from '../live/stream.ts';
import type { Clock } from '../media/clock.ts';
import { ERRORS, type ErrorCode, SluiceError } from '../media/errors.ts';
import type { EpochMs } from '../media/time.ts';
import { STORE_QUIET_MS } from '../packaging/rendition.ts';
import { lacksDescriptors } from './descriptors.ts';

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
  /** Those that do not have all their segments stored again. */
  readonly #losing = new Set<Stream>();

  constructor(clock: Clock, log: OutageLog) {
    this.#clock = clock;
    this.#log = log;
  }

  segmentLost(stream: Stream, error: unknown, uri: string): void {
    if (this.#lost === 0) {
      const code = codeOfStoreError(error);
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error(
        { code, reason, stream: stream.path, segment: uri, fix: ERRORS[code] },
        'segments cannot be stored and are lost; the streams go on',
      );
    }
    this.#lost++;
    this.#lastAt = this.#clock.now();
    this.#losing.add(stream);
    this.#forgetEnded();
    if (this.#streams.has(stream)) return;
    this.#streams.add(stream);
    this.#streamCount++;
  }

  /**
   * It is over when every live stream has its segments stored again: one that has ended says nothing about the store.
   *
   * @param losesOthers the stream has lost segments lately
   */
  segmentStored(stream: Stream, losesOthers: boolean): void {
    if (this.#lost === 0) return;
    if (!losesOthers) this.#losing.delete(stream);
    this.#forgetEnded();
    if (this.#losing.size > 0 || this.#clock.now() - this.#lastAt < STORE_QUIET_MS) return;
    this.#log.info({ lost: this.#lost, streams: this.#streamCount }, 'segments can be stored again');
    this.#lost = 0;
    this.#streams = new WeakSet();
    this.#streamCount = 0;
  }

  #forgetEnded(): void {
    for (const stream of this.#losing) if (stream.state !== 'live') this.#losing.delete(stream);
  }
}

export function codeOfStoreError(error: unknown): ErrorCode {
  if (error instanceof SluiceError) return error.code;
  return lacksDescriptors(error) ? 'SLUICE_DESCRIPTORS_EXHAUSTED' : 'SLUICE_STORE_FAILED';
}
