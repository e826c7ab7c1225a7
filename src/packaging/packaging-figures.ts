import { Histogram } from '../media/histogram.ts';

/** From the packet that closed a segment to the playlist that lists it, in seconds. */
const LISTING_BOUNDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** Running totals over all streams, those that ended included. */
export class PackagingFigures {
  /** Segments that the store refused: viewers never saw them. */
  segmentsLost = 0;
  /** Segments that could not be stored or not deleted. */
  storeErrors = 0;
  /** Seconds. */
  readonly listing = new Histogram(LISTING_BOUNDS);
}

/** The newest segment listed, in seconds. */
export interface ListedFigures {
  readonly duration: number;
  /** How long after the end of its media, by its program date time, it was listed. */
  readonly lateness: number;
}
