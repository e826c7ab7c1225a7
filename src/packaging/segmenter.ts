import type { Packet } from '../media/packet.ts';
import { type Ticks, ticksFromMs } from '../media/time.ts';
import type { Track } from '../media/track.ts';

/** A cut this part of the wanted duration early is taken, so that 1.5 s keyframes do not make 3 s segments. */
const EARLY = 0.25;
/** After a segment that had to begin without a keyframe the next keyframe is taken almost at once. */
const RECOVERY = 0.25;
/** Media sequence numbers count on segments not being shorter than a second on average. */
const SHORTEST = ticksFromMs(1000);
const SHORTEST_LOOK_AHEAD = ticksFromMs(50);

/** `cut` starts a segment at a keyframe; `forced-cut` starts one because the old may not get any longer. */
export type SegmentDecision = 'append' | 'cut' | 'forced-cut';

/**
 * Decides where segments end. It looks at times and keyframes of one leading track and knows no bytes; muxers obey.
 */
export class Segmenter {
  readonly #wanted: Ticks;
  #longest: Ticks;
  #leading: Track | null = null;
  #start: Ticks = 0;
  /** From here on a keyframe cuts. */
  #earliest: Ticks = 0;
  #lastLeading: Ticks = 0;
  #interval: Ticks = SHORTEST_LOOK_AHEAD;

  constructor(wanted: Ticks, longest: Ticks) {
    this.#wanted = wanted;
    this.#longest = longest;
  }

  /** No segment gets longer than this from now on. */
  limit(longest: Ticks): void {
    this.#longest = longest;
  }

  /** @param independent whether the segment begins with a keyframe */
  begin(leading: Track, start: Ticks, independent: boolean): void {
    this.#leading = leading;
    this.#start = start;
    this.#lastLeading = start;
    const early = leading.kind === 'video' ? 1 - EARLY : 1;
    const usual = Math.max(SHORTEST, this.#wanted * early);
    this.#earliest = start + (independent ? usual : this.#wanted * RECOVERY);
  }

  decide(packet: Packet): SegmentDecision {
    const elapsed = packet.dts - this.#start;
    if (packet.track === this.#leading) {
      const interval = packet.dts - this.#lastLeading;
      if (interval > 0) {
        this.#interval = Math.max(SHORTEST_LOOK_AHEAD, interval);
      }
      this.#lastLeading = packet.dts;
      if (packet.keyframe && packet.dts >= this.#earliest) return 'cut';
    }
    // The next frame would come too late. Any track may notice: the leading one may have stopped.
    const lookAhead = Math.min(this.#interval, this.#longest / 2);
    return elapsed + lookAhead > this.#longest ? 'forced-cut' : 'append';
  }
}
