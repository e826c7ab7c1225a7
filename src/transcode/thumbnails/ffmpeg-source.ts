import type { Ffmpeg } from '../ffmpeg/ffmpeg.ts';

/** The part of an ffmpeg that pictures need. */
export type PictureFfmpeg = Pick<Ffmpeg, 'path' | 'encoders'>;

/** Where it comes from. */
export interface PictureFfmpegFinder {
  /** Rejects with SLUICE_FFMPEG_MISSING when there is none. */
  find(): Promise<PictureFfmpeg>;
  /** What was found already, so that nobody waits for it. */
  readonly known: PictureFfmpeg | null;
}
