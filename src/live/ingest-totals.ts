import type { IngestStats } from './ingest-stats.ts';

/** What was taken in, counted up. */
export interface IngestFigures {
  readonly receivedBytes: number;
  readonly frames: { readonly video: number; readonly audio: number };
  readonly dropped: { readonly before_keyframe: number; readonly undeclared_track: number };
  readonly damagedMessages: number;
}

export function ingestFigures(stats: IngestStats): IngestFigures {
  return {
    receivedBytes: stats.bytes,
    frames: { video: stats.videoFrames, audio: stats.audioFrames },
    dropped: {
      before_keyframe: stats.drops.beforeKeyframe,
      undeclared_track: stats.drops.undeclaredTrack,
    },
    damagedMessages: stats.damagedMessages,
  };
}

/** Of all streams since the start. Those of streams alone would fall back when one is gone. */
export class IngestTotals {
  #ended: IngestFigures = {
    receivedBytes: 0,
    frames: { video: 0, audio: 0 },
    dropped: { before_keyframe: 0, undeclared_track: 0 },
    damagedMessages: 0,
  };

  /** Nothing is added to these any more. */
  end(stats: IngestStats): void {
    this.#ended = sum(this.#ended, ingestFigures(stats));
  }

  /** @param live those that have not ended */
  with(live: readonly IngestStats[]): IngestFigures {
    return live.map(ingestFigures).reduce(sum, this.#ended);
  }
}

function sum(a: IngestFigures, b: IngestFigures): IngestFigures {
  return {
    receivedBytes: a.receivedBytes + b.receivedBytes,
    frames: { video: a.frames.video + b.frames.video, audio: a.frames.audio + b.frames.audio },
    dropped: {
      before_keyframe: a.dropped.before_keyframe + b.dropped.before_keyframe,
      undeclared_track: a.dropped.undeclared_track + b.dropped.undeclared_track,
    },
    damagedMessages: a.damagedMessages + b.damagedMessages,
  };
}
