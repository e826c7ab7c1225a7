import type { MediaWindow, Variant } from '../formats/m3u8/playlist.ts';
import type { HlsPackager } from './hls-packager.ts';
import type { Rendition } from './rendition.ts';

/** File name of the source's media playlist inside its stream's folder. */
export const MEDIA_PLAYLIST = 'media.m3u8';
const ALIGNED_PLAYLIST = /^media-([a-z0-9]{1,16})\.m3u8$/;
/** Players begin this many segments before the end (RFC 8216 6.3.3), and look for the same place in another variant. */
const JOIN_SEGMENTS = 3;

/** File name of a rendition's media playlist. */
export function playlistName(rendition: string): string {
  return `media-${rendition}.m3u8`;
}

/** The rendition whose media playlist this is; null for any other file. */
export function renditionOf(file: string): string | null {
  return ALIGNED_PLAYLIST.exec(file)?.[1] ?? null;
}

/**
 * What the multivariant playlist offers: the source, and the renditions that a player can change to where it is.
 *
 * @param uriOf address of a media playlist by its file name
 */
export function offeredVariants(packager: HlsPackager, uriOf: (file: string) => string): Variant[] {
  const { rendition, aligned } = packager;
  const source = rendition.variant(uriOf(MEDIA_PLAYLIST));
  if (source === null) return [];
  const others = [...aligned].flatMap(([name, { current }]) => {
    if (current === null || !isOffered(packager, current)) return [];
    return current.variant(uriOf(playlistName(name))) ?? [];
  });
  return [source, ...others];
}

/** A rendition that has just begun, or has fallen behind, would make players jump. */
export function isOffered({ rendition }: HlsPackager, aligned: Rendition): boolean {
  const [leading, own] = [ends(rendition.window), ends(aligned.window)];
  if (leading === null || own === null) return false;
  const join = Math.max(leading.first, leading.last - JOIN_SEGMENTS + 1);
  return own.first <= join && own.last >= join;
}

function ends({ segments }: MediaWindow): { first: number; last: number } | null {
  const [first, last] = [segments[0], segments.at(-1)];
  if (first === undefined || last === undefined) return null;
  return { first: first.mediaSequence, last: last.mediaSequence };
}
