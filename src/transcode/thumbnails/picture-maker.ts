import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import { type BoundedJobs, makeBoundedJobs } from './bounded-jobs.ts';
import { type Once, runOnce } from './ffmpeg-once.ts';
import type { PictureFfmpeg, PictureFfmpegFinder } from './ffmpeg-source.ts';

/** Each takes a tenth of a second of one core. */
const MAX_RUNNING = 2;
/** What waits longer than a few seconds nobody wants any more. */
const MAX_WAITING = 32;
const TIMEOUT_MS = 5000;
const MAX_PICTURE_BYTES = 4 * 1024 * 1024;
/** Behind everything else: a picture may be late, a segment may not. */
const NICENESS = 10;

export interface PictureMakerOptions {
  readonly ffmpeg: PictureFfmpegFinder;
  readonly clock: Clock;
  /** 0 … 19. */
  readonly niceness?: number;
}

/** What ffmpeg is to do, when it is its turn. */
export interface PictureTask {
  /** The name of ffmpeg's encoder. */
  readonly encoder: string;
  readonly args: readonly string[];
  /** Called late, so that what waits holds no media. */
  readonly input: () => Uint8Array | Promise<Uint8Array>;
}

/** The ffmpeg processes that make pictures: few at a time, each for a few seconds at most. */
export interface PictureMaker {
  /** True when a further picture would be refused. */
  readonly busy: boolean;
  /**
   * Rejects with a SluiceError: SLUICE_FFMPEG_MISSING, SLUICE_FFMPEG_UNABLE, SLUICE_THUMBNAIL_BUSY,
   * SLUICE_TRANSCODE_FAILED, SLUICE_SHUTTING_DOWN, or with what `input` throws.
   */
  make(task: PictureTask): Promise<Buffer>;
  /** Stops what runs; nothing is made any more. Resolves when all processes are gone. */
  close(): Promise<void>;
}

export function makePictureMaker(options: PictureMakerOptions): PictureMaker {
  const { ffmpeg, clock, niceness = NICENESS } = options;
  const jobs: BoundedJobs = makeBoundedJobs({ running: MAX_RUNNING, waiting: MAX_WAITING });
  const running = new Set<Once>();
  let closed = false;

  async function run(found: PictureFfmpeg, { args, input }: PictureTask, answer: (once: Once) => void) {
    const data = await input();
    if (closed) throw new SluiceError('SLUICE_SHUTTING_DOWN', 'no more pictures are made');
    const once = runOnce({
      ...{ command: found.path, args, input: data, clock, niceness },
      ...{ timeoutMs: TIMEOUT_MS, maxBytes: MAX_PICTURE_BYTES },
    });
    running.add(once);
    answer(once);
    // The place is not free before the process is gone, or one that hangs would be followed by the next.
    await once.gone;
    running.delete(once);
  }

  return {
    get busy() {
      return jobs.full;
    },
    make: async (task) => {
      const found = ffmpeg.known ?? (await ffmpeg.find());
      if (!found.encoders.has(task.encoder)) {
        throw new SluiceError('SLUICE_FFMPEG_UNABLE', `this ffmpeg has no encoder ${task.encoder}`);
      }
      return new Promise((resolve, reject) => {
        const job = jobs.run(() => run(found, task, (once) => once.output.then(resolve, reject)));
        if (job === null) {
          reject(new SluiceError('SLUICE_THUMBNAIL_BUSY', `${MAX_WAITING} pictures wait to be made already`));
        } else {
          job.catch(reject);
        }
      });
    },
    close: async () => {
      closed = true;
      for (const once of running) once.stop();
      await Promise.all([...running].map((once) => once.gone));
    },
  };
}
