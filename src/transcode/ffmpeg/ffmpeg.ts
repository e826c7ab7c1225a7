/** An ffmpeg that works, and what it can do. */
export interface Ffmpeg {
  readonly path: string;
  readonly origin: 'configured' | 'ffmpeg-static' | 'PATH';
  readonly version: FfmpegVersion;
  readonly encoders: ReadonlySet<string>;
  readonly decoders: ReadonlySet<string>;
  readonly filters: ReadonlySet<string>;
}

export interface FfmpegVersion {
  /** That of the newest release a build from git may contain; 99 where its text does not tell. */
  readonly major: number;
  readonly minor: number;
  /** As it calls itself: `5.1.9-0+deb12u1`. */
  readonly text: string;
}

export { type FfmpegFinder, type FfmpegFinderOptions, makeFfmpegFinder } from './finder.ts';
