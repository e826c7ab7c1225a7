// @ts-check
/** The qualities of a stream, as its multivariant playlist has them. */
import { bitrate } from './format.js';

/**
 * @typedef {object} Variant
 * @property {string} key  the same in every playlist of the stream
 * @property {number} bitrate  bits per second
 * @property {number} width  0 for sound alone
 * @property {number} height
 * @property {number} frameRate  0 when not known
 */

/** More than this is worth telling. */
const USUAL_FRAME_RATE = 32;

/** Tokens change and sizes are measured: an address without its query is what stays. @param {string} url */
export function variantKey(url) {
  return new URL(url, document.baseURI).pathname;
}

/** @param {string} playlist @param {string} address of the playlist @returns {Variant[]} */
export function readVariants(playlist, address) {
  /** @type {Variant[]} */
  const variants = [];
  /** @type {string | null} */
  let attributes = null;
  for (const line of playlist.split(/\r?\n/)) {
    if (line.startsWith('#EXT-X-STREAM-INF:')) attributes = line;
    if (line === '' || line.startsWith('#') || attributes === null) continue;
    const [, width = '0', height = '0'] = /[:,]RESOLUTION=(\d+)x(\d+)/.exec(attributes) ?? [];
    variants.push({
      key: variantKey(new URL(line, address).href),
      bitrate: Number(/[:,]BANDWIDTH=(\d+)/.exec(attributes)?.[1] ?? 0),
      width: Number(width),
      height: Number(height),
      frameRate: Number(/[:,]FRAME-RATE=([\d.]+)/.exec(attributes)?.[1] ?? 0),
    });
    attributes = null;
  }
  return variants;
}

/** The best first, sound alone last. @param {Variant} a @param {Variant} b */
export function byQuality(a, b) {
  return b.width * b.height - a.width * a.height || b.bitrate - a.bitrate;
}

/** `720p`, `1080p60`, `Audio`. @param {Variant} variant */
export function variantName({ width, height, frameRate }) {
  if (width === 0) return 'Audio';
  const rate = frameRate > USUAL_FRAME_RATE ? Math.round(frameRate) : '';
  return `${Math.min(width, height)}p${rate}`;
}

/** @param {Variant} variant */
export function variantTitle(variant) {
  const name = variant.width === 0 ? 'Audio only' : variantName(variant);
  return `${name} · ${bitrate(variant.bitrate)}`;
}
