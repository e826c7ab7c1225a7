import { type Material, mutate } from './mutator.ts';
import type { Comparison, Probe } from './probe.ts';
import type { Random } from './random.ts';

/** What a file in `targets` exports. */
export interface Target {
  /** Longest input in bytes that makes sense. */
  readonly maxLength: number;
  /** How long an input may take, if that is not 25 ms; 5 ms for each KiB of it come on top. */
  readonly patienceMs?: number;
  /** Feeds one input to the code and checks what comes out. Whatever it throws is a finding. */
  fuzz(data: Buffer): void | Promise<void>;
  /** A check that takes too long to be made for each input; it is made for few. */
  inspect?(data: Buffer): void;
}

/** An input that must not do what it does. */
export interface Finding {
  readonly kind: 'error' | 'slow';
  readonly bytes: Uint8Array;
  readonly message: string;
}

export interface FuzzerOptions {
  readonly target: Target;
  readonly probe: Probe;
  readonly random: Random;
  /** Whether it is new to take a known branch more often. */
  readonly counts: boolean;
  /** Told of each input before it runs, so that somebody else can tell which one never came back. */
  readonly onRun: (bytes: Uint8Array) => void;
  /** Told of each input that reached something new. */
  readonly onNew: (bytes: Uint8Array) => void;
  /** CPU time of the process in ms: unlike wall time it does not pass while others have the processor. */
  readonly cpuTime: () => number;
}

interface Entry {
  readonly bytes: Uint8Array;
  /** Null until it is first chosen for changing. */
  comparisons: readonly Comparison[] | null;
}

const PATIENCE_MS = 25;
const PATIENCE_MS_PER_BYTE = 5 / 1024;
/** What took too long gets further chances: the garbage collector or the compiler may have been at work. */
const CHANCES = 5;
/** Inputs for each one that is inspected as well. */
const INSPECTION_INTERVAL = 1000;
const MOST_TRIMS = 48;
const MOST_SHRINKS = 2000;
/** Most inputs end in an error, whose stack would cost more than the parsing. Findings get it when they run again. */
const STACK_OF_FINDINGS = 20;

/** A branch taken once is another feature than one taken twice, three times, up to 7, 15, 31, 127 or more times. */
const FEATURES_PER_BRANCH = 8;
const FEATURE_OF_COUNT = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count <= 3) return Math.max(0, count - 1);
  return [7, 15, 31, 127, 255].findIndex((bound) => count <= bound) + 3;
});

/** Changes inputs at random and keeps those that make the code do something it did not do before. */
export class Fuzzer {
  readonly #options: FuzzerOptions;
  readonly #corpus: Entry[] = [];
  readonly #seen: Uint8Array;
  readonly #literals: Material['literals'];
  #inputs = 0;
  #finding: Finding | null = null;

  constructor(options: FuzzerOptions) {
    Error.stackTraceLimit = 0;
    this.#options = options;
    this.#seen = new Uint8Array(options.probe.branches * FEATURES_PER_BRANCH);
    this.#literals = [...options.probe.literals];
  }

  /** Changed inputs that were run so far; seeds and repetitions do not count. */
  get inputs(): number {
    return this.#inputs;
  }

  get finding(): Finding | null {
    return this.#finding;
  }

  get corpus(): Uint8Array[] {
    return this.#corpus.map(({ bytes }) => bytes);
  }

  /** Branches that some input has taken. */
  get branchesTaken(): number {
    let taken = 0;
    for (let at = 0; at < this.#seen.length; at += FEATURES_PER_BRANCH) {
      if (this.#seen.subarray(at, at + FEATURES_PER_BRANCH).includes(1)) taken++;
    }
    return taken;
  }

  /** Runs an input as it is, and keeps it when it reaches something new. */
  async seed(bytes: Uint8Array): Promise<void> {
    await this.#run(bytes);
    if (this.#finding !== null) await this.#explain();
    else if (this.#takeNew().length > 0) this.#keep(bytes);
  }

  /**
   * Runs one changed input. Nothing may be run after a finding.
   *
   * @returns a promise only where there is something to wait for: awaiting costs more than most inputs take
   */
  step(): Promise<void> | undefined {
    const entry = this.#choose();
    if (entry.comparisons === null) return this.#compareAndStep(entry);
    const { target, random } = this.#options;
    const other = this.#corpus[random.below(this.#corpus.length)]?.bytes ?? entry.bytes;
    const material = { literals: this.#literals, comparisons: entry.comparisons, other };
    const bytes = mutate(entry.bytes, material, random, target.maxLength);
    this.#inputs++;
    const running = this.#run(bytes);
    return running === undefined ? this.#judge(bytes) : running.then(() => this.#judge(bytes));
  }

  async #compareAndStep(entry: Entry): Promise<void> {
    const { probe } = this.#options;
    const comparisons: Comparison[] = [];
    probe.comparisons = comparisons;
    await this.#run(entry.bytes);
    probe.comparisons = null;
    entry.comparisons = comparisons;
  }

  /** What to make of the input that was just run. */
  #judge(bytes: Uint8Array): Promise<void> | undefined {
    const fresh = this.#finding === null ? this.#takeNew() : [];
    if (this.#inputs % INSPECTION_INTERVAL === 0 && this.#finding === null) this.#inspect(bytes);
    if (this.#finding !== null) return this.#explain();
    return fresh.length === 0 ? undefined : this.#learn(bytes, fresh);
  }

  async #learn(bytes: Uint8Array, fresh: readonly number[]): Promise<void> {
    const trimmed = await this.#trim(bytes, fresh);
    if (this.#finding !== null) return;
    this.#keep(trimmed);
    this.#options.onNew(trimmed);
  }

  #keep(bytes: Uint8Array): void {
    this.#corpus.push({ bytes: Uint8Array.from(bytes), comparisons: null });
  }

  /** Later ones are more likely, because they reach what is new, and short ones, because they are over soon. */
  #choose(): Entry {
    const { random } = this.#options;
    if (this.#corpus.length === 0) this.#keep(new Uint8Array(0));
    const count = this.#corpus.length;
    const draw = () => this.#corpus[Math.max(random.below(count), random.below(count))];
    const first = draw();
    const second = draw();
    if (first === undefined || second === undefined) throw new Error('the corpus is empty');
    return first.bytes.length <= second.bytes.length || random.below(4) === 0 ? first : second;
  }

  /** @returns a promise only where the target does, or where more has to be found out */
  #run(bytes: Uint8Array): Promise<void> | undefined {
    const { target, probe, onRun } = this.#options;
    onRun(bytes);
    probe.counters.fill(0, 0, probe.branches);
    const started = performance.now();
    try {
      const running = target.fuzz(Buffer.from(bytes));
      if (running !== undefined) return this.#settle(running, bytes, started);
    } catch (error) {
      this.#finding ??= { kind: 'error', bytes: Uint8Array.from(bytes), message: describe(error) };
    }
    const took = performance.now() - started;
    return took > this.#patience(bytes) ? this.#checkSlow(bytes) : undefined;
  }

  async #settle(running: Promise<void>, bytes: Uint8Array, started: number): Promise<void> {
    try {
      await running;
    } catch (error) {
      this.#finding ??= { kind: 'error', bytes: Uint8Array.from(bytes), message: describe(error) };
    }
    if (performance.now() - started > this.#patience(bytes)) await this.#checkSlow(bytes);
  }

  #patience(bytes: Uint8Array): number {
    return (this.#options.target.patienceMs ?? PATIENCE_MS) + bytes.length * PATIENCE_MS_PER_BYTE;
  }

  #inspect(bytes: Uint8Array): void {
    try {
      this.#options.target.inspect?.(Buffer.from(bytes));
    } catch (error) {
      this.#finding = { kind: 'error', bytes: Uint8Array.from(bytes), message: describe(error) };
    }
  }

  async #checkSlow(bytes: Uint8Array): Promise<void> {
    const { target, probe, cpuTime } = this.#options;
    if (this.#finding !== null) return;
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < CHANCES && best > this.#patience(bytes); i++) {
      probe.counters.fill(0, 0, probe.branches);
      const started = cpuTime();
      await target.fuzz(Buffer.from(bytes));
      best = Math.min(best, cpuTime() - started);
    }
    if (best <= this.#patience(bytes)) return;
    const message = `${best.toFixed(1)} ms of CPU time for ${bytes.length} bytes`;
    this.#finding = { kind: 'slow', bytes: Uint8Array.from(bytes), message };
  }

  /** Features of the last run that no run before had; they are known from now on. */
  #takeNew(): number[] {
    const { probe, counts } = this.#options;
    const { counters, branches } = probe;
    const fresh: number[] = [];
    for (let branch = 0; branch < branches; branch++) {
      const count = counters[branch] as number;
      if (count === 0) continue;
      const feature = branch * FEATURES_PER_BRANCH + (counts ? (FEATURE_OF_COUNT[count] as number) : 0);
      if (this.#seen[feature] === 1) continue;
      this.#seen[feature] = 1;
      fresh.push(feature);
    }
    return fresh;
  }

  #has(feature: number): boolean {
    const count = this.#options.probe.counters[Math.floor(feature / FEATURES_PER_BRANCH)] ?? 0;
    return count > 0 && FEATURE_OF_COUNT[count] === feature % FEATURES_PER_BRANCH;
  }

  /** Leaves out what the new features do not need. */
  async #trim(bytes: Uint8Array, features: readonly number[]): Promise<Uint8Array> {
    return this.#reduce(bytes, MOST_TRIMS, async (candidate) => {
      await this.#run(candidate);
      return this.#finding === null && features.every((feature) => this.#has(feature));
    });
  }

  /** Finds out where a finding comes from, and how short an input does the same. */
  async #explain(): Promise<void> {
    const found = this.#finding;
    if (found === null || found.kind === 'slow') return;
    Error.stackTraceLimit = STACK_OF_FINDINGS;
    const again = await this.#findingOf(found.bytes);
    const bytes = await this.#reduce(found.bytes, MOST_SHRINKS, async (candidate) => {
      const finding = await this.#findingOf(candidate);
      return finding !== null && again !== null && same(finding, again);
    });
    this.#finding = { ...(again ?? found), bytes: Uint8Array.from(bytes) };
  }

  async #findingOf(bytes: Uint8Array): Promise<Finding | null> {
    this.#finding = null;
    await this.#run(bytes);
    if (this.#finding === null) this.#inspect(bytes);
    return this.#finding;
  }

  /** Removes ever smaller blocks as long as `accepts` says that the rest is still as good. */
  async #reduce(
    bytes: Uint8Array,
    most: number,
    accepts: (candidate: Uint8Array) => Promise<boolean>,
  ): Promise<Uint8Array> {
    let best = bytes;
    let tries = 0;
    for (let size = best.length >> 1; size > 0 && tries < most; size >>= 1) {
      for (let at = best.length - size; at >= 0 && tries < most; at -= size) {
        tries++;
        const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
        if (await accepts(candidate)) best = candidate;
      }
    }
    return best;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The same kind of error from the same line. */
function same(a: Finding, b: Finding): boolean {
  const where = ({ kind, message }: Finding) => `${kind} ${/^\s+at .*$/m.exec(message)?.[0] ?? message}`;
  return where(a) === where(b);
}
