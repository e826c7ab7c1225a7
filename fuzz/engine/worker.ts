import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuUsage } from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { type Finding, Fuzzer, type Target } from './fuzzer.ts';
import { Probe } from './probe.ts';
import { createRandom } from './random.ts';

/** What `run.js` asks of a worker. */
export interface Job {
  readonly target: string;
  /** Folders of inputs to begin with. */
  readonly seeds: readonly string[];
  /** Folder for inputs that reach something new, or null. */
  readonly keep: string | null;
  readonly seed: number;
  /** Whether to keep inputs that only take a known branch more often. */
  readonly counts: boolean;
  /** It is over at this time (in ms since 1970) or after this many inputs, whichever comes first. */
  readonly until: number;
  readonly inputs: number;
  /** … or when it has found nothing new for this long, in ms. */
  readonly patience: number;
  /** Two 32-bit numbers, runs so far and length of the input that runs now, then that input. */
  readonly shared: SharedArrayBuffer;
}

/** What a worker answers when it is done. */
export interface Result {
  readonly inputs: number;
  readonly corpus: readonly Uint8Array[];
  readonly branches: number;
  readonly branchesTaken: number;
  readonly finding: Finding | null;
}

/** Steps between two looks at the clock. */
const STEPS = 64;

parentPort?.postMessage(await work(workerData as Job));

async function work({
  target: name,
  seeds,
  keep,
  seed,
  counts,
  until,
  inputs,
  patience,
  shared,
}: Job): Promise<Result> {
  const probe = new Probe();
  globalThis.fuzzProbe = probe;
  const target: Target = await import(`../targets/${name}.js`);
  const numbers = new Int32Array(shared, 0, 2);
  let newestAt = Date.now();
  const current = new Uint8Array(shared, 8);
  const fuzzer = new Fuzzer({
    target,
    probe,
    random: createRandom(seed),
    counts,
    onRun: (bytes) => {
      numbers[0] = ((numbers[0] ?? 0) + 1) | 0;
      numbers[1] = bytes.length;
      current.set(bytes);
    },
    onNew: (bytes) => {
      newestAt = Date.now();
      save(keep, bytes);
    },
    cpuTime: () => {
      const { user, system } = cpuUsage();
      return (user + system) / 1000;
    },
  });
  for (const bytes of read(seeds, target.maxLength)) {
    if (fuzzer.finding === null) await fuzzer.seed(bytes);
  }
  newestAt = Date.now();
  const over = () => fuzzer.finding !== null || fuzzer.inputs >= inputs;
  while (!over()) {
    for (let i = 0; i < STEPS && !over(); i++) {
      const step = fuzzer.step();
      if (step !== undefined) await step;
    }
    // Lets go of what waits for the event loop to be freed.
    await setImmediate();
    if (Date.now() >= until || Date.now() - newestAt > patience) break;
  }
  const { corpus, branchesTaken, finding } = fuzzer;
  return { inputs: fuzzer.inputs, corpus, branches: probe.branches, branchesTaken, finding };
}

/** The shortest first: what a longer one reaches too is then left out of the corpus. */
function read(folders: readonly string[], maxLength: number): Buffer[] {
  return folders
    .flatMap((folder) =>
      existsSync(folder) ? readdirSync(folder).map((file) => readFileSync(join(folder, file))) : [],
    )
    .map((bytes) => bytes.subarray(0, maxLength))
    .sort((a, b) => a.length - b.length || Buffer.compare(a, b));
}

function save(folder: string | null, bytes: Uint8Array): void {
  if (folder === null) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, createHash('sha1').update(bytes).digest('hex').slice(0, 16)), bytes);
}
