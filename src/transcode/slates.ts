import type { SlateChoice } from '../live/slate.ts';
import type { Clock } from '../media/clock.ts';
import type { Epoch } from '../media/packet.ts';
import type { FfmpegFinder } from './ffmpeg/finder.ts';
import { SlatePictures } from './slate-picture.ts';

export interface SlatesOptions {
  /** `publish.slate` of an application: `none`, `last`, or where the picture comes from. */
  readonly source: (app: string) => string;
  readonly ffmpeg: FfmpegFinder;
  readonly niceness: () => number;
  readonly clock: Clock;
  readonly log: { warn(fields: Record<string, unknown>, message: string): void };
}

/** What streams show while they wait for a publisher. */
export interface Slates {
  /** Null for nothing. */
  choose(app: string): SlateChoice | null;
  /** Makes the pictures for these tracks, so that they are there when they are needed. */
  prepare(app: string, epoch: Epoch): void;
  close(): Promise<void>;
}

export function makeSlates({ source, ffmpeg, niceness, clock, log }: SlatesOptions): Slates {
  const pictures = new SlatePictures({
    ffmpeg: () => ffmpeg.find(),
    niceness,
    clock,
    onFailure: (slate, error) =>
      log.warn(
        { slate, code: error.code, reason: error.message },
        'the slate cannot be made, so the last picture is shown instead',
      ),
  });
  return {
    choose: (app) => {
      const slate = source(app);
      if (slate === 'none') return null;
      return { picture: (track) => (slate === 'last' ? null : pictures.get(slate, track)) };
    },
    prepare: (app, { tracks }) => {
      const slate = source(app);
      if (slate === 'none' || slate === 'last') return;
      for (const track of tracks) if (track.kind === 'video') pictures.prepare(slate, track);
    },
    close: () => pictures.close(),
  };
}
