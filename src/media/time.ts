/**
 * Media time: an unwrapped integer count of 1/90000 s. It is what MPEG-TS needs, milliseconds convert to it
 * exactly, and it stays exact in a double for about 3000 years. Wrapping to 33 bits happens only in
 * `formats/mpegts`, wrapping to 32-bit milliseconds only in `formats/flv`.
 */
export type Ticks = number;

/** Wall-clock time in milliseconds since 1970, possibly fractional. */
export type EpochMs = number;

export const TICKS_PER_SECOND = 90_000;
const TICKS_PER_MS = 90;

/** Milliseconds to ticks; exact for whole milliseconds. */
export function ticksFromMs(ms: number): Ticks {
  return Math.round(ms * TICKS_PER_MS);
}

/** Seconds to ticks, rounded to the nearest tick. */
export function ticksFromSeconds(seconds: number): Ticks {
  return Math.round(seconds * TICKS_PER_SECOND);
}

/** Ticks to milliseconds, fractional. */
export function msFromTicks(ticks: Ticks): number {
  return ticks / TICKS_PER_MS;
}

/** Ticks to seconds, fractional. */
export function secondsFromTicks(ticks: Ticks): number {
  return ticks / TICKS_PER_SECOND;
}

/**
 * Duration of `samples` audio samples in ticks, NOT rounded: 1024 samples at 44.1 kHz are 2089.795… ticks, and
 * rounding each frame would drift by a second in a day.
 */
export function ticksFromSamples(samples: number, sampleRate: number): number {
  return (samples * TICKS_PER_SECOND) / sampleRate;
}

/**
 * Signed distance in milliseconds from one 32-bit RTMP timestamp to the next, the short way round, so that a wrap at
 * 2^32 (49.7 days) is a small step forward. Encoders with a signed clock (OBS, everything behind SRS) wrap at
 * 2^31 (24.8 days) instead: a step from just below 2^31 to just above 0 is taken as that.
 */
export function rtmpTimestampDelta(from: number, to: number): number {
  const delta = (to - from) | 0;
  const wrapsAt31 = from >= 0x7fffffff - WRAP_31_MARGIN_MS && from <= 0x7fffffff && to < WRAP_31_MARGIN_MS;
  return wrapsAt31 ? to + 0x80000000 - from : delta;
}

const WRAP_31_MARGIN_MS = 60_000;
