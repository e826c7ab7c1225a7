import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';

/** What the figures were measured on; without it they mean nothing. */
function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: round(totalmem() / 1e9, 1),
    os: `${type()} ${release()} ${arch()}`,
    node: process.version,
    load: round(loadavg()[0] ?? 0, 2),
  };
}

/**
 * One measured quantity.
 *
 * @param {string} name
 * @param {number[]} rounds what each round measured; the median is the figure
 * @param {string} unit
 * @param {{ atLeast?: number, atMost?: number, below?: number }} [target]
 */
export function figure(name, rounds, unit, target = {}) {
  const value = median(rounds);
  const { atLeast, atMost, below } = target;
  if (atLeast !== undefined)
    return { name, value, unit, rounds, target: `>= ${atLeast}`, reached: value >= atLeast };
  if (atMost !== undefined)
    return { name, value, unit, rounds, target: `<= ${atMost}`, reached: value <= atMost };
  if (below !== undefined) return { name, value, unit, rounds, target: `< ${below}`, reached: value < below };
  return { name, value, unit, rounds, target: null, reached: null };
}

/** Prints a table for people, then one line of JSON for programs. */
export function report(bench, options, figures, notes = []) {
  const where = machine();
  console.log(`\n${bench}  (${where.cpu}, ${where.cores} cores, ${where.os}, Node ${where.node})`);
  printTable(figures);
  for (const note of notes) console.log(`  ${note}`);
  const exact = figures.map((one) => ({
    ...one,
    value: round(one.value, 3),
    rounds: one.rounds.map((value) => round(value, 3)),
  }));
  console.log(JSON.stringify({ bench, machine: where, options, figures: exact, notes }));
}

/** For a benchmark that this machine cannot run; not an error. */
export function skip(bench, reason) {
  console.log(`\n${bench}: skipped, ${reason}`);
  console.log(JSON.stringify({ bench, machine: machine(), skipped: reason, figures: [], notes: [reason] }));
}

export function printTable(figures) {
  const rows = figures.map(({ name, value, unit, target, reached, rounds }) => [
    name,
    `${readable(value)} ${unit}`,
    target === null ? '' : `${target} ${unit}`,
    reached === null ? '' : reached ? 'reached' : 'missed',
    rounds.length > 1 ? `${readable(Math.min(...rounds))} … ${readable(Math.max(...rounds))}` : '',
  ]);
  const all = [['', 'median', 'target', '', 'min … max'], ...rows];
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
  for (const row of all) {
    console.log(`  ${row.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd());
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function readable(value) {
  return round(value, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2).toString();
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
