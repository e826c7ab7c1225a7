/** Renditions that can be asked for by name alone. */
export const RUNG_NAMES = [
  '2160p',
  '1440p',
  '1080p',
  '720p',
  '540p',
  '480p',
  '360p',
  '240p',
  '160p',
  'audio',
] as const;

export type RungName = (typeof RUNG_NAMES)[number];

/** Kilobits per second at up to 30 frames, by the shorter side: what 2 s segments of `veryfast` need to look well. */
const BITRATES: readonly (readonly [side: number, kbps: number])[] = [
  [2160, 13_000],
  [1440, 8000],
  [1080, 4500],
  [720, 2500],
  [540, 1600],
  [480, 1200],
  [360, 700],
  [240, 350],
  [160, 180],
  [0, 90],
];
/** Twice the pictures are not twice the bits: each differs less from the one before. */
const FAST_FACTOR = 1.5;
/** Above this, pictures come fast: 48 and 50 as well as 60 per second. */
const FAST = 40;
/** On a picture smaller than this nobody sees more than half of them. */
const FAST_FROM_SIDE = 720;
const USUAL_RATE = 30;
const HIGHEST_RATE = 60;
/** A rate this little above what was asked for is that rate. */
const RATE_TOLERANCE = 1.05;

/** An entry of the ladder as configured. `size` is `720p` (the shorter side) or `1280x720` (the box it fits in). */
export type RungEntry =
  | RungName
  | {
      readonly name: string;
      readonly size: string;
      /** Kilobits per second. */
      readonly bitrate?: number | undefined;
      readonly fps?: number | undefined;
      readonly codec?: 'h264' | 'hevc' | 'av1' | undefined;
      readonly encoder?: string | undefined;
      readonly preset?: string | undefined;
      readonly profile?: string | undefined;
      /** Seconds. */
      readonly gop?: number | undefined;
    };

export interface SourcePicture {
  /** Pixels; 0 when unknown. */
  readonly width: number;
  readonly height: number;
  /** Frames per second, or null when unknown. */
  readonly frameRate: number | null;
}

/** A rendition with pictures, as it will be encoded. */
export interface RungPlan {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Bits per second. */
  readonly bitrate: number;
  /** Of how many pictures of the source one is encoded. */
  readonly frameDivisor: number;
  readonly codec: 'h264';
  readonly encoder: string;
  readonly preset: string;
  readonly profile: string | null;
  /** Seconds between keyframes besides the source's, or null. */
  readonly gop: number | null;
}

export interface LadderPlan {
  /** The largest first. */
  readonly rungs: readonly RungPlan[];
  /** Sound alone is asked for too. */
  readonly audio: boolean;
  readonly omitted: readonly { readonly name: string; readonly reason: string }[];
}

export const NO_PLAN: LadderPlan = { rungs: [], audio: false, omitted: [] };

/** What a ladder comes to for this source. */
export function planLadder(
  entries: readonly RungEntry[],
  source: SourcePicture,
  defaults: { readonly encoder: string; readonly preset: string },
): LadderPlan {
  const rungs: RungPlan[] = [];
  const omitted: { name: string; reason: string }[] = [];
  let audio = false;
  for (const entry of entries) {
    if (entry === 'audio') {
      audio = true;
      continue;
    }
    const wanted = typeof entry === 'string' ? { name: entry, size: entry } : entry;
    const { name, codec = 'h264' } = wanted;
    if (codec !== 'h264') {
      omitted.push({ name, reason: `${codec.toUpperCase()} is not allowed in MPEG-TS segments` });
      continue;
    }
    const size = sizeOf(wanted.size, source);
    if (typeof size === 'string') {
      omitted.push({ name, reason: size });
      continue;
    }
    const side = Math.min(size.width, size.height);
    const frameDivisor = divisorFor(source.frameRate, wanted.fps ?? usualRate(side, source.frameRate));
    const rate = (source.frameRate ?? USUAL_RATE) / frameDivisor;
    rungs.push({
      name,
      ...size,
      bitrate: 1000 * (wanted.bitrate ?? usualBitrate(side, rate)),
      frameDivisor,
      codec,
      encoder: wanted.encoder ?? defaults.encoder,
      preset: wanted.preset ?? defaults.preset,
      profile: wanted.profile ?? null,
      gop: wanted.gop ?? null,
    });
  }
  rungs.sort((a, b) => b.width * b.height - a.width * a.height || b.bitrate - a.bitrate);
  return { rungs, audio, omitted };
}

/** The size in the proportions of the source, or why there is none. Encoders need even numbers. */
function sizeOf(text: string, { width, height }: SourcePicture): { width: number; height: number } | string {
  if (width === 0 || height === 0) return 'the size of the source is not known';
  let scale: number;
  if (text.endsWith('p')) {
    scale = Number(text.slice(0, -1)) / Math.min(width, height);
  } else {
    const box = text
      .split('x')
      .map(Number)
      .sort((a, b) => b - a);
    const [long = 0, short = 0] = box;
    // A portrait source turns the box.
    scale = Math.min(long / Math.max(width, height), short / Math.min(width, height));
  }
  if (scale > 1) return `it is larger than the source, ${width}x${height}`;
  return { width: even(width * scale), height: even(height * scale) };
}

function even(pixels: number): number {
  return Math.max(2, 2 * Math.round(pixels / 2 - 1e-9));
}

function usualRate(side: number, frameRate: number | null): number {
  if (side >= FAST_FROM_SIDE || frameRate === null || frameRate <= FAST) return HIGHEST_RATE;
  return frameRate / Math.max(2, Math.round(frameRate / USUAL_RATE));
}

function divisorFor(frameRate: number | null, most: number): number {
  return frameRate === null ? 1 : Math.max(1, Math.ceil(frameRate / (most * RATE_TOLERANCE)));
}

function usualBitrate(side: number, frameRate: number): number {
  const [, kbps] = BITRATES.find(([from]) => side >= from) ?? [0, 90];
  return Math.round(kbps * (frameRate > FAST ? FAST_FACTOR : 1));
}
