import { type IngestFigures, ingestFigures } from '../../live/ingest-totals.ts';
import type { Stream } from '../../live/stream.ts';
import type { HlsPackager } from '../../packaging/hls-packager.ts';
import type { StreamView } from './api-schemas.ts';

/** What `/metrics` shows of one stream; null is what is not known, and not shown. */
export interface StreamFigures extends IngestFigures {
  readonly app: string;
  readonly name: string;
  readonly state: StreamView['state'];
  readonly slate: boolean;
  /** Bits per second. */
  readonly bitrate: number;
  readonly frameRate: number | null;
  /** Seconds, as all that follow but the last six. */
  readonly keyframeInterval: number | null;
  readonly segmentDuration: number | null;
  readonly targetDuration: number | null;
  readonly lateness: number | null;
  readonly segmentsLost: number;
  readonly storeErrors: number;
  readonly queuedBytes: number;
  readonly health: StreamView['health'];
  readonly warnings: readonly string[];
  readonly renditions: StreamView['renditions'];
}

/** @param view the same stream as the API shows it */
export function streamFigures(
  { stats, queuedBytes }: Stream,
  packager: HlsPackager | null,
  view: StreamView,
): StreamFigures {
  const { app, name, state, slate, targetDuration, health, warnings, renditions } = view;
  const newest = packager?.rendition.newest ?? null;
  return {
    app,
    name,
    state,
    slate,
    ...ingestFigures(stats),
    bitrate: stats.bitrate,
    frameRate: stats.frameRate,
    keyframeInterval: stats.keyframeInterval,
    segmentDuration: newest?.duration ?? null,
    targetDuration,
    lateness: newest?.lateness ?? null,
    segmentsLost: packager?.rendition.lost ?? 0,
    storeErrors: packager?.storeErrors ?? 0,
    queuedBytes,
    health,
    warnings: warnings.map(({ code }) => code),
    renditions,
  };
}
