import { SluiceError } from '../media/errors.ts';
import type { EpochMs } from '../media/time.ts';
import { type Publication, type Publisher, Stream, type StreamOptions, type StreamResume } from './stream.ts';

/** What happens when a name is published that already has a publisher. */
export type TakeoverPolicy = 'newest' | 'reject';

export interface StreamRegistryOptions extends StreamOptions {
  readonly takeover: (app: string) => TakeoverPolicy;
  /** Names known at a time: live, waiting, or ended and not yet removed. */
  readonly maxStreams: () => number;
}

/** All streams of the gateway by application and name. */
export class StreamRegistry {
  readonly #streams = new Map<string, Stream>();
  readonly #options: StreamRegistryOptions;
  /** Until when publishers of a name are refused. */
  readonly #blocked = new Map<string, EpochMs>();

  constructor(options: StreamRegistryOptions) {
    this.#options = options;
  }

  get(app: string, name: string): Stream | null {
    return this.#streams.get(keyOf(app, name)) ?? null;
  }

  list(): Stream[] {
    return [...this.#streams.values()];
  }

  /**
   * Gives a publisher the stream of this name: a new one, the one that waits for it, or the one it takes over.
   *
   * @throws SluiceError SLUICE_PUBLISH_KICKED while the name is blocked
   * @throws SluiceError SLUICE_RTMP_NAME_IN_USE when somebody else publishes it and the policy is `reject`
   * @throws SluiceError SLUICE_RTMP_LIMIT when it would be one stream too many
   */
  publish(app: string, name: string, publisher: Publisher): Publication {
    const key = keyOf(app, name);
    const blockedFor = (this.#blocked.get(key) ?? 0) - this.#options.clock.now();
    if (blockedFor > 0) {
      const seconds = Math.ceil(blockedFor / 1000);
      throw new SluiceError('SLUICE_PUBLISH_KICKED', `${app}/${name} is blocked for ${seconds} s more`);
    }
    let stream = this.#streams.get(key);
    if (stream?.state === 'live' && this.#options.takeover(app) === 'reject') {
      throw new SluiceError('SLUICE_RTMP_NAME_IN_USE', `${app}/${name} already has a publisher`);
    }
    const maxStreams = this.#options.maxStreams();
    if (stream === undefined && this.#streams.size >= maxStreams) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', `${maxStreams} streams exist already`);
    }
    if (stream === undefined || stream.state === 'closed') {
      stream = new Stream(app, name, this.#options);
      this.#streams.set(key, stream);
    }
    return stream.publish(publisher);
  }

  /** Adds a stream of an earlier process. One that is not closed waits for its publisher after `awaitPublisher`. */
  restore(app: string, name: string, resume: StreamResume): Stream {
    const stream = new Stream(app, name, this.#options, resume);
    this.#streams.set(keyOf(app, name), stream);
    return stream;
  }

  /** Refuses publishers of this name from now on, for a time; again begins anew. Who publishes it now is not touched. */
  block(app: string, name: string, ms: number): void {
    const now = this.#options.clock.now();
    for (const [key, until] of this.#blocked) if (until <= now) this.#blocked.delete(key);
    this.#blocked.set(keyOf(app, name), now + ms);
  }

  /** Forgets a closed stream, unless a new one has its name by now. */
  remove(stream: Stream): void {
    const key = keyOf(stream.app, stream.name);
    if (this.#streams.get(key) === stream) this.#streams.delete(key);
  }
}

/** Neither part can contain a slash at its ends or twice, so the pair is unique. */
function keyOf(app: string, name: string): string {
  return `${app}/${name}`;
}
