import type { MediaWindow, SegmentInfo } from '../formats/m3u8/playlist.ts';
import { type EpochMs, msFromTicks, secondsFromTicks, type Ticks } from '../media/time.ts';
import type { RenditionState, RetiredSegment } from './rendition-state.ts';

/** RFC 8216 6.2.2: never let the playlist get shorter than three target durations. */
const SHORTEST_WINDOW = 3;
/**
 * Media that stays fetchable after it has left the list, in lengths of the longest list: in real time a little more than
 * one is needed. An encoder that sends a file as fast as it can would fill the memory instead, and no player could follow
 * it.
 */
const MOST_RETIRED_LISTS = 4;

/**
 * The segments of one rendition: those listed, as an immutable {@link MediaWindow}, and those that have left the list
 * but stay fetchable, because a player may have read the list just before (RFC 8216 6.2.2).
 */
export class SegmentHistory {
  readonly #listed: number;
  #window: MediaWindow;
  #duration: Ticks = 0;
  /** Of all lists so far: when segments become short, players still play what a longer list showed them. */
  #longest: Ticks = 0;
  #bytes = 0;
  #retired: RetiredSegment[] = [];
  #retiredDuration: Ticks = 0;

  /**
   * @param listed segments in the playlist; more where three target durations need more
   * @param discontinuitySequence of the first segment
   */
  constructor(listed: number, discontinuitySequence: number) {
    this.#listed = listed;
    this.#window = { targetDuration: 0, discontinuitySequence, segments: [], ended: false };
  }

  get window(): MediaWindow {
    return this.#window;
  }

  /** Size of every segment that can still be fetched. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Listed media. */
  get duration(): Ticks {
    return this.#duration;
  }

  get retired(): readonly RetiredSegment[] {
    return this.#retired;
  }

  /** Goes on with what was listed before a restart. Before anything else. */
  resume({ retired, targetDuration, discontinuitySequence, segments, ended }: RenditionState): void {
    this.#window = { targetDuration, discontinuitySequence, segments, ended };
    this.#retired = [...retired];
    for (const { duration } of segments) this.#duration += duration;
    this.#longest = this.#duration;
    for (const { duration } of retired) this.#retiredDuration += duration;
    for (const { bytes } of [...segments, ...retired]) this.#bytes += bytes;
  }

  /** Fixes EXT-X-TARGETDURATION, in seconds. Once. */
  begin(targetDuration: number): void {
    this.#window = { ...this.#window, targetDuration };
  }

  /** Lists a segment that the store holds, and unlists old ones. */
  append(segment: SegmentInfo, now: EpochMs): void {
    const segments = [...this.#window.segments, segment];
    this.#bytes += segment.bytes;
    let { discontinuitySequence } = this.#window;
    let duration = this.#duration + segment.duration;
    const longest = duration;
    const shortest = this.#window.targetDuration * SHORTEST_WINDOW;
    for (
      let first = segments[0];
      first !== undefined && segments.length > this.#listed;
      first = segments[0]
    ) {
      if (secondsFromTicks(duration - first.duration) < shortest) break;
      // Long enough for a player that read the longest list with this segment in it to play through it.
      this.#retired.push({
        uri: first.uri,
        bytes: first.bytes,
        duration: first.duration,
        until: now + msFromTicks(longest + first.duration),
      });
      this.#retiredDuration += first.duration;
      if (first.discontinuity) discontinuitySequence++;
      duration -= first.duration;
      segments.shift();
    }
    this.#duration = duration;
    this.#longest = Math.max(this.#longest, duration);
    const { targetDuration, ended } = this.#window;
    this.#window = { targetDuration, discontinuitySequence, segments, ended };
  }

  end(): void {
    this.#window = { ...this.#window, ended: true };
  }

  /** Segments whose time is over, in the order in which they left the list; they are forgotten here and can be deleted. */
  takeExpired(now: EpochMs): string[] {
    const most = this.#longest * MOST_RETIRED_LISTS;
    let count = 0;
    for (const { until, duration, bytes } of this.#retired) {
      if (until > now && this.#retiredDuration <= most) break;
      this.#retiredDuration -= duration;
      this.#bytes -= bytes;
      count++;
    }
    const expired = this.#retired.splice(0, count);
    return expired.map((segment) => segment.uri);
  }

  /** When the next segment's time is over; null while none waits for it. */
  get nextExpiry(): EpochMs | null {
    return this.#retired[0]?.until ?? null;
  }

  has(uri: string): boolean {
    return (
      this.#window.segments.some((segment) => segment.uri === uri) ||
      this.#retired.some((segment) => segment.uri === uri)
    );
  }

  /** Every segment that can still be fetched. */
  uris(): string[] {
    return [...this.#retired, ...this.#window.segments].map((segment) => segment.uri);
  }
}
