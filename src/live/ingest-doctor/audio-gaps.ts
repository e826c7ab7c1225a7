import {
  secondsFromTicks,
  type Ticks,
  ticksFromMs,
  ticksFromSamples,
  ticksFromSeconds,
} from '../../media/time.ts';
import type { AudioTrack } from '../../media/track.ts';
import type { Warning } from '../../media/warning.ts';

/** What is below 100 ms the timeline evens out; a little less, because it rounds. */
const GAP = ticksFromMs(95);
/** Stands in where frames have no fixed length; Opus sends one so often while nobody speaks. */
const LONGEST_FRAME = ticksFromMs(400);
/** One is a device that was plugged in … */
const GAPS_TO_BELIEVE = 3;
const GAPS_WITHIN = ticksFromSeconds(60);
/** … but a second of silence everybody hears. */
const LONG_GAP = ticksFromMs(1000);
/** Counting further helps nobody. */
const MOST_GAPS = 100;
/** Video goes on without late audio after a second; twice that is not late any more. */
const SILENCE = ticksFromMs(2000);

/** Holes in the audio while the stream goes on. */
export class AudioGaps {
  /** Where the last few were. */
  #gaps: { at: Ticks; length: Ticks }[] = [];
  #frame: number = LONGEST_FRAME;
  /** End of the last frame; not a number when the next distance means nothing. */
  #end: number = Number.NaN;

  /** The timeline was interrupted; it goes on with this track, if any. */
  begin(track: AudioTrack | null): void {
    const fixed = track !== null && track.samplesPerFrame > 0 && track.sampleRate > 0;
    this.#frame = fixed ? ticksFromSamples(track.samplesPerFrame, track.sampleRate) : LONGEST_FRAME;
    this.#end = Number.NaN;
  }

  frame(dts: Ticks): Warning | null {
    const hole = dts - this.#end;
    this.#end = dts + this.#frame;
    return hole >= GAP ? this.#gap(dts, hole) : null;
  }

  /** @param newest decode time of the newest packet of any track */
  silence(newest: Ticks): Warning | null {
    const silent = newest - this.#end;
    if (!(silent >= SILENCE)) return null;
    const seconds = Math.floor(secondsFromTicks(silent));
    return audioGaps('problem', `The sound stopped ${seconds} s ago; the picture goes on.`);
  }

  #gap(at: Ticks, length: Ticks): Warning | null {
    this.#gaps = this.#gaps.filter((gap) => at - gap.at < GAPS_WITHIN).slice(1 - MOST_GAPS);
    this.#gaps.push({ at, length });
    const few = this.#gaps.length < GAPS_TO_BELIEVE;
    if (few && length < LONG_GAP) return null;
    const longest = secondsFromTicks(this.#gaps.reduce((max, gap) => Math.max(max, gap.length), 0)).toFixed(
      1,
    );
    const message = few
      ? `The sound was away for ${longest} s.`
      : `The sound has ${this.#gaps.length} gaps a minute, the longest of ${longest} s.`;
    return audioGaps('warning', message);
  }
}

function audioGaps(severity: Warning['severity'], message: string): Warning {
  return {
    code: 'audio-gaps',
    severity,
    message,
    fix: 'In OBS: Settings > Audio > Sample Rate: the one the audio devices use (48 kHz), and look at View > Stats for an overloaded computer. Check the cable and the battery of the microphone.',
  };
}
