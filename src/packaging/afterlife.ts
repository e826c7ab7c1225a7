import type { MediaWindow } from '../formats/m3u8/playlist.ts';
import { msFromTicks } from '../media/time.ts';

/** Ended playlists stay at least this long, however short they were. */
const SHORTEST_AFTERLIFE_MS = 10_000;

/** How long a playlist that has ended, and its segments, are kept: as long as a player takes that is at its beginning. */
export function afterlifeMs({ segments }: MediaWindow): number {
  const ticks = segments.reduce((sum, { duration }) => sum + duration, 0);
  return Math.max(msFromTicks(ticks), SHORTEST_AFTERLIFE_MS);
}
