/** Something a streamer or operator should change. Shown in the API, on the page and once in the log. */
export interface Warning {
  readonly code:
    | 'keyframe-interval-long'
    | 'segments-without-keyframe'
    | 'track-not-in-hls'
    | 'damaged-media';
  readonly message: string;
  /** What to do, with the menu path where there is one. */
  readonly fix: string;
}
