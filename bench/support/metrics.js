import { getOnce } from './http.js';

/** A sample line of the Prometheus text format: name, labels, value. */
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)/;

/**
 * What `/metrics` of the gateway says, or null where it has no such page.
 *
 * @returns {Promise<{ name: string, labels: Record<string, string>, value: number }[] | null>}
 */
export async function readMetrics(httpPort) {
  const { status, text } = await getOnce(`http://127.0.0.1:${httpPort}/metrics`);
  if (status !== 200) return null;
  return text.split('\n').flatMap((line) => {
    const match = SAMPLE.exec(line);
    if (match === null) return [];
    const labels = [...(match[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [
      label,
      value,
    ]);
    return [{ name: match[1], labels: Object.fromEntries(labels), value: Number(match[3]) }];
  });
}

/** The sum of all samples of a name, or null when there is none. */
export function sumOf(metrics, name) {
  const values = (metrics ?? []).filter((one) => one.name === name).map(({ value }) => value);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
}
