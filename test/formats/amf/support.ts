import fc from 'fast-check';
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfNumberVector,
  type AmfObject,
  AmfObjectVector,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
} from '../../../src/formats/amf/value.ts';
import { type ErrorCode, SluiceError } from '../../../src/media/errors.ts';

/** Bytes from hex digits with any spacing; `// text` to the end of a line names the fields. */
export function hex(digits: string): Buffer {
  const bare = digits.replace(/\/\/.*$/gm, '').replace(/\s/g, '');
  if (bare.length % 2 !== 0 || /[^0-9a-f]/i.test(bare)) throw new TypeError(`not hex: ${digits}`);
  return Buffer.from(bare, 'hex');
}

/** Members without a prototype, as the decoder makes them. */
export function members(entries: Iterable<readonly [string, AmfValue]>): AmfObject {
  const object: { [name: string]: AmfValue } = Object.create(null);
  for (const [name, value] of entries) object[name] = value;
  return object;
}

/** {@link members} from a literal. */
export function object(literal: AmfObject): AmfObject {
  return members(Object.entries(literal));
}

/** The code `action` fails with, or `undefined` when it succeeds. Any error but a SluiceError passes through. */
export function failure(action: () => unknown): ErrorCode | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof SluiceError) return error.code;
    throw error;
  }
}

// Lone surrogates have no UTF-8 form, so text is made of whole code points.
const text = fc.string({ unit: 'binary', maxLength: 12 });
// Not "constructor": toStrictEqual takes an own member of that name for the type of the object.
const anyName = fc
  .oneof(text, fc.constantFrom('', '0', '17', '__proto__', 'toString', 'length', 'width'))
  .filter((name) => name !== 'constructor');
const filledName = anyName.filter((name) => name !== '');
const integer = fc.oneof(
  fc.integer(),
  fc.integer({ min: -(2 ** 28) - 2, max: -(2 ** 28) + 2 }),
  fc.integer({ min: 2 ** 28 - 2, max: 2 ** 28 + 2 }),
  fc.nat(300),
);

const leaf: fc.Arbitrary<AmfValue> = fc.oneof(
  fc.constantFrom(undefined, null, true, false),
  fc.double(),
  integer,
  text,
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array(bytes)),
  fc
    .tuple(text, fc.constantFrom('document' as const, 'xml' as const))
    .map(([t, kind]) => new AmfXml(t, kind)),
  fc.tuple(fc.array(fc.integer()), fc.boolean()).map(([i, f]) => new AmfNumberVector('int', i, f)),
  fc.tuple(fc.array(fc.nat(2 ** 32 - 1)), fc.boolean()).map(([i, f]) => new AmfNumberVector('uint', i, f)),
  fc.tuple(fc.array(fc.double()), fc.boolean()).map(([i, f]) => new AmfNumberVector('double', i, f)),
);

/**
 * Any value, nested some levels, that has an exact form in both versions: an ECMA array with members, none of
 * them nameless (see encodeAmf3), and typed objects with a class name.
 */
export const anyAmfValue: fc.Arbitrary<AmfValue> = fc.letrec<{ value: AmfValue }>((tie) => {
  const value = tie('value');
  const items = fc.array(value, { maxLength: 5 });
  const entries = fc.array(fc.tuple(anyName, value), { maxLength: 5 });
  const filledEntries = fc.array(fc.tuple(filledName, value), { minLength: 1, maxLength: 5 });
  return {
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      items,
      entries.map(members),
      filledEntries.map((list) => new AmfEcmaArray(members(list))),
      fc.tuple(filledName, entries).map(([name, list]) => new AmfTypedObject(name, members(list))),
      fc
        .tuple(text, items, fc.boolean())
        .map(([name, list, fixed]) => new AmfObjectVector(name, list, fixed)),
      fc
        .tuple(fc.array(fc.tuple(value, value), { maxLength: 4 }), fc.boolean())
        .map(([pairs, weak]) => new AmfDictionary(pairs, weak)),
    ),
  };
}).value;
