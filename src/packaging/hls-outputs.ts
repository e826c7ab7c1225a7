import { randomBytes } from 'node:crypto';
import type { Stream } from '../live/stream.ts';
import { HlsPackager, type HlsPackagerOptions } from './hls-packager.ts';
import { PackagingFigures } from './packaging-figures.ts';

/** Ended playlists stay at least this long, however short they were. */
const SHORTEST_AFTERLIFE_MS = 10_000;
/** Over a minute at 100 Mb/s. A publisher whose timestamps stand still would otherwise fill the memory. */
const MAX_STREAM_BYTES = 1024 * 1024 * 1024;

export interface HlsOutputsOptions
  extends Pick<
    HlsPackagerOptions,
    'clock' | 'store' | 'segmentDuration' | 'maxSegmentDuration' | 'listedSegments'
  > {
  readonly onStoreError: (stream: Stream, error: unknown, uri: string) => void;
}

/**
 * The packagers of all streams. When a name is published anew after its stream ended, the old one's segments stay for
 * the players that are still in it.
 */
export class HlsOutputs {
  readonly figures = new PackagingFigures();
  readonly #options: HlsOutputsOptions;
  readonly #packagers = new Map<Stream, HlsPackager>();
  /** By app/name, newest first. */
  readonly #byPath = new Map<string, HlsPackager[]>();

  constructor(options: HlsOutputsOptions) {
    this.#options = options;
  }

  of(stream: Stream): HlsPackager | null {
    return this.#packagers.get(stream) ?? null;
  }

  /** Bytes of the segments of all streams that can be fetched. */
  get storedBytes(): number {
    let bytes = 0;
    for (const packager of this.#packagers.values()) bytes += packager.storedBytes;
    return bytes;
  }

  /** Newest first; empty when there is none. */
  find(app: string, name: string): readonly HlsPackager[] {
    return this.#byPath.get(`${app}/${name}`) ?? [];
  }

  /** Makes the stream's packager a sink of it. Once per stream. */
  begin(stream: Stream): void {
    const { onStoreError, clock, ...options } = this.#options;
    const path = `${stream.app}/${stream.name}`;
    const predecessors = this.#byPath.get(path) ?? [];
    const now = clock.now();
    const packager = new HlsPackager({
      ...options,
      clock,
      storePrefix: `${path}/`,
      maxBytes: MAX_STREAM_BYTES,
      session: `${Math.floor(now).toString(36)}${randomBytes(3).toString('hex')}`,
      // Seconds since 1970 never fall back, also not over a restart, and segments are not shorter than a second; but
      // discontinuities make short ones, and players may still remember an ended stream of this name.
      firstMediaSequence: Math.max(Math.floor(now / 1000), predecessors[0]?.nextMediaSequence ?? 0),
      firstDiscontinuitySequence: predecessors[0]?.nextDiscontinuitySequence ?? 0,
      onStoreError: (error, uri) => onStoreError(stream, error, uri),
      figures: this.figures,
    });
    this.#packagers.set(stream, packager);
    this.#byPath.set(path, [packager, ...predecessors]);
    stream.addSink(packager);
  }

  /** Resolves when everything cut so far is listed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#packagers.values()].map((packager) => packager.settled()));
  }

  /**
   * Keeps what an ended stream published for one window, so that every player gets to its end, then deletes it.
   *
   * @returns resolves when the playlist has its ENDLIST
   * @param gone called when all is deleted
   */
  async retire(stream: Stream, gone: () => void): Promise<void> {
    const packager = this.#packagers.get(stream);
    if (packager === undefined) return;
    await packager.settled();
    const empty = packager.window.segments.length === 0;
    const afterlife = empty ? 0 : Math.max(packager.windowMs, SHORTEST_AFTERLIFE_MS);
    this.#options.clock.after(afterlife, () => {
      this.#forget(stream, packager);
      gone();
      void packager.discard();
    });
  }

  #forget(stream: Stream, packager: HlsPackager): void {
    this.#packagers.delete(stream);
    const path = `${stream.app}/${stream.name}`;
    const left = (this.#byPath.get(path) ?? []).filter((other) => other !== packager);
    if (left.length > 0) this.#byPath.set(path, left);
    else this.#byPath.delete(path);
  }
}
