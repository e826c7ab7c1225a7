import { Histogram } from '../media/histogram.ts';

/** From the packet that closed a segment to the playlist that lists it, in seconds. */
const LISTING_BOUNDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
/**
 * Of segments in seconds: a little above what encoders are set to, because segments are a frame longer now and then.
 */
const DURATION_BOUNDS = [0.5, 1.1, 1.6, 2.1, 2.6, 3.1, 4.1, 5.1, 6.1, 8.1, 10.1, 15.1, 20.1, 30.1];
/** In seconds: from what the gateway itself needs to players that run dry. */
const LATENESS_BOUNDS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/** Running totals over all streams, those that ended included. */
export class PackagingFigures {
  /** Segments that the store refused: viewers never saw them. */
  segmentsLost = 0;
  /** Segments that could not be stored or not deleted. */
  storeErrors = 0;
  /** Seconds. */
  readonly listing = new Histogram(LISTING_BOUNDS);
  /** Of sources, in seconds, as what follows. Renditions of the ladder have the same cuts. */
  readonly duration = new Histogram(DURATION_BOUNDS);
  /** What was listed before its media could have ended counts as 0: sums must not fall. */
  readonly lateness = new Histogram(LATENESS_BOUNDS);
}

/** The newest segment listed, in seconds. */
export interface ListedFigures {
  readonly duration: number;
  /** How long after the end of its media, by its program date time, it was listed. */
  readonly lateness: number;
}
