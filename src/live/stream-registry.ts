import { SluiceError } from '../media/errors.ts';
import { groupBy } from '../media/group-by.ts';
import { networkOf } from '../media/network-of.ts';
import type { EpochMs } from '../media/time.ts';
import { type Publication, type Publisher, Stream, type StreamOptions, type StreamResume } from './stream.ts';

/** What happens when a name is published that already has a publisher. */
export type TakeoverPolicy = 'newest' | 'reject';

export interface StreamRegistryOptions extends StreamOptions {
  readonly takeover: (app: string) => TakeoverPolicy;
  /** Names known at a time: live, waiting, or ended and not yet removed. */
  readonly maxStreams: () => number;
  /** A stream of this address goes for one of another. It is closed next, if it is not yet. */
  readonly onDisplaced?: (stream: Stream, address: string) => void;
}

/** All streams of the gateway by application and name. */
export class StreamRegistry {
  /** In the order in which they began. */
  readonly #streams = new Map<string, Stream>();
  /** Closed for a newcomer; their playlists are still played to the end. */
  readonly #displaced = new Set<Stream>();
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
   * @throws SluiceError SLUICE_RTMP_LIMIT when it would be one stream too many, and no address has more than its own
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
    const full = stream === undefined && this.#streams.size >= maxStreams;
    if (full && !this.#makeRoom(publisher.address, maxStreams)) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', `${maxStreams} streams exist already`);
    }
    if (stream === undefined || stream.state === 'closed') {
      stream = new Stream(app, name, this.#options);
      this.#streams.delete(key);
      this.#streams.set(key, stream);
    }
    return stream.publish(publisher);
  }

  /**
   * Who publishes as many names as there may be must not keep everybody else out: the newest stream of the address that
   * has most goes, unless the newcomer's address would then have as many.
   */
  #makeRoom(address: string, maxStreams: number): boolean {
    const published = [...this.#streams.values()].filter((stream) => stream.address !== null);
    const byNetwork = groupBy(published, (stream) => networkOf(stream.address ?? ''));
    const own = byNetwork.get(networkOf(address))?.length ?? 0;
    const most = [...byNetwork.values()].reduce((a, b) => (b.length > a.length ? b : a), []);
    const newest = most.at(-1);
    // What is left of those that went takes memory too.
    if (newest === undefined || most.length <= own + 1 || this.#displaced.size >= maxStreams) return false;
    this.#streams.delete(keyOf(newest.app, newest.name));
    this.#displaced.add(newest);
    this.#options.onDisplaced?.(newest, newest.address ?? '');
    newest.close('SLUICE_RTMP_LIMIT');
    return true;
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
    this.#displaced.delete(stream);
    const key = keyOf(stream.app, stream.name);
    if (this.#streams.get(key) === stream) this.#streams.delete(key);
  }
}

/** Neither part can contain a slash at its ends or twice, so the pair is unique. */
function keyOf(app: string, name: string): string {
  return `${app}/${name}`;
}
