// @ts-check
/** Text for numbers and names: everything here returns plain text, never markup. */

/** Shown where a value is not known (yet). */
export const NONE = '–';

const CODEC_NAMES = /** @type {Record<string, string>} */ ({
  h264: 'H.264',
  avc: 'H.264',
  h265: 'H.265 (HEVC)',
  hevc: 'H.265 (HEVC)',
  av1: 'AV1',
  vp9: 'VP9',
  aac: 'AAC',
  mp3: 'MP3',
  opus: 'Opus',
  ac3: 'AC-3',
  eac3: 'E-AC-3',
  flac: 'FLAC',
});

/** @param {string} codec */
export function codecName(codec) {
  return CODEC_NAMES[codec.toLowerCase()] ?? codec;
}

/** @param {number | null | undefined} value @returns {value is number} */
function known(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

/** @param {number | null | undefined} bitsPerSecond */
export function bitrate(bitsPerSecond) {
  if (!known(bitsPerSecond) || bitsPerSecond <= 0) return NONE;
  if (bitsPerSecond >= 1e9) return `${(bitsPerSecond / 1e9).toFixed(2)} Gb/s`;
  if (bitsPerSecond >= 1e6) return `${(bitsPerSecond / 1e6).toFixed(1)} Mb/s`;
  return `${Math.round(bitsPerSecond / 1e3)} kb/s`;
}

/** @param {number | null | undefined} value @param {number} [digits] */
export function seconds(value, digits = 1) {
  return known(value) ? `${value.toFixed(digits)} s` : NONE;
}

/** @param {number | null | undefined} value */
export function frameRate(value) {
  if (!known(value) || value <= 0) return NONE;
  return `${Number.isInteger(value) ? value : value.toFixed(2).replace(/\.?0+$/, '')} fps`;
}

/** 75 -> "1 min 15 s", 3700 -> "1 h 01 min", 180000 -> "2 d 2 h" @param {number | null | undefined} value */
export function duration(value) {
  if (!known(value) || value < 0) return NONE;
  const total = Math.floor(value);
  const h = Math.floor(total / 3600);
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`;
  const m = Math.floor((total % 3600) / 60);
  const s = total % 60;
  if (h > 0) return `${h} h ${String(m).padStart(2, '0')} min`;
  if (m > 0) return `${m} min ${String(s).padStart(2, '0')} s`;
  return `${s} s`;
}

/** @param {number | null | undefined} hertz */
export function sampleRate(hertz) {
  return known(hertz) ? `${hertz / 1000} kHz` : NONE;
}

/** @param {number | null | undefined} count */
export function channels(count) {
  if (!known(count)) return NONE;
  if (count === 1) return 'mono';
  if (count === 2) return 'stereo';
  return `${count} channels`;
}

/** 1536000 -> "1.5 MB" @param {number | null | undefined} count */
export function bytes(count) {
  if (!known(count) || count < 0) return NONE;
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} GB`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
  return `${Math.round(count / 1e3)} kB`;
}
