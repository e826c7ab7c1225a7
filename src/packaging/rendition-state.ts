import type { MediaWindow, Variant } from '../formats/m3u8/playlist.ts';
import type { EpochMs, Ticks } from '../media/time.ts';

/** A segment that has left the playlist and stays fetchable for a while. */
export interface RetiredSegment {
  readonly uri: string;
  readonly bytes: number;
  readonly duration: Ticks;
  readonly until: EpochMs;
}

/** What the multivariant playlist says of the media itself. */
export type RenditionDescription = Pick<Variant, 'codecs' | 'resolution' | 'frameRate'>;

/** What a rendition needs to go on after a restart as if there had been none. */
export interface RenditionState extends MediaWindow {
  readonly retired: readonly RetiredSegment[];
  readonly description: RenditionDescription;
  /** Bits per second, measured so far. */
  readonly bandwidth: { readonly peak: number; readonly average: number };
}

/** The same of a rendition beside the source. */
export interface AlignedState extends RenditionState {
  readonly name: string;
}

/** What a stream needs to go on after a restart. */
export interface StreamState {
  readonly app: string;
  readonly name: string;
  readonly savedAt: EpochMs;
  readonly startedAt: EpochMs;
  /** Newest media; the next publisher continues here. */
  readonly end: Ticks;
  /** Null before the first segment. */
  readonly rendition: RenditionState | null;
  /** Other renditions of it; empty where there is no `rendition`. */
  readonly aligned: readonly AlignedState[];
  readonly nextMediaSequence: number;
  readonly nextDiscontinuitySequence: number;
}
