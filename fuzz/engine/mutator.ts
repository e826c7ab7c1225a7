import type { Comparison, Token } from './probe.ts';
import type { Random } from './random.ts';

/** Where fields begin to overflow, change sign or change their encoding. */
const EDGE_VALUES = [
  0, 1, 2, 0x7e, 0x7f, 0x80, 0xfe, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7f_ffff, 0xff_fffe,
  0xff_ffff, 0x100_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];
const WIDTHS = [1, 1, 1, 2, 2, 3, 4];
const LONGEST_BLOCK = 128;
const MOST_CHANGES = 6;

/** What changed inputs are made of. */
export interface Material {
  readonly literals: readonly Token[];
  /** What the input being changed was compared with. */
  readonly comparisons: readonly Comparison[];
  /** Another input of the corpus. */
  readonly other: Uint8Array;
}

type Change = (bytes: Uint8Array, material: Material, random: Random) => Uint8Array;

/** @returns `bytes` with a few random changes, at most `maxLength` bytes */
export function mutate(bytes: Uint8Array, material: Material, random: Random, maxLength: number): Uint8Array {
  let result = bytes;
  // Half of the inputs get one change, a quarter two …
  let changes = 1;
  while (changes < MOST_CHANGES && random.below(2) === 0) changes++;
  for (let i = 0; i < changes; i++) {
    const change = CHANGES[random.below(CHANGES.length)] ?? setByte;
    result = change(result, material, random);
    if (result.length > maxLength) result = result.subarray(0, maxLength);
  }
  return result;
}

const setByte: Change = (bytes, _material, random) =>
  overwrite(bytes, random.below(bytes.length), [random.below(256)]);

const flipBit: Change = (bytes, _material, random) => {
  const at = random.below(bytes.length);
  return overwrite(bytes, at, [(bytes[at] ?? 0) ^ (1 << random.below(8))]);
};

const addToField: Change = (bytes, _material, random) => {
  const width = pick(WIDTHS, random) ?? 1;
  const at = random.below(bytes.length - width + 1);
  const little = random.below(4) === 0;
  const value = readField(bytes, at, width, little) + random.below(71) - 35;
  return overwrite(bytes, at, field(value, width, little));
};

const setField: Change = (bytes, _material, random) => {
  const width = pick(WIDTHS, random) ?? 1;
  const value = pick(EDGE_VALUES, random) ?? 0;
  return overwrite(bytes, random.below(bytes.length - width + 1), field(value, width, random.below(4) === 0));
};

const erase: Change = (bytes, _material, random) => {
  const at = random.below(bytes.length);
  return splice(bytes, at, blockLength(bytes.length - at, random), []);
};

const cut: Change = (bytes, _material, random) => bytes.subarray(0, random.below(bytes.length + 1));

const insertBytes: Change = (bytes, _material, random) => {
  const one = random.below(256);
  const same = random.below(2) === 0;
  const added = Uint8Array.from({ length: 1 + random.below(8) }, () => (same ? one : random.below(256)));
  return splice(bytes, random.below(bytes.length + 1), 0, added);
};

const repeatBlock: Change = (bytes, _material, random) => {
  const at = random.below(bytes.length);
  const block = bytes.subarray(at, at + blockLength(bytes.length - at, random));
  return splice(bytes, random.below(bytes.length + 1), 0, block);
};

const moveBlock: Change = (bytes, _material, random) => {
  const at = random.below(bytes.length);
  const block = bytes.subarray(at, at + blockLength(bytes.length - at, random));
  return overwrite(bytes, random.below(bytes.length), block);
};

const takeBlockOfOther: Change = (bytes, { other }, random) => {
  const from = random.below(other.length);
  const block = other.subarray(from, from + blockLength(other.length - from, random));
  const at = random.below(bytes.length + 1);
  return random.below(2) === 0 ? splice(bytes, at, 0, block) : overwrite(bytes, at, block);
};

const crossWithOther: Change = (bytes, { other }, random) =>
  Buffer.concat([
    bytes.subarray(0, random.below(bytes.length + 1)),
    other.subarray(random.below(other.length + 1)),
  ]);

const putLiteral: Change = (bytes, { literals }, random) => {
  const literal = pick(literals, random);
  if (literal === undefined) return bytes;
  const encoded = encode(literal, random);
  const at = random.below(bytes.length + 1);
  return random.below(2) === 0 ? splice(bytes, at, 0, encoded) : overwrite(bytes, at, encoded);
};

/** Where the input holds one side of a comparison that failed, put the other side. */
const satisfyComparison: Change = (bytes, { comparisons }, random) => {
  const comparison = pick(comparisons, random);
  if (comparison === undefined) return bytes;
  const [have, want] = random.below(2) === 0 ? comparison : [comparison[1], comparison[0]];
  // A number is also reached by a neighbour: comparisons are < and > as well.
  const wanted = typeof want === 'number' ? want + (random.below(3) - 1) * random.below(2) : want;
  const shape = random.below(SHAPES);
  const before = encodeAs(have, shape);
  const after = encodeAs(wanted, shape);
  const at = findFrom(bytes, before, random);
  if (at >= 0) return splice(bytes, at, before.length, after);
  return random.below(4) === 0 ? overwrite(bytes, random.below(bytes.length + 1), after) : bytes;
};

const CHANGES: readonly Change[] = [
  setByte,
  flipBit,
  addToField,
  setField,
  erase,
  cut,
  insertBytes,
  repeatBlock,
  moveBlock,
  takeBlockOfOther,
  crossWithOther,
  putLiteral,
  satisfyComparison,
  satisfyComparison,
  satisfyComparison,
];

function pick<T>(list: readonly T[], random: Random): T | undefined {
  return list[random.below(list.length)];
}

/** Short ones more often. */
function blockLength(most: number, random: Random): number {
  return Math.min(most, 1 + random.below(random.below(Math.min(most, LONGEST_BLOCK)) + 1));
}

function splice(bytes: Uint8Array, at: number, removed: number, added: ArrayLike<number>): Uint8Array {
  const result = new Uint8Array(bytes.length - removed + added.length);
  result.set(bytes.subarray(0, at));
  result.set(added, at);
  result.set(bytes.subarray(at + removed), at + added.length);
  return result;
}

/** Grows the input where `added` reaches over its end. */
function overwrite(bytes: Uint8Array, at: number, added: ArrayLike<number>): Uint8Array {
  const result = new Uint8Array(Math.max(bytes.length, at + added.length));
  result.set(bytes);
  result.set(added, at);
  return result;
}

function readField(bytes: Uint8Array, at: number, width: number, little: boolean): number {
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[little ? at + width - 1 - i : at + i] ?? 0);
  return value;
}

function field(value: number, width: number, little: boolean): Uint8Array {
  const bytes = new Uint8Array(width);
  let rest = value < 0 ? value + 2 ** (8 * width) : value;
  for (let i = width - 1; i >= 0; i--, rest = Math.floor(rest / 256)) {
    bytes[little ? width - 1 - i : i] = rest % 256;
  }
  return bytes;
}

/** Ways in which a number may stand in an input: 1…4 bytes in either order, or decimal digits. */
const SHAPES = 8;

function encodeAs(token: Token, shape: number): Uint8Array {
  if (typeof token === 'string' || shape === SHAPES - 1) return Buffer.from(String(token));
  return shape < 4 ? field(token, shape + 1, false) : field(token, shape - 2, true);
}

function encode(token: Token, random: Random): Uint8Array {
  return encodeAs(token, random.below(SHAPES));
}

/** Position of `pattern`, searched from a random place on and then from the beginning; -1 when it is not there. */
function findFrom(bytes: Uint8Array, pattern: Uint8Array, random: Random): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = view.indexOf(pattern, random.below(bytes.length));
  return at >= 0 ? at : view.indexOf(pattern);
}
