import { type EpochMs, secondsFromTicks, type Ticks } from '../../media/time.ts';

/** One entry of a media playlist. */
export interface SegmentInfo {
  readonly mediaSequence: number;
  /** Relative to the playlist. */
  readonly uri: string;
  readonly duration: Ticks;
  readonly bytes: number;
  readonly programDateTime: EpochMs;
  /** The media before this segment does not continue into it. */
  readonly discontinuity: boolean;
  /** Starts with an IDR (or is audio only). */
  readonly independent: boolean;
}

/** An immutable snapshot of a rendition; the playlist is a pure rendering of it. */
export interface MediaWindow {
  /** Seconds, fixed when the first segment is published. */
  readonly targetDuration: number;
  readonly discontinuitySequence: number;
  readonly segments: readonly SegmentInfo[];
  readonly ended: boolean;
}

/** One EXT-X-STREAM-INF. */
export interface Variant {
  readonly uri: string;
  /** Bits per second, peak and mean, measured on whole segments. */
  readonly bandwidth: number;
  readonly averageBandwidth: number;
  readonly codecs: readonly string[];
  readonly resolution: { readonly width: number; readonly height: number } | null;
  readonly frameRate: number | null;
}

/** Renders a live media playlist (RFC 8216 4.3.3). Version 6 is the first that lets EXTINF round down to
 * the target duration. */
export function renderMediaPlaylist(window: MediaWindow): string {
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:6',
    `#EXT-X-TARGETDURATION:${window.targetDuration}`,
    `#EXT-X-MEDIA-SEQUENCE:${window.segments[0]?.mediaSequence ?? 0}`,
    // Always present: a discontinuity may leave the window at any time (Apple authoring rule 8.17).
    `#EXT-X-DISCONTINUITY-SEQUENCE:${window.discontinuitySequence}`,
  ];
  if (window.segments.every((segment) => segment.independent)) lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
  for (const segment of window.segments) {
    if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY');
    lines.push(
      `#EXT-X-PROGRAM-DATE-TIME:${new Date(Math.round(segment.programDateTime)).toISOString()}`,
      `#EXTINF:${secondsFromTicks(segment.duration).toFixed(5)},`,
      segment.uri,
    );
  }
  if (window.ended) lines.push('#EXT-X-ENDLIST');
  return `${lines.join('\n')}\n`;
}

/** Renders a multivariant playlist (RFC 8216 4.3.4). */
export function renderMultivariantPlaylist(variants: readonly Variant[]): string {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:6'];
  const hasPictures = variants.some(({ resolution }) => resolution !== null);
  for (const variant of variants) {
    const attributes = [`BANDWIDTH=${variant.bandwidth}`, `AVERAGE-BANDWIDTH=${variant.averageBandwidth}`];
    if (variant.codecs.length > 0) attributes.push(`CODECS="${variant.codecs.join(',')}"`);
    if (variant.resolution !== null) {
      attributes.push(`RESOLUTION=${variant.resolution.width}x${variant.resolution.height}`);
      if (variant.frameRate !== null) attributes.push(`FRAME-RATE=${variant.frameRate.toFixed(3)}`);
    }
    // Without this AVPlayer offers a closed-caption track that is not there. On all or none (RFC 8216 4.3.4.2).
    if (hasPictures) attributes.push('CLOSED-CAPTIONS=NONE');
    lines.push(`#EXT-X-STREAM-INF:${attributes.join(',')}`, variant.uri);
  }
  return `${lines.join('\n')}\n`;
}
