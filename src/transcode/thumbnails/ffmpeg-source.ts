/** The part of an ffmpeg that pictures need. */
export interface PictureFfmpeg {
  readonly path: string;
  readonly encoders: ReadonlySet<string>;
}

/** Where it comes from. */
export interface PictureFfmpegFinder {
  /** Rejects with SLUICE_FFMPEG_MISSING when there is none. */
  find(): Promise<PictureFfmpeg>;
  /** What was found already, so that a cached picture waits for nothing. */
  readonly known: PictureFfmpeg | null;
}
