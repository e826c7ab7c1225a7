import type { EpochMs } from '../../media/time.ts';
import type { TrackEncoder } from '../track-encoder.ts';
import type { Rung } from './rung.ts';

/** An ffmpeg that encodes rungs of one epoch. */
export interface Job {
  readonly encoder: TrackEncoder;
  readonly epoch: number;
  readonly rungs: readonly Rung[];
  /** Number of the first segment it was given. */
  readonly from: number;
  readonly startedAt: EpochMs;
  /** Its input is over; it ends by itself. */
  ending: boolean;
  /** It was told to go, and another may begin. */
  stopping: boolean;
}

/** It takes pictures. */
export function isOpen({ ending, stopping }: Job): boolean {
  return !ending && !stopping;
}
