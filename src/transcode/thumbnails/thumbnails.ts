import { createHash } from 'node:crypto';
import type { KeyframeCopy } from '../../live/keyframe-copy.ts';
import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import type { EpochMs, Ticks } from '../../media/time.ts';
import { makeByteCache, type Sized } from './byte-cache.ts';
import { encoderOf, type PictureFormat, pictureArguments } from './picture-arguments.ts';
import type { PictureMaker } from './picture-maker.ts';
import { MAX_WIDTH, stepFor } from './picture-size.ts';
import { pictureSource } from './picture-source.ts';

/** A picture is shown this long although the stream has a newer keyframe. */
const FRESH_MS = 5000;
/** A stream that ffmpeg cannot decode is left alone this long. */
const FAILURE_MS = 2000;
const MAX_ENTRIES = 1000;
const MAX_BYTES = 64 * 1024 * 1024;
/** What an entry costs besides the picture, roughly. */
const ENTRY_BYTES = 512;
const MAX_FAILURES = 1000;

/** What is pictured; see {@link Stream}. */
export interface PicturedStream {
  readonly newestKeyframe: NewestKeyframe | null;
}

type NewestKeyframe = Pick<KeyframeCopy, 'track' | 'dts' | 'take'>;

/** A picture as it goes out. */
export interface Picture {
  readonly data: Buffer;
  readonly type: 'image/jpeg' | 'image/webp';
  /** Without quotes. */
  readonly etag: string;
}

export interface PictureRequest {
  /** Pixels, MIN_WIDTH … MAX_WIDTH; the picture may be a little larger, and is never larger than the stream. */
  readonly width: number;
  readonly format: PictureFormat;
}

export interface ThumbnailsOptions {
  readonly maker: PictureMaker;
  readonly clock: Clock;
}

/** What streams look like now. Nothing is decoded unless somebody asks. */
export interface Thumbnails {
  /**
   * The newest picture, or one some seconds old. Null when the stream has none yet, or no video. Rejects as
   * {@link PictureMaker.make} does.
   */
  picture(stream: PicturedStream, request: PictureRequest): Promise<Picture | null>;
}

interface Entry extends Sized {
  readonly picture: Picture;
  /** Decode time of the keyframe, which says which one it was without holding it. */
  readonly keyframe: Ticks;
  readonly madeAt: EpochMs;
}

interface Failure extends Sized {
  readonly error: unknown;
  readonly until: EpochMs;
}

export function makeThumbnails({ maker, clock }: ThumbnailsOptions): Thumbnails {
  const numbers = new WeakMap<PicturedStream, number>();
  let nextNumber = 0;
  const entries = makeByteCache<Entry>({ entries: MAX_ENTRIES, bytes: MAX_BYTES });
  const failures = makeByteCache<Failure>({ entries: MAX_FAILURES, bytes: MAX_BYTES });
  const pending = new Map<string, Promise<Picture>>();

  /** Of this very stream, not of its name: a new stream of the name has pictures of its own. */
  function numberOf(stream: PicturedStream): number {
    const known = numbers.get(stream);
    if (known !== undefined) return known;
    numbers.set(stream, nextNumber);
    return nextNumber++;
  }

  async function make(
    stream: string,
    key: string,
    keyframe: NewestKeyframe,
    width: number,
    format: PictureFormat,
  ) {
    const source = pictureSource(keyframe.track);
    if (source === null) {
      throw new SluiceError('SLUICE_FFMPEG_UNABLE', `no pictures are made of ${keyframe.track.codec}`);
    }
    let { dts } = keyframe;
    try {
      const data = await maker.make({
        encoder: encoderOf(format),
        args: pictureArguments(source.format, width, format),
        input: () => {
          // Another size of it may have failed while this one waited.
          throwFailure(stream);
          // There may be a newer one by now.
          const packet = keyframe.take();
          dts = packet.dts;
          return source.read(packet.data);
        },
      });
      const picture = describe(data, format);
      const bytes = data.length + ENTRY_BYTES;
      entries.set(key, { picture, keyframe: dts, madeAt: clock.now(), bytes });
      return picture;
    } catch (error) {
      // For all sizes: it is the stream that cannot be decoded.
      const failed = error instanceof SluiceError && error.code === 'SLUICE_TRANSCODE_FAILED';
      if (failed && failures.get(stream)?.error !== error) {
        failures.set(stream, { error, until: clock.now() + FAILURE_MS, bytes: ENTRY_BYTES });
      }
      throw error;
    }
  }

  function throwFailure(stream: string): void {
    const failure = failures.get(stream);
    if (failure !== null && clock.now() < failure.until) throw failure.error;
  }

  return {
    picture: async (stream, request) => {
      const { newestKeyframe: keyframe } = stream;
      if (keyframe === null) return null;
      const width = stepFor(Math.min(request.width, widthOf(keyframe)));
      const number = `${numberOf(stream)}`;
      const key = `${number} ${width} ${request.format}`;
      const entry = entries.get(key);
      if (
        entry !== null &&
        (entry.keyframe === keyframe.dts || clock.now() - entry.madeAt < FRESH_MS || maker.busy)
      ) {
        return entry.picture;
      }
      const underWay = pending.get(key);
      if (underWay !== undefined) return underWay;
      throwFailure(number);
      const making = make(number, key, keyframe, width, request.format).finally(() => pending.delete(key));
      pending.set(key, making);
      return making;
    },
  };
}

/** So that all sizes above that of the stream are one. */
function widthOf({ track }: NewestKeyframe): number {
  return track.kind === 'video' && track.width > 0 ? track.width : MAX_WIDTH;
}

function describe(data: Buffer, format: PictureFormat): Picture {
  return { data, type: format === 'jpg' ? 'image/jpeg' : 'image/webp', etag: etagOf(data) };
}

function etagOf(data: Buffer): string {
  return createHash('sha1').update(data).digest('base64url').slice(0, 16);
}
