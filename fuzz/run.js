// Coverage-guided fuzzing of everything that reads a peer's bytes. See fuzz/README.md.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from './build.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DEFAULT_SECONDS = 20;
/** How long a target has its turn in a run that is bounded by inputs, and how long without finding anything new. */
const TURN_MS = 60_000;
const PATIENCE_MS = 30_000;
/** An input without an end after this is a finding. Far more than any takes, because the machine may be busy. */
const HANG_MS = 20_000;
const MAX_RSS_BYTES = 1024 ** 3;
const MAX_HEAP_MB = 512;
const LONGEST_INPUT = 1 << 20;
const WATCH_MS = 500;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    inputs: { type: 'string' },
    target: { type: 'string', multiple: true },
    seed: { type: 'string' },
    replay: { type: 'string' },
    minimise: { type: 'boolean' },
  },
});
const targets = values.target ?? allTargets();
/** Without a number of inputs the run is short, and the same everywhere: it begins with what is committed and seed 1. */
const long = values.inputs !== undefined;
const seed = number('seed', long ? Date.now() % 2 ** 31 : 1);
const folder = build();

if (values.replay !== undefined) await replay(values.replay);
else if (values.minimise) for (const target of targets) await minimise(target);
else process.exitCode = (await campaign()) ? 0 : 1;

function number(option, otherwise) {
  const value = Number(values[option] ?? otherwise);
  if (Number.isNaN(value)) throw new Error(`--${option} needs a number, not "${values[option]}"`);
  return value;
}

function allTargets() {
  return readdirSync(join(HERE, 'targets'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
    .sort();
}

/** @returns {Promise<boolean>} whether nothing was found */
async function campaign() {
  const inputs = number('inputs', Number.POSITIVE_INFINITY);
  const seconds = number('seconds', long ? Number.POSITIVE_INFINITY : DEFAULT_SECONDS);
  console.log(`Fuzzing ${targets.length} targets with seed ${seed}.`);
  const totals = new Map(
    targets.map((target) => [target, { inputs: 0, seconds: 0, corpus: 0, branches: '' }]),
  );
  process.once('SIGINT', () => {
    printTotals(totals);
    process.exit(1);
  });
  const done = () => [...totals.values()].reduce((sum, total) => sum + total.inputs, 0);
  const end = Date.now() + seconds * 1000;
  for (let round = 0; done() < inputs && (round === 0 || Date.now() < end); round++) {
    for (const [index, target] of targets.entries()) {
      if (done() >= inputs) break;
      const begun = Date.now();
      // What is left is shared by those that are left.
      const turn = Math.min(TURN_MS, (end - begun) / (targets.length - index));
      const result = await runWorker({
        target,
        seeds: [committed(target), ...(long ? [grown(target)] : [])],
        keep: long ? grown(target) : null,
        seed: seed + round,
        counts: true,
        until: begun + turn,
        // Nor may the fast ones use up all inputs.
        inputs: Math.min(inputs - done(), Math.ceil(inputs / targets.length)),
        patience: long ? PATIENCE_MS : Number.POSITIVE_INFINITY,
      });
      const total = totals.get(target);
      total.inputs += result.inputs;
      total.seconds += (Date.now() - begun) / 1000;
      total.corpus = result.corpus.length;
      total.branches = `${result.branchesTaken} of ${result.branches}`;
      if (result.finding !== null) {
        printTotals(totals);
        printFinding(target, result.finding, seed + round);
        return false;
      }
      if (long) console.log(`${new Date().toISOString()} ${target}: ${total.inputs}, all targets: ${done()}`);
    }
  }
  printTotals(totals);
  return true;
}

function committed(target) {
  return join(HERE, 'corpus', target);
}

function grown(target) {
  return join(HERE, 'work/corpus', target);
}

/** In a thread, because only another one can tell that it hangs or eats the memory. */
function runWorker(job) {
  return new Promise((resolve, reject) => {
    const shared = new SharedArrayBuffer(8 + LONGEST_INPUT);
    const numbers = new Int32Array(shared, 0, 2);
    const worker = new Worker(pathToFileURL(join(folder, 'fuzz/engine/worker.js')), {
      workerData: { ...job, shared },
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    let runs = 0;
    let moved = performance.now();
    const stop = (message) => {
      const bytes = Buffer.from(new Uint8Array(shared, 8, numbers[1]));
      const finding = { kind: 'error', bytes, message };
      settle(() => resolve({ inputs: numbers[0], corpus: [], branches: 0, branchesTaken: 0, finding }));
      void worker.terminate();
    };
    const watch = setInterval(() => {
      if (numbers[0] !== runs) moved = performance.now();
      runs = numbers[0];
      if (runs > 0 && performance.now() - moved > HANG_MS) stop(`no end after ${HANG_MS / 1000} s`);
      else if (process.memoryUsage.rss() > MAX_RSS_BYTES)
        stop(`the process has ${MAX_RSS_BYTES / 1024 ** 2} MiB`);
    }, WATCH_MS);
    const settle = (action) => {
      clearInterval(watch);
      action();
    };
    worker.once('message', (result) => settle(() => resolve(result)));
    worker.once('error', (error) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') stop(`the heap has ${MAX_HEAP_MB} MiB`);
      else settle(() => reject(error));
    });
  });
}

function printFinding(target, { kind, bytes, message }, usedSeed) {
  const name = `${target}-${createHash('sha1').update(bytes).digest('hex').slice(0, 16)}`;
  const file = join(HERE, 'work/findings', name);
  mkdirSync(join(HERE, 'work/findings'), { recursive: true });
  writeFileSync(file, bytes);
  const path = relative(process.cwd(), file);
  console.error(`\nFinding in ${target} (${kind}, seed ${usedSeed}):\n${message}\n`);
  console.error(`  ${bytes.length} bytes in ${path}: ${Buffer.from(bytes).toString('hex').slice(0, 400)}`);
  console.error(`  npm run fuzz -- --target ${target} --replay ${path}`);
}

async function replay(file) {
  const { Probe } = await import(pathToFileURL(join(folder, 'fuzz/engine/probe.js')).href);
  globalThis.fuzzProbe = new Probe();
  for (const target of targets) {
    const { fuzz, inspect } = await import(pathToFileURL(join(folder, `fuzz/targets/${target}.js`)).href);
    const started = performance.now();
    await fuzz(readFileSync(file));
    const took = performance.now() - started;
    inspect?.(readFileSync(file));
    console.log(`${target}: nothing wrong, ${took.toFixed(1)} ms`);
  }
}

/** Replaces the committed inputs by as few of them and of the grown ones as take the same branches. */
async function minimise(target) {
  const { corpus, finding } = await runWorker({
    target,
    seeds: [committed(target), grown(target)],
    keep: null,
    seed,
    counts: false,
    until: 0,
    inputs: 0,
    patience: 0,
  });
  if (finding !== null) throw new Error(`${target}: ${finding.message}`);
  rmSync(committed(target), { recursive: true, force: true });
  mkdirSync(committed(target), { recursive: true });
  let size = 0;
  for (const bytes of corpus) {
    const name = createHash('sha1').update(bytes).digest('hex').slice(0, 16);
    writeFileSync(join(committed(target), name), bytes);
    size += bytes.length;
  }
  console.log(`${target}: ${corpus.length} inputs, ${size} bytes`);
}

function printTotals(totals) {
  const rows = [...totals].map(([target, { inputs, seconds, corpus, branches }]) => [
    target,
    inputs.toString(),
    Math.round(inputs / Math.max(seconds, 0.001)).toString(),
    corpus.toString(),
    branches,
  ]);
  const sum = [...totals.values()].reduce((total, { inputs }) => total + inputs, 0);
  const all = [
    ['target', 'inputs', 'per second', 'corpus', 'branches'],
    ...rows,
    ['all', `${sum}`, '', '', ''],
  ];
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
  for (const row of all) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
    );
    console.log(`  ${cells.join('  ')}`.trimEnd());
  }
}
