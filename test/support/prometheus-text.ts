export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  /** Of its samples, without those that its type brings along. */
  readonly labels: readonly string[];
}

export interface Exposition {
  readonly families: ReadonlyMap<string, Family>;
  readonly samples: readonly Sample[];
  /** Of the sample with exactly these labels. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

/**
 * Reads the Prometheus text format 0.0.4 as strictly as it is written.
 *
 * @throws Error for a line that is none, a series that comes twice, a sample before its HELP and TYPE
 */
export function readExposition(text: string): Exposition {
  const families = new Map<string, { type: string; help: string; labels: string[] }>();
  const helps = new Map<string, string>();
  const series = new Map<string, Sample>();
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  for (const line of text.split('\n')) {
    const [, keyword, about = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (helps.has(about)) throw new Error(`a second HELP of ${about}`);
      helps.set(about, rest);
    } else if (keyword === 'TYPE') {
      if (families.has(about)) throw new Error(`a second TYPE of ${about}`);
      families.set(about, { type: rest, help: helps.get(about) ?? '', labels: [] });
    } else if (line !== '') {
      const sample = readSample(line);
      const key = keyOf(sample.name, sample.labels);
      if (series.has(key)) throw new Error(`a second ${line}`);
      series.set(key, sample);
      const family =
        families.get(sample.name) ?? families.get(sample.name.replace(/_(bucket|sum|count)$/, ''));
      if (family === undefined || family.help === '') throw new Error(`no HELP or TYPE before ${line}`);
      for (const label of Object.keys(sample.labels)) {
        if (label !== 'le' && !family.labels.includes(label)) family.labels.push(label);
      }
    }
  }
  return {
    families,
    samples: [...series.values()],
    value: (name, labels = {}) => series.get(keyOf(name, labels))?.value,
  };
}

function readSample(line: string): Sample {
  const [, name, labelText = '', number = ''] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, label = '', value = ''] = LABEL.exec(labelText) ?? [];
    if (label === '') throw new Error(`not labels: ${line}`);
    labels[label] = value.replace(/\\(["\\n])/g, (_all, char) => (char === 'n' ? '\n' : char));
  }
  if (number !== '+Inf' && !/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/.test(number)) {
    throw new Error(`not a number: ${line}`);
  }
  return { name, labels, value: Number(number === '+Inf' ? Number.POSITIVE_INFINITY : number) };
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
