/** What a piece of code was compared with: numbers and strings that an input may have to contain to get further. */
export type Token = number | string;

/** Two operands of a comparison that were not equal. */
export type Comparison = readonly [Token, Token];

/** Branches of all instrumented files together. */
const MAX_BRANCHES = 1 << 16;
const MAX_COMPARISONS = 256;
const MAX_TOKEN_LENGTH = 64;

/**
 * What instrumented code reports to. `instrument.js` makes every branch count itself in `counters` and every
 * comparison pass its operands by here; the files find the probe as `globalThis.fuzzProbe` when they are loaded.
 */
export class Probe {
  readonly counters = new Uint8Array(MAX_BRANCHES);
  /** Literals of the code. */
  readonly literals = new Set<Token>();
  /** Branches that exist. */
  branches = 0;
  /** Where comparisons are noted; null while nobody wants them, which is most of the time. */
  comparisons: Comparison[] | null = null;

  /** Called by each instrumented file. @returns its part of the counters */
  file(branches: number, literals: readonly Token[]): Uint8Array {
    const start = this.branches;
    this.branches += branches;
    if (this.branches > MAX_BRANCHES) throw new Error(`more than ${MAX_BRANCHES} branches`);
    for (const literal of literals) this.literals.add(literal);
    return this.counters.subarray(start, this.branches);
  }

  readonly equal = (a: unknown, b: unknown): boolean => {
    if (this.comparisons !== null) this.note(a, b);
    return a === b;
  };

  readonly less = (a: number, b: number): boolean => {
    if (this.comparisons !== null) this.note(a, b);
    return a < b;
  };

  readonly lessOrEqual = (a: number, b: number): boolean => {
    if (this.comparisons !== null) this.note(a, b);
    return a <= b;
  };

  readonly differ = (a: unknown, b: unknown): boolean => {
    if (this.comparisons !== null) this.note(a, b);
    return a !== b;
  };

  readonly more = (a: number, b: number): boolean => {
    if (this.comparisons !== null) this.note(a, b);
    return a > b;
  };

  readonly moreOrEqual = (a: number, b: number): boolean => {
    if (this.comparisons !== null) this.note(a, b);
    return a >= b;
  };

  /** @returns `value`, which a switch compares with `cases` */
  readonly choose = <T>(value: T, cases: () => readonly unknown[]): T => {
    if (this.comparisons !== null) for (const each of cases()) this.note(value, each);
    return value;
  };

  note(a: unknown, b: unknown): void {
    if (a === b || this.comparisons === null || this.comparisons.length >= MAX_COMPARISONS) return;
    if (isToken(a) && isToken(b) && typeof a === typeof b) this.comparisons.push([a, b]);
  }
}

function isToken(value: unknown): value is Token {
  if (typeof value === 'string') return value !== '' && value.length <= MAX_TOKEN_LENGTH;
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 32;
}

declare global {
  // Instrumented files are plain scripts to the engine; this is their only way to it.
  var fuzzProbe: Probe | undefined;
}
