import type { AmfValue } from '../../src/formats/amf/value.ts';
import { check, failure } from './tolerate.ts';

interface Codec {
  decode(bytes: Uint8Array): AmfValue[];
  encode(values: readonly AmfValue[]): Buffer;
  encodeAsOther(values: readonly AmfValue[]): Buffer;
}

const ALLOWED = new Set(['SLUICE_AMF_MALFORMED', 'SLUICE_AMF_LIMIT']);

/** What decodes, encodes; and what was encoded decodes to the same values. */
export function checkRoundTrip(bytes: Buffer, { decode, encode, encodeAsOther }: Codec): void {
  let values: AmfValue[] = [];
  const malformed = failure(() => {
    values = decode(bytes);
  });
  if (malformed !== null) {
    check(ALLOWED.has(malformed), `${malformed} from decoding`);
    return;
  }
  let encoded: Buffer | null = null;
  const codes = [
    failure(() => {
      encoded = encode(values);
    }),
    failure(() => encodeAsOther(values)),
  ];
  // References can make a long message of a short one; nothing else may be wrong with what was just decoded.
  for (const code of codes) check(code === null || code === 'SLUICE_AMF_LIMIT', `${code} from encoding`);
  if (encoded === null) return;
  const again = decode(encoded);
  check(sameAmf(values, again), 'other values after encoding and decoding');
  check(encode(again).equals(encoded), 'other bytes after encoding, decoding and encoding');
}

/**
 * Whether walking through both shows the same. Values may contain themselves; what the AMF3 part of an AMF0 message
 * shares with the rest is written twice, so two objects may stand where there was one.
 */
function sameAmf(a: unknown, b: unknown, known = new Map<unknown, Set<unknown>>()): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b);
  const compared = known.get(a) ?? new Set();
  if (compared.has(b)) return true;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  known.set(a, compared.add(b));
  const ours = Object.entries(a);
  const theirs = Object.entries(b);
  return (
    ours.length === theirs.length &&
    ours.every(([name, value], index) => {
      const [otherName, otherValue] = theirs[index] ?? [];
      return name === otherName && sameAmf(value, otherValue, known);
    })
  );
}
