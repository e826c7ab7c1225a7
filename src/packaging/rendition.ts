import type { MediaWindow, SegmentInfo, Variant } from '../formats/m3u8/playlist.ts';
import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';
import type { SegmentBody } from '../media/segment-body.ts';
import { type EpochMs, msFromTicks, secondsFromTicks } from '../media/time.ts';
import { BandwidthMeter } from './bandwidth.ts';
import { type ListedFigures, PackagingFigures } from './packaging-figures.ts';
import type { RenditionDescription, RenditionState } from './rendition-state.ts';
import { SegmentHistory } from './segment-history.ts';
import type { SegmentStore } from './segment-store.ts';

/** What may wait for the store; when it hangs, later segments are lost rather than filling the memory. */
const MAX_UNSTORED_BYTES = 64 * 1024 * 1024;

/** What the store was to do with a segment. */
export type StoreAction = 'put' | 'get' | 'delete';

export interface RenditionOptions {
  readonly clock: Clock;
  readonly store: SegmentStore;
  /** Where the segments live in the store; ends with a slash or is empty. */
  readonly storePrefix: string;
  readonly listedSegments: number;
  /** EXT-X-DISCONTINUITY-SEQUENCE of the first segment. Small: hls.js uses it as an array index. */
  readonly firstDiscontinuitySequence: number;
  /** A segment could not be stored and is not listed, or could not be deleted. */
  readonly onStoreError: (error: unknown, uri: string, action: StoreAction) => void;
  /** The store has taken a segment. */
  readonly onStored: () => void;
  /** What was listed before a restart, whose segments the store has; null for a new rendition. */
  readonly resume: RenditionState | null;
  /**
   * The store has a new segment, and `state` includes it. It is listed when this resolves, so that nothing that a
   * player has seen is forgotten in a crash.
   */
  readonly beforeListing: (() => Promise<void>) | null;
  /** The playlist has changed. */
  readonly onListed: () => void;
  /** Where totals of several renditions are kept. */
  readonly figures?: PackagingFigures;
}

/** A segment as it comes out of a muxer, its body held by it. Its media sequence number is given when it is listed. */
export interface FinishedSegment extends Omit<SegmentInfo, 'mediaSequence' | 'bytes'> {
  readonly body: SegmentBody;
  readonly description: RenditionDescription;
  /** When its last packet came. */
  readonly closedAt: EpochMs;
}

/**
 * Gives a segment that the store has its number, and the last word on its discontinuity. Null when it can have none: a
 * segment before it was lost.
 */
export type Numbering = (
  segment: FinishedSegment,
) => Pick<SegmentInfo, 'mediaSequence' | 'discontinuity'> | null;

/** Of encoders that are not exact: how much too early a segment may come. */
const SOON_MS = 500;
/** A disk that is about full takes one segment and refuses the next, and that is one outage. */
export const STORE_QUIET_MS = 10_000;

/**
 * Finished segments on their way into the store and then into the playlist, in order. Only the store takes time; the
 * playlist follows it.
 */
export class Rendition {
  readonly #options: RenditionOptions;
  readonly #history: SegmentHistory;
  readonly #bandwidth = new BandwidthMeter();
  readonly #figures: PackagingFigures;
  /** The newest listed segment's media: what a change announces only once there is a segment of it. */
  #described: RenditionDescription | null = null;
  /** What viewers see; behind the history while a new segment is being written down. */
  #published: MediaWindow;
  /** Bytes handed to the store and not stored yet. */
  #unstoredBytes = 0;
  #newest: ListedFigures | null = null;
  #cancelDeletion: (() => void) | null = null;
  #lost = 0;
  /** When the store last refused a segment; null once it has taken all for a while. */
  #lostAt: EpochMs | null = null;
  /** Store writes in order. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: RenditionOptions) {
    this.#options = options;
    this.#figures = options.figures ?? new PackagingFigures();
    this.#history = new SegmentHistory(options.listedSegments, options.firstDiscontinuitySequence);
    const { resume } = options;
    if (resume !== null) {
      this.#history.resume(resume);
      this.#described = resume.description;
      this.#bandwidth.resume(resume.bandwidth.peak, resume.bandwidth.average, this.#history.duration);
    }
    this.#published = this.#history.window;
  }

  /** What the playlist lists; its `segments` are empty before the first one is finished. */
  get window(): MediaWindow {
    return this.#published;
  }

  /** What it takes to go on after a restart; null before the first segment. */
  get state(): RenditionState | null {
    if (this.#described === null) return null;
    return {
      ...this.#history.window,
      retired: this.#history.retired,
      description: this.#described,
      bandwidth: { peak: this.#bandwidth.peak, average: this.#bandwidth.average },
    };
  }

  /** Size of every segment that can be fetched. */
  get bytes(): number {
    return this.#history.bytes;
  }

  /** Listed media in ms: how long an ended playlist and its segments are worth keeping. */
  get windowMs(): number {
    return msFromTicks(this.#history.duration);
  }

  /** What a stream that follows this one under the same name begins with. */
  get nextDiscontinuitySequence(): number {
    const { discontinuitySequence, segments } = this.#history.window;
    return discontinuitySequence + segments.filter((segment) => segment.discontinuity).length + 1;
  }

  /** The newest segment listed; null before the first. */
  get newest(): ListedFigures | null {
    return this.#newest;
  }

  /** Segments that could not be stored, and never were in the playlist. */
  get lost(): number {
    return this.#lost;
  }

  /** Whether a segment could not be stored, until all have been for a while. */
  get isLosing(): boolean {
    return this.#lostAt !== null;
  }

  /** The variant to offer, measured; null before the first segment. `uri` is that of its media playlist. */
  variant(uri: string): Variant | null {
    if (this.#described === null || this.#published.segments.length === 0) return null;
    return {
      uri,
      bandwidth: this.#bandwidth.peak,
      averageBandwidth: this.#bandwidth.average,
      ...this.#described,
    };
  }

  /** Whether this segment can be fetched. */
  has(uri: string): boolean {
    return this.#history.has(uri);
  }

  /** A finished segment by its name in the playlist, held by the caller; null when unknown or expired. */
  async segment(uri: string): Promise<SegmentBody | null> {
    if (!this.#history.has(uri)) return null;
    const { store, storePrefix } = this.#options;
    try {
      return await store.get(storePrefix + uri);
    } catch (error) {
      this.#storeFailed(error, uri, 'get');
      if (error instanceof SluiceError) throw error;
      throw new SluiceError('SLUICE_STORE_FAILED', 'a segment cannot be read', { cause: error });
    }
  }

  /** Fixes EXT-X-TARGETDURATION, in seconds. Once, before the first segment. */
  begin(targetDuration: number): void {
    this.#history.begin(targetDuration);
  }

  /**
   * Stores and lists a segment.
   *
   * @param listed told when it is in the playlist, or that it never will be
   * @returns false when so much waits for the store that this one is lost at once
   */
  add(segment: FinishedSegment, number: Numbering, listed: (segment: SegmentInfo | null) => void): boolean {
    const { length } = segment.body;
    if (this.#unstoredBytes + length > MAX_UNSTORED_BYTES) {
      this.#lose(
        new SluiceError('SLUICE_STORE_BUSY', `${this.#unstoredBytes} bytes wait for the store`),
        segment.uri,
      );
      segment.body.release();
      return false;
    }
    this.#unstoredBytes += length;
    this.#writing = this.#writing.then(() => this.#store(segment, number, listed));
    return true;
  }

  /** Nothing follows what was added so far. */
  end(): void {
    this.#writing = this.#writing.then(() => {
      this.#history.end();
      this.#publish();
    });
  }

  /** Resolves when everything added so far is listed. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Deletes every segment. The rendition must not be used afterwards. */
  async discard(): Promise<void> {
    await this.#writing;
    this.#cancelDeletion?.();
    await Promise.all(this.#history.uris().map((uri) => this.#delete(uri)));
  }

  async #store(
    segment: FinishedSegment,
    number: Numbering,
    listed: (segment: SegmentInfo | null) => void,
  ): Promise<void> {
    const { clock, store, storePrefix, beforeListing } = this.#options;
    const { uri, body, duration, programDateTime, independent, description, closedAt } = segment;
    const bytes = body.length;
    try {
      await store.put(storePrefix + uri, body);
    } catch (error) {
      this.#lose(error, uri);
      listed(null);
      return;
    } finally {
      this.#unstoredBytes -= bytes;
    }
    if (this.#lostAt !== null && clock.now() - this.#lostAt >= STORE_QUIET_MS) this.#lostAt = null;
    this.#options.onStored();
    const numbers = number(segment);
    if (numbers === null) {
      listed(null);
      await this.#delete(uri);
      return;
    }
    const { mediaSequence, discontinuity } = numbers;
    // Spelt out, not spread: objects of one shape are what all that reads playlists is quick with.
    const info = { mediaSequence, uri, duration, bytes, programDateTime, discontinuity, independent };
    this.#bandwidth.add(info.bytes, info.duration, this.#history.window.targetDuration);
    this.#described = description;
    this.#history.append(info, clock.now());
    if (beforeListing !== null) await beforeListing();
    this.#publish();
    const now = clock.now();
    this.#figures.listing.observe((now - closedAt) / 1000);
    const seconds = secondsFromTicks(info.duration);
    this.#newest = { duration: seconds, lateness: (now - info.programDateTime) / 1000 - seconds };
    listed(info);
    await this.#deleteExpired();
    this.#deleteSoon();
  }

  /**
   * A segment whose time is over just after another was listed would stay until the next one is, and a millisecond
   * decides which it is: memory would go up and down by a segment of every stream.
   */
  #deleteSoon(): void {
    this.#cancelDeletion?.();
    this.#cancelDeletion = null;
    const { clock } = this.#options;
    const waitMs = (this.#history.nextExpiry ?? Number.POSITIVE_INFINITY) - clock.now();
    if (waitMs < SOON_MS) this.#cancelDeletion = clock.after(waitMs, () => void this.#deleteExpired());
  }

  async #deleteExpired(): Promise<void> {
    const expired = this.#history.takeExpired(this.#options.clock.now());
    await Promise.all(expired.map((uri) => this.#delete(uri)));
  }

  #publish(): void {
    this.#published = this.#history.window;
    this.#options.onListed();
  }

  #lose(error: unknown, uri: string): void {
    this.#lost++;
    this.#lostAt = this.#options.clock.now();
    this.#figures.segmentsLost++;
    this.#storeFailed(error, uri, 'put');
  }

  #storeFailed(error: unknown, uri: string, action: StoreAction): void {
    this.#figures.storeErrors++;
    this.#options.onStoreError(error, uri, action);
  }

  async #delete(uri: string): Promise<void> {
    const { store, storePrefix } = this.#options;
    try {
      await store.delete(storePrefix + uri);
    } catch (error) {
      this.#storeFailed(error, uri, 'delete');
    }
  }
}
