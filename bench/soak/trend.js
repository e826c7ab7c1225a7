/**
 * Least squares through points.
 *
 * @param {{ x: number, y: number }[]} points
 * @returns {{ slope: number, at0: number, error: number } | null} per unit of x, with the slope's standard error;
 *   null when there are too few points
 */
export function linearTrend(points) {
  const count = points.length;
  if (count < 3) return null;
  const meanX = sum(points.map(({ x }) => x)) / count;
  const meanY = sum(points.map(({ y }) => y)) / count;
  const spread = sum(points.map(({ x }) => (x - meanX) ** 2));
  const slope = sum(points.map(({ x, y }) => (x - meanX) * (y - meanY))) / spread;
  const at0 = meanY - slope * meanX;
  const rest = sum(points.map(({ x, y }) => (y - at0 - slope * x) ** 2));
  return { slope, at0, error: Math.sqrt(rest / (count - 2) / spread) };
}

/** The lowest point of each of `count` equal stretches: memory saws between collections, and a leak lifts the teeth's roots. */
export function lowerEnvelope(points, count) {
  const from = points[0]?.x ?? 0;
  const width = ((points.at(-1)?.x ?? 0) - from) / count;
  const lowest = new Map();
  for (const point of points) {
    const stretch = Math.min(count - 1, Math.floor((point.x - from) / width));
    const known = lowest.get(stretch);
    if (known === undefined || point.y < known.y) lowest.set(stretch, point);
  }
  return [...lowest.values()];
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
