import type { EpochMs } from '../../media/time.ts';
import type { Warning } from '../../media/warning.ts';
import { lateness, type PaceSample, uploadBehind } from './pace.ts';

/** The least delayed sample of so much time stands for it: the network only ever makes media late. */
const POINT_MS = 30_000;
/** Five minutes. */
const INTERVALS = 10;
/** Ordinary quartz is ten times better; at this rate a viewer's buffer of 6 s is gone in less than two hours. */
const DRIFT = 0.001;
/** No clock is this wrong: the uplink or the encoder is too slow. */
const NOT_A_CLOCK = 0.01;
/** Intervals that must say the same. The others may have seen a stall, or a track that came or went. */
const AGREEING = 8;

/** The publisher's clock against ours, over minutes. */
export class ClockDrift {
  #first: PaceSample | null = null;
  #pointEnds: EpochMs = 0;
  #earliest: PaceSample | null = null;
  readonly #points: PaceSample[] = [];

  /** Media time was interrupted: what came before cannot be compared. */
  interrupt(): void {
    this.#first = null;
    this.#earliest = null;
    this.#points.length = 0;
  }

  sample(sample: PaceSample): Warning | null {
    if (this.#first === null) {
      this.#first = sample;
      this.#pointEnds = sample.wall + POINT_MS;
    }
    if (this.#earliest === null || lateness(this.#earliest, sample) < 0) this.#earliest = sample;
    if (sample.wall < this.#pointEnds) return null;
    this.#points.push(this.#earliest);
    if (this.#points.length > INTERVALS + 1) this.#points.shift();
    this.#earliest = null;
    this.#pointEnds = sample.wall + POINT_MS;
    return this.#points.length > INTERVALS ? judge(this.#points) : null;
  }
}

/** A step (a stall, another buffer) changes one interval; drift changes them all. */
function judge(points: readonly PaceSample[]): Warning | null {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return null;
  const rates = points.slice(1).map((point, index) => slowness(points[index] ?? first, point));
  const rate = rates.toSorted((a, b) => a - b)[rates.length >> 1] ?? 0;
  if (Math.abs(rate) < DRIFT) return null;
  const agreeing = rates.filter((one) => one / rate > 0.5 && one / rate < 2);
  if (agreeing.length < AGREEING) return null;
  if (rate > NOT_A_CLOCK) return uploadBehind(first, last);
  return rate < -NOT_A_CLOCK ? null : clockDrift(rate);
}

/** Seconds lost per second. */
function slowness(from: PaceSample, to: PaceSample): number {
  return lateness(from, to) / (to.wall - from.wall);
}

function clockDrift(rate: number): Warning {
  const size = Math.abs(rate);
  const [direction, effect] =
    rate > 0 ? ['slow', 'run dry now and then'] : ['fast', 'fall further and further behind'];
  return {
    code: 'clock-drift',
    severity: 'warning',
    message: `The encoder's clock is ${(size * 100).toFixed(2)} % ${direction} (${(size * 3600).toFixed(0)} s an hour), so players ${effect}.`,
    fix: 'Restart the encoder; in a virtual machine, switch on time synchronisation. With ffmpeg and a capture device: -use_wallclock_as_timestamps 1 before -i. In OBS: Sources > the audio device > Properties > Use Device Timestamps: off.',
  };
}
