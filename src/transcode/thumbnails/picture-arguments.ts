export type PictureFormat = 'jpg' | 'webp';

/** 8K. A parameter set can claim far more, and ffmpeg would reserve the memory for it. */
const MAX_PIXELS = 8192 * 4352;

/** Of the encoders: names, and what makes small pictures that look well. */
const ENCODERS: Record<PictureFormat, { readonly name: string; readonly options: readonly string[] }> = {
  jpg: { name: 'mjpeg', options: ['-q:v', '5'] },
  // The slower methods take three times as long for a tenth of the size.
  webp: { name: 'libwebp', options: ['-quality', '72', '-compression_level', '2'] },
};

/** What ffmpeg's encoder for a format is called. */
export function encoderOf(format: PictureFormat): string {
  return ENCODERS[format].name;
}

/** From one keyframe on stdin to one picture on stdout. */
export function pictureArguments(inputFormat: string, width: number, format: PictureFormat): string[] {
  // Of the square pixels that a browser shows. Never enlarged, and never an empty picture.
  const scale = `scale=w='max(2,min(${width},trunc(iw*sar)))':h='max(2,trunc(ow/dar/2)*2)'`;
  return [...input(inputFormat), ...output([scale, 'setsar=1'], format)];
}

/** A grid of small pictures. */
export interface SpriteLayout {
  readonly columns: number;
  readonly rows: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
}

/** From keyframes one after the other on stdin to one JPEG with all of them, row by row, on stdout. */
export function spriteArguments(inputFormat: string, layout: SpriteLayout): string[] {
  const { columns, rows, tileWidth, tileHeight } = layout;
  const scale = `scale=${tileWidth}:${tileHeight}:flags=fast_bilinear`;
  // A picture of another size in the middle must not begin a new sheet.
  return [
    ...['-skip_frame', 'nokey', '-reinit_filter', '0'],
    ...input(inputFormat),
    ...output([scale, 'setsar=1', `tile=${columns}x${rows}`], 'jpg'),
  ];
}

function input(format: string): string[] {
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-threads', '1', '-max_pixels', `${MAX_PIXELS}`],
    // A picture that is no IDR is as good as one here.
    ...['-flags', '+output_corrupt', '-flags2', '+showall', '-f', format, '-i', 'pipe:0'],
  ];
}

function output(filters: readonly string[], format: PictureFormat): string[] {
  const { name, options } = ENCODERS[format];
  const pixels = format === 'jpg' ? 'yuvj420p' : 'yuv420p';
  return [
    ...['-map', '0:v:0', '-frames:v', '1', '-filter_threads', '1'],
    ...['-vf', [...filters, `format=${pixels}`].join(',')],
    // Exact: the same keyframe is the same file, without a comment about who made it.
    ...['-c:v', name, ...options, '-threads', '1', '-flags', '+bitexact', '-f', 'image2pipe', 'pipe:1'],
  ];
}
