/**
 * The values AMF0 and AMF3 can carry, as plain data.
 *
 * What JavaScript has a natural type for is that type. The rest are small classes with public read-only
 * fields, because AMF distinguishes things JavaScript does not and a value read from an encoder has to leave
 * as what it was.
 *
 * Two wire types fold into others: AMF0 "unsupported" (0x0D) reads as `undefined`, and the AMF3 integer and
 * double are both `number`. An empty class name is the same as no class.
 */
export type AmfValue =
  | undefined
  | null
  | boolean
  | number
  | string
  | Date
  | Uint8Array
  | AmfValue[]
  | AmfObject
  | AmfEcmaArray
  | AmfTypedObject
  | AmfXml
  | AmfNumberVector
  | AmfObjectVector
  | AmfDictionary;

/**
 * An anonymous object. Decoded ones have no prototype, so a member called `__proto__` or `constructor` is an
 * ordinary member; an ordinary literal is fine for encoding.
 */
export type AmfObject = { readonly [name: string]: AmfValue };

/**
 * An array with named members: AMF0 marker 0x08, or an AMF3 array that has an associative part. The usual
 * form of `onMetaData`. The dense part of an AMF3 array appears as the members "0", "1" and so on.
 */
export class AmfEcmaArray {
  readonly members: AmfObject;

  constructor(members: AmfObject) {
    this.members = members;
  }
}

/** An object of a named class: AMF0 marker 0x10, or an AMF3 object whose traits have a class name. */
export class AmfTypedObject {
  readonly className: string;
  readonly members: AmfObject;

  constructor(className: string, members: AmfObject) {
    this.className = className;
    this.members = members;
  }
}

/**
 * An XML document as text, never parsed. `document` is the legacy XMLDocument (AMF0 0x0F, AMF3 0x07),
 * `xml` the later XML type (AMF3 0x0B only).
 */
export class AmfXml {
  readonly text: string;
  readonly kind: 'document' | 'xml';

  constructor(text: string, kind: 'document' | 'xml' = 'document') {
    this.text = text;
    this.kind = kind;
  }
}

/**
 * An AMF3 vector of numbers: 32-bit signed (0x0D), 32-bit unsigned (0x0E) or double (0x0F). `fixed` is the
 * wire flag that the length may not change. Items out of a 32-bit kind's range wrap when encoded.
 */
export class AmfNumberVector {
  readonly kind: 'int' | 'uint' | 'double';
  readonly items: readonly number[];
  readonly fixed: boolean;

  constructor(kind: 'int' | 'uint' | 'double', items: readonly number[], fixed = false) {
    this.kind = kind;
    this.items = items;
    this.fixed = fixed;
  }
}

/** An AMF3 vector of objects (0x10). `typeName` is the class of the items, empty or "*" for any. */
export class AmfObjectVector {
  readonly typeName: string;
  readonly items: readonly AmfValue[];
  readonly fixed: boolean;

  constructor(typeName: string, items: readonly AmfValue[], fixed = false) {
    this.typeName = typeName;
    this.items = items;
    this.fixed = fixed;
  }
}

/** One key and its value in an {@link AmfDictionary}. */
export type AmfDictionaryEntry = readonly [key: AmfValue, value: AmfValue];

/** An AMF3 dictionary (0x11): keys of any type, so pairs in wire order. Repeated keys are kept. */
export class AmfDictionary {
  readonly entries: readonly AmfDictionaryEntry[];
  readonly weakKeys: boolean;

  constructor(entries: readonly AmfDictionaryEntry[], weakKeys = false) {
    this.entries = entries;
    this.weakKeys = weakKeys;
  }
}

/** A value with named members, in any of the three wire forms encoders use for the same thing. */
export type AmfRecord = AmfObject | AmfEcmaArray | AmfTypedObject;

/** Whether `value` has named members: an object, an ECMA array or a typed object. Read them with {@link membersOf}. */
export function isAmfObject(value: AmfValue): value is AmfRecord {
  return membersOf(value) !== undefined;
}

/** The named members of an object, ECMA array or typed object; `undefined` for any other value. */
export function membersOf(value: AmfValue): AmfObject | undefined {
  if (value instanceof AmfEcmaArray || value instanceof AmfTypedObject) return value.members;
  return isPlainObject(value) ? value : undefined;
}

/** The member `name` of an object, ECMA array or typed object; `undefined` when absent or `value` has no members. */
export function memberOf(value: AmfValue, name: string): AmfValue {
  const members = membersOf(value);
  return members !== undefined && Object.hasOwn(members, name) ? members[name] : undefined;
}

/** {@link memberOf} when it is a string, else `undefined`. Numbers are not converted. */
export function stringOf(value: AmfValue, name: string): string | undefined {
  const member = memberOf(value, name);
  return typeof member === 'string' ? member : undefined;
}

/** {@link memberOf} when it is a number (it may be NaN or infinite), else `undefined`. Strings are not converted. */
export function numberOf(value: AmfValue, name: string): number | undefined {
  const member = memberOf(value, name);
  return typeof member === 'number' ? member : undefined;
}

// By prototype, not by exclusion: an instance of a class the codec does not know must not pass for data.
function isPlainObject(value: AmfValue): value is AmfObject {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
