import { createHash } from 'node:crypto';
import type { SegmentInfo, Variant } from '../../formats/m3u8/playlist.ts';
import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import { type EpochMs, secondsFromTicks } from '../../media/time.ts';
import type { Rendition } from '../../packaging/rendition.ts';
import { firstPicture } from './first-picture.ts';
import { encoderOf, type SpriteLayout, spriteArguments } from './picture-arguments.ts';
import type { PictureMaker } from './picture-maker.ts';
import type { Picture } from './thumbnails.ts';

const MAX_TILES = 60;
const COLUMNS = 10;
/** The longer side of a tile. */
const TILE_PIXELS = 160;
/** A preview is shown at least this long although the window has moved on … */
const FRESH_MS = 5000;
/** … and longer where the window is long: a part of it, up to this. */
const FRESH_PART = 20;
const LONGEST_FRESH_MS = 60_000;
/** Sprites of older windows: a player asks for one a moment after it has read their names. */
const KEPT = 3;
const FAILURE_MS = 2000;

/** What previews are made of; see {@link Rendition}. */
export type PreviewedRendition = Pick<Rendition, 'window' | 'windowMs' | 'variant' | 'segment'>;

/** One sheet with a picture per segment, and what says where each of them is. */
export interface Preview {
  /** Of the sprite's name. */
  readonly id: string;
  /** WebVTT. `query` is put behind the sprite's name in every cue, with its `?`. */
  vtt(query: string): string;
  /**
   * Made when it is first asked for. Null when the segments are gone or have no picture. Rejects as
   * {@link PictureMaker.make} does.
   */
  sprite(): Promise<Picture | null>;
}

export interface PreviewsOptions {
  readonly maker: PictureMaker;
  readonly clock: Clock;
}

/** Pictures to look for a place in what is listed. */
export interface Previews {
  /** Null while there is nothing to show. */
  current(rendition: PreviewedRendition): Preview | null;
  /** The current one or one of a moment ago. */
  byId(rendition: PreviewedRendition, id: string): Preview | null;
}

interface Kept {
  readonly preview: Preview;
  readonly segments: readonly SegmentInfo[];
  readonly freshUntil: EpochMs;
}

export function makePreviews({ maker, clock }: PreviewsOptions): Previews {
  const kept = new WeakMap<PreviewedRendition, readonly Kept[]>();

  function current(rendition: PreviewedRendition): Preview | null {
    const { segments } = rendition.window;
    const before = kept.get(rendition) ?? [];
    const [newest] = before;
    const now = clock.now();
    if (newest !== undefined && (newest.segments === segments || now < newest.freshUntil)) {
      return newest.preview;
    }
    const layout = layoutFor(segments.length, rendition.variant('')?.resolution ?? null);
    if (layout === null) return null;
    const preview = makePreview(rendition, segments, layout, { maker, clock });
    const life = Math.max(FRESH_MS, Math.min(LONGEST_FRESH_MS, rendition.windowMs / FRESH_PART));
    kept.set(rendition, [{ preview, segments, freshUntil: now + life }, ...before].slice(0, KEPT));
    return preview;
  }

  return {
    current,
    byId: (rendition, id) => kept.get(rendition)?.find(({ preview }) => preview.id === id)?.preview ?? null,
  };
}

function layoutFor(segments: number, resolution: Variant['resolution']): SpriteLayout | null {
  if (segments === 0 || resolution === null) return null;
  const tiles = Math.min(segments, MAX_TILES);
  const scale = TILE_PIXELS / Math.max(resolution.width, resolution.height);
  return {
    columns: Math.min(tiles, COLUMNS),
    rows: Math.ceil(tiles / COLUMNS),
    tileWidth: even(resolution.width * scale),
    tileHeight: even(resolution.height * scale),
  };
}

function even(pixels: number): number {
  return Math.max(2, 2 * Math.round(pixels / 2));
}

function makePreview(
  rendition: PreviewedRendition,
  segments: readonly SegmentInfo[],
  layout: SpriteLayout,
  { maker, clock }: PreviewsOptions,
): Preview {
  const shown = chosen(segments);
  const id = createHash('sha1')
    .update(shown.map(({ uri }) => uri).join())
    .digest('hex')
    .slice(0, 16);
  const tiles = new Map(shown.map((segment, tile) => [segment, tile]));
  let sprite: Promise<Picture | null> | null = null;
  let retryAt = Number.POSITIVE_INFINITY;
  return {
    id,
    vtt: (query) => renderVtt(segments, tiles, layout, `preview-${id}.jpg${query}`),
    sprite: () => {
      if (sprite === null || clock.now() >= retryAt) {
        retryAt = Number.POSITIVE_INFINITY;
        sprite = makeSprite(rendition, shown, layout, maker, id);
        sprite.catch(() => {
          retryAt = clock.now() + FAILURE_MS;
        });
      }
      return sprite;
    },
  };
}

/** As many segments as there is room for, evenly, the first among them. */
function chosen(segments: readonly SegmentInfo[]): readonly SegmentInfo[] {
  if (segments.length <= MAX_TILES) return segments;
  return Array.from(
    { length: MAX_TILES },
    (_, tile) => segments[Math.floor((tile * segments.length) / MAX_TILES)],
  ).filter((segment) => segment !== undefined);
}

async function makeSprite(
  rendition: PreviewedRendition,
  segments: readonly SegmentInfo[],
  layout: SpriteLayout,
  maker: PictureMaker,
  etag: string,
): Promise<Picture | null> {
  const data = await maker
    .make({
      encoder: encoderOf('jpg'),
      args: spriteArguments('h264', layout),
      input: () => firstPictures(rendition, segments),
    })
    .catch((error: unknown) => {
      if (error === NO_PICTURES) return null;
      throw error;
    });
  return data === null ? null : { data, type: 'image/jpeg', etag };
}

const NO_PICTURES = new SluiceError('SLUICE_TRANSCODE_FAILED', 'the segments have no pictures');

/**
 * One picture of each segment. A segment without one takes that of the segment before, so that every picture stays in
 * its place.
 */
async function firstPictures(
  rendition: PreviewedRendition,
  segments: readonly SegmentInfo[],
): Promise<Uint8Array> {
  const pictures: (Uint8Array | null)[] = [];
  // One after the other: only one whole segment is in memory at a time.
  for (const { uri, independent } of segments) {
    const segment = independent ? await rendition.segment(uri) : null;
    pictures.push(segment === null ? null : firstPicture(segment.copyOut()));
  }
  let last = pictures.find((picture) => picture !== null);
  if (last == null) throw NO_PICTURES;
  const complete = pictures.map((picture) => {
    last = picture ?? last;
    return last ?? new Uint8Array();
  });
  return Buffer.concat(complete);
}

/**
 * Times are relative to the beginning of the first segment listed, as in a recording. In a live stream that is what
 * hls.js and browsers call `seekable.start(0)` when the playlist is read: a player that reads this file again and again
 * adds that to the times of the cues. One that reads it once, as players for recordings do, is right when it reads
 * playlist and file together, because hls.js puts the first segment that it sees at 0. The NOTE has the wall clock of
 * time 0, for players that go by EXT-X-PROGRAM-DATE-TIME.
 */
function renderVtt(
  segments: readonly SegmentInfo[],
  tiles: ReadonlyMap<SegmentInfo, number>,
  { columns, tileWidth, tileHeight }: SpriteLayout,
  sprite: string,
): string {
  const origin = segments[0]?.programDateTime ?? 0;
  const lines = ['WEBVTT', '', `NOTE 00:00:00.000 is ${new Date(Math.round(origin)).toISOString()}`];
  let time = 0;
  let tile = 0;
  for (const segment of segments) {
    // One without a picture of its own shares that of the nearest before it.
    tile = tiles.get(segment) ?? tile;
    const end = time + secondsFromTicks(segment.duration);
    const [x, y] = [(tile % columns) * tileWidth, Math.floor(tile / columns) * tileHeight];
    lines.push(
      '',
      `${timestamp(time)} --> ${timestamp(end)}`,
      `${sprite}#xywh=${x},${y},${tileWidth},${tileHeight}`,
    );
    time = end;
  }
  return `${lines.join('\n')}\n`;
}

/** `hh:mm:ss.mmm` */
function timestamp(seconds: number): string {
  const ms = Math.round(seconds * 1000);
  const parts = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map((part) =>
    `${Math.floor(part)}`.padStart(2, '0'),
  );
  return `${parts.join(':')}.${`${ms % 1000}`.padStart(3, '0')}`;
}
