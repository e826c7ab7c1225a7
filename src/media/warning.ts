/**
 * - `notice`: works, could be better
 * - `warning`: viewers notice it
 * - `problem`: viewers suffer from it now
 */
export type Severity = 'notice' | 'warning' | 'problem';

/** Something a streamer or operator should change. Shown in the API, on the page and once in the log. */
export interface Warning {
  readonly code:
    | 'audio-channels'
    | 'audio-gaps'
    | 'audio-missing'
    | 'audio-sample-rate'
    | 'b-frames'
    | 'clock-drift'
    | 'damaged-media'
    | 'faster-than-real-time'
    | 'frame-rate-variable'
    | 'frames-missing'
    | 'keyframe-interval-long'
    | 'keyframe-interval-uneven'
    | 'segments-lost'
    | 'segments-without-keyframe'
    | 'track-converted'
    | 'track-not-converted'
    | 'track-not-in-hls'
    | 'upload-behind'
    | 'upload-stalled'
    | 'video-interlaced'
    | 'video-level'
    | 'video-profile';
  readonly severity: Severity;
  readonly message: string;
  /** What to do, with the menu path where there is one. */
  readonly fix: string;
}

/** The verdict in one word. */
export type Health = 'good' | 'fair' | 'poor';

const BY_WEIGHT: readonly Severity[] = ['problem', 'warning', 'notice'];

/** The worst first; equal ones keep their order. */
export function sortedBySeverity(warnings: readonly Warning[]): Warning[] {
  return warnings.toSorted((a, b) => BY_WEIGHT.indexOf(a.severity) - BY_WEIGHT.indexOf(b.severity));
}

/** Poor with a problem, fair with a warning; notices do not count. */
export function healthOf(warnings: readonly Warning[]): Health {
  if (warnings.some(({ severity }) => severity === 'problem')) return 'poor';
  return warnings.some(({ severity }) => severity === 'warning') ? 'fair' : 'good';
}
