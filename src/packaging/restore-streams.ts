import type { Stream } from '../live/stream.ts';
import type { StreamRegistry } from '../live/stream-registry.ts';
import type { EpochMs } from '../media/time.ts';
import { afterlifeMs } from './afterlife.ts';
import type { HlsOutputs } from './hls-outputs.ts';
import type { StreamState } from './rendition-state.ts';

export interface RestoreOptions {
  readonly outputs: Pick<HlsOutputs, 'begin' | 'remember'>;
  readonly registry: Pick<StreamRegistry, 'restore'>;
  /** How long a stream of the application waits for its publisher. */
  readonly graceMs: (app: string) => number;
  readonly now: EpochMs;
}

export interface RestoredStreams {
  /** For their publishers. */
  readonly waiting: readonly Stream[];
  /** Closed, with players that may still be in them. */
  readonly ended: readonly Stream[];
}

/** Goes on with what an earlier process wrote down. Of streams that nobody can be in any more, only the numbers go on. */
export function restoreStreams(states: readonly StreamState[], options: RestoreOptions): RestoredStreams {
  const { outputs, registry, graceMs, now } = options;
  const restored: Record<keyof RestoredStreams, Stream[]> = { waiting: [], ended: [] };
  for (const state of states) {
    const { app, name, startedAt, end, savedAt, rendition } = state;
    const closed = rendition?.ended === true;
    const lifeMs = closed ? afterlifeMs(rendition) : graceMs(app);
    if (rendition === null || now - savedAt > lifeMs) {
      outputs.remember(state);
      continue;
    }
    const stream = registry.restore(app, name, { startedAt, end, closed });
    outputs.begin(stream, state);
    restored[closed ? 'ended' : 'waiting'].push(stream);
  }
  return restored;
}
