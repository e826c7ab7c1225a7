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
