import { secondsFromTicks, type Ticks, ticksFromSeconds } from '../media/time.ts';

/** EXTINF is rounded to the nearest second before it is compared, so this much more than the target is still legal. */
const ROUNDING_ROOM = ticksFromSeconds(0.45);
/** A first segment this little over a whole second is jitter, not a reason for a second more. */
const JITTER = ticksFromSeconds(0.1);

export interface TargetDurationInput {
  /** Wanted and longest allowed segment. */
  readonly wanted: Ticks;
  readonly longest: Ticks;
  /** The segment that is about to be published first. */
  readonly first: Ticks;
  /** Longest keyframe distance the encoder announces, where it does. */
  readonly announcedKeyframeInterval: Ticks | null;
}

/**
 * EXT-X-TARGETDURATION in seconds. It can never change once published (RFC 8216 6.2.1), so it is chosen from what the
 * encoder does, seen or announced: a keyframe interval beyond the wanted duration makes longer segments.
 */
export function chooseTargetDuration(input: TargetDurationInput): number {
  const expected = Math.min(
    Math.max(input.wanted, input.first - JITTER, input.announcedKeyframeInterval ?? 0),
    input.longest,
  );
  return Math.max(1, Math.ceil(secondsFromTicks(expected)));
}

/** The longest segment that a playlist with this target duration may list. */
export function longestSegment(targetDuration: number): Ticks {
  return ticksFromSeconds(targetDuration) + ROUNDING_ROOM;
}
