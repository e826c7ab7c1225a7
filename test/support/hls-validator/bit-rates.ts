export type MeasuredSegment = { duration: number; bytes: number };

/** Largest bit rate over any run of segments that lasts between half and one and a half target durations. */
export function peakBitRate(
  segments: readonly MeasuredSegment[],
  targetDuration: number,
): number | undefined {
  let peak: number | undefined;
  for (let first = 0; first < segments.length; first += 1) {
    let duration = 0;
    let bytes = 0;
    for (let index = first; index < segments.length; index += 1) {
      const segment = segments[index];
      if (!segment) break;
      duration += segment.duration;
      bytes += segment.bytes;
      if (duration > 1.5 * targetDuration + 0.5) break;
      if (duration >= 0.5 * targetDuration) peak = Math.max(peak ?? 0, (bytes * 8) / duration);
    }
  }
  return peak;
}

export function averageBitRate(segments: readonly MeasuredSegment[]): number | undefined {
  const duration = segments.reduce((sum, segment) => sum + segment.duration, 0);
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  return duration > 0 ? (bytes * 8) / duration : undefined;
}
