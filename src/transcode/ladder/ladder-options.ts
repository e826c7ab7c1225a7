import type { Clock } from '../../media/clock.ts';
import type { SluiceError } from '../../media/errors.ts';
import type { HlsPackager } from '../../packaging/hls-packager.ts';
import type { Ffmpeg } from '../ffmpeg/ffmpeg.ts';
import type { FfmpegFinder } from '../ffmpeg/finder.ts';
import type { JobLimit } from '../job-limit.ts';
import type { startTrackEncoder } from '../track-encoder.ts';
import type { RungEntry } from './rungs.ts';

/** What holds for the stream's application now. */
export interface LadderSettings {
  readonly entries: readonly RungEntry[];
  readonly when: 'watched' | 'always';
  /** Encoding goes on for this long after the last request. */
  readonly idleMs: number;
  readonly encoder: string;
  readonly preset: string;
  readonly niceness: number;
  readonly threads: number;
}

/** What the log, the metrics and the library's user are told. */
export type LadderEvent =
  | { readonly kind: 'started'; readonly rungs: readonly string[]; readonly pid: number | null }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: SluiceError; readonly retryMs: number }
  | { readonly kind: 'omitted'; readonly rung: string; readonly reason: string }
  | { readonly kind: 'shed'; readonly rung: string; readonly lagMs: number }
  | { readonly kind: 'back'; readonly rung: string };

export interface LadderOptions {
  readonly clock: Clock;
  readonly packager: HlsPackager;
  readonly settings: () => LadderSettings;
  readonly ffmpeg: FfmpegFinder;
  readonly jobs: JobLimit;
  readonly startEncoder: typeof startTrackEncoder;
  /** ffmpeg's name of the encoder that `auto` or a name in the configuration stands for. */
  readonly resolveEncoder: (ffmpeg: Ffmpeg, encoder: string) => Promise<string>;
  /** Measured frames per second of the source, or null. */
  readonly frameRate: () => number | null;
  readonly onEvent: (event: LadderEvent) => void;
}
