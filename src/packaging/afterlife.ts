import type { MediaWindow } from '../formats/m3u8/playlist.ts';
import { type EpochMs, msFromTicks } from '../media/time.ts';
import type { StreamState } from './rendition-state.ts';

/** Ended playlists stay at least this long, however short they were. */
const SHORTEST_AFTERLIFE_MS = 10_000;

/** How long a playlist that has ended, and its segments, are kept: as long as a player takes that is at its beginning. */
export function afterlifeMs({ segments }: MediaWindow): number {
  const ticks = segments.reduce((sum, { duration }) => sum + duration, 0);
  return Math.max(msFromTicks(ticks), SHORTEST_AFTERLIFE_MS);
}

/**
 * Whether players may still be in a stream that an earlier process wrote down.
 *
 * @param graceMs how long one that has not ended waits for its publisher
 */
export function isStillPlayed({ rendition, savedAt }: StreamState, graceMs: number, now: EpochMs): boolean {
  if (rendition === null) return false;
  return now - savedAt <= (rendition.ended ? afterlifeMs(rendition) : graceMs);
}
