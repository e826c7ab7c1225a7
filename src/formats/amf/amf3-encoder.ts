import {
  ARRAY,
  BYTE_ARRAY,
  DATE,
  DICTIONARY,
  DOUBLE,
  DYNAMIC,
  FALSE,
  INLINE,
  INLINE_TRAITS,
  INTEGER,
  MAX_INTEGER,
  MAX_U29,
  MIN_INTEGER,
  NULL,
  OBJECT,
  STRING,
  TRUE,
  UNDEFINED,
  VECTOR_DOUBLE,
  VECTOR_INT,
  VECTOR_OBJECT,
  VECTOR_UINT,
  XML,
  XML_DOCUMENT,
} from './amf3-markers.ts';
import { type AmfLimits, countValue, enter, leave, malformed, overLimit } from './limits.ts';
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfNumberVector,
  type AmfObject,
  AmfObjectVector,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
  membersOf,
} from './value.ts';
import {
  newWriter,
  type Writer,
  writeBytes,
  writeDouble,
  writeI32,
  writeU8,
  writeU32,
  writeUtf8,
  written,
} from './writer.ts';

/** The reference tables of one AMF3 context and where it writes to; the numbers are table indices. */
export interface Amf3Encoder {
  readonly writer: Writer;
  readonly strings: Map<string, number>;
  readonly objects: Map<object, number>;
  readonly traits: Map<string, number>;
  /** A small number for each name seen in traits, to look traits up by. */
  readonly names: Map<string, number>;
}

/** Empty tables over `writer`. */
export function newAmf3Encoder(writer: Writer): Amf3Encoder {
  return { writer, strings: new Map(), objects: new Map(), traits: new Map(), names: new Map() };
}

/**
 * Writes values as one AMF3 message in one context. Strings, objects and traits that occur again are written
 * as references.
 *
 * - A whole number of 29 bits is an integer, any other number a double, negative zero too.
 * - A plain object is written with dynamic members, a typed object with sealed ones.
 * - An ECMA array is an array with an associative part only. An empty one cannot be told from an empty dense
 *   array, and a member with an empty name is left out: on the wire an empty name ends the list.
 * - A lone surrogate in a string becomes U+FFFD, having no UTF-8 form.
 *
 * @param values - in wire order
 * @param limits - overrides of the default limits
 * @throws SluiceError SLUICE_AMF_LIMIT when nested too deeply, too many values, or the message too long
 * @throws SluiceError SLUICE_AMF_MALFORMED when a value is of no type AMF has
 */
export function encodeAmf3(values: readonly AmfValue[], limits?: Partial<AmfLimits>): Buffer {
  const encoder = newAmf3Encoder(newWriter(limits));
  for (const value of values) writeAmf3Value(encoder, value);
  return written(encoder.writer);
}

/** Writes one value, marker first. For AMF3 inside AMF0. Throws as {@link encodeAmf3}. */
export function writeAmf3Value(encoder: Amf3Encoder, value: AmfValue): void {
  const { writer } = encoder;
  countValue(writer.budget);
  switch (typeof value) {
    case 'undefined':
      writeU8(writer, UNDEFINED);
      return;
    case 'boolean':
      writeU8(writer, value ? TRUE : FALSE);
      return;
    case 'number':
      writeNumber(writer, value);
      return;
    case 'string':
      writeU8(writer, STRING);
      writeString(encoder, value);
      return;
    default:
      if (value === null) writeU8(writer, NULL);
      else writeReferable(encoder, value);
  }
}

function writeNumber(writer: Writer, value: number): void {
  const integer = Number.isInteger(value) && value >= MIN_INTEGER && value <= MAX_INTEGER;
  if (integer && !Object.is(value, -0)) {
    writeU8(writer, INTEGER);
    writeU29(writer, value & MAX_U29);
  } else {
    writeU8(writer, DOUBLE);
    writeDouble(writer, value);
  }
}

// U29: 1 to 4 bytes, 7 + 7 + 7 + 8 bits
function writeU29(writer: Writer, value: number): void {
  if (value > MAX_U29) throw overLimit(`${value} does not fit into 29 bits`);
  if (value < 0x80) {
    writeU8(writer, value);
  } else if (value < 0x4000) {
    writeU8(writer, (value >> 7) | 0x80);
    writeU8(writer, value & 0x7f);
  } else if (value < 0x20_0000) {
    writeU8(writer, (value >> 14) | 0x80);
    writeU8(writer, ((value >> 7) & 0x7f) | 0x80);
    writeU8(writer, value & 0x7f);
  } else {
    writeU8(writer, (value >> 22) | 0x80);
    writeU8(writer, ((value >> 15) & 0x7f) | 0x80);
    writeU8(writer, ((value >> 8) & 0x7f) | 0x80);
    writeU8(writer, value & 0xff);
  }
}

// A length or count with the "follows inline" bit. Not a shift: 32 bits could overflow before the check.
function writeInline(writer: Writer, count: number): void {
  writeU29(writer, count * 2 + INLINE);
}

// U29: index << 1, or byte length << 1 | 1 and the UTF-8
function writeString(encoder: Amf3Encoder, text: string): void {
  const { writer, strings } = encoder;
  const index = strings.get(text);
  if (index !== undefined) {
    writeU29(writer, index * 2);
    return;
  }
  if (text !== '') strings.set(text, strings.size);
  writeText(writer, text);
}

// U29 byte length << 1 | 1, UTF-8
function writeText(writer: Writer, text: string): void {
  const length = Buffer.byteLength(text);
  writeInline(writer, length);
  writeUtf8(writer, text, length);
}

/** Everything with an index in the object table: the marker, then that index or the value. */
function writeReferable(
  encoder: Amf3Encoder,
  value: Exclude<AmfValue, undefined | null | boolean | number | string>,
): void {
  const { writer, objects } = encoder;
  writeU8(writer, markerOf(value));
  const index = objects.get(value);
  if (index !== undefined) {
    writeU29(writer, index * 2);
    return;
  }
  objects.set(value, objects.size);
  if (value instanceof Date) {
    writeInline(writer, 0);
    writeDouble(writer, value.getTime()); // milliseconds since 1970
  } else if (value instanceof Uint8Array) {
    writeInline(writer, value.length);
    writeBytes(writer, value);
  } else if (value instanceof AmfXml) {
    writeText(writer, value.text);
  } else if (value instanceof AmfNumberVector) {
    writeNumberVector(writer, value);
  } else {
    enter(writer.budget);
    writeContainer(encoder, value);
    leave(writer.budget);
  }
}

type Container = AmfValue[] | AmfObject | AmfEcmaArray | AmfTypedObject | AmfObjectVector | AmfDictionary;

function writeContainer(encoder: Amf3Encoder, value: Container): void {
  if (Array.isArray(value)) writeArray(encoder, value);
  else if (value instanceof AmfEcmaArray) writeEcmaArray(encoder, value);
  else if (value instanceof AmfObjectVector) writeObjectVector(encoder, value);
  else if (value instanceof AmfDictionary) writeDictionary(encoder, value);
  else if (value instanceof AmfTypedObject) writeObject(encoder, value.className, value.members);
  else writeObject(encoder, '', value);
}

function markerOf(value: AmfValue): number {
  if (value instanceof Date) return DATE;
  if (value instanceof Uint8Array) return BYTE_ARRAY;
  if (value instanceof AmfXml) return value.kind === 'xml' ? XML : XML_DOCUMENT;
  if (value instanceof AmfNumberVector) return numberVectorMarker(value.kind);
  if (value instanceof AmfObjectVector) return VECTOR_OBJECT;
  if (value instanceof AmfDictionary) return DICTIONARY;
  if (Array.isArray(value) || value instanceof AmfEcmaArray) return ARRAY;
  if (membersOf(value) !== undefined) return OBJECT;
  throw malformed('a value is of no type AMF has');
}

function numberVectorMarker(kind: AmfNumberVector['kind']): number {
  if (kind === 'int') return VECTOR_INT;
  return kind === 'uint' ? VECTOR_UINT : VECTOR_DOUBLE;
}

// U29 count << 1 | 1; u8 fixed length; (i32 | u32 | f64)*
function writeNumberVector(writer: Writer, vector: AmfNumberVector): void {
  writeInline(writer, vector.items.length);
  writeU8(writer, vector.fixed ? 1 : 0);
  for (const item of vector.items) {
    countValue(writer.budget);
    if (vector.kind === 'int') writeI32(writer, item | 0);
    else if (vector.kind === 'uint') writeU32(writer, item >>> 0);
    else writeDouble(writer, item);
  }
}

// U29 count << 1 | 1; empty name (no associative part); (value)*
function writeArray(encoder: Amf3Encoder, items: readonly AmfValue[]): void {
  writeInline(encoder.writer, items.length);
  writeString(encoder, '');
  for (const item of items) writeAmf3Value(encoder, item);
}

// U29 1 (no dense part); (string name, value)*, empty name
function writeEcmaArray(encoder: Amf3Encoder, array: AmfEcmaArray): void {
  writeInline(encoder.writer, 0);
  writeNamedMembers(encoder, array.members);
}

// (string name, value)*, empty name
function writeNamedMembers(encoder: Amf3Encoder, members: AmfObject): void {
  for (const [name, value] of Object.entries(members)) {
    if (name === '') continue; // would end the list
    writeString(encoder, name);
    writeAmf3Value(encoder, value);
  }
  writeString(encoder, '');
}

// U29 traits; (value)* sealed; if dynamic: (string name, value)*, empty name
function writeObject(encoder: Amf3Encoder, className: string, members: AmfObject): void {
  // A member with an empty name can only be a sealed one.
  const dynamic = className === '' && !Object.hasOwn(members, '');
  const sealed = dynamic ? [] : Object.keys(members);
  writeTraits(encoder, className, dynamic, sealed);
  for (const name of sealed) writeAmf3Value(encoder, members[name]);
  if (dynamic) writeNamedMembers(encoder, members);
}

// U29: index << 2 | 01, or sealed count << 4 | dynamic << 3 | 011;
// then, unless an index, string class name, (string sealed member name)*
function writeTraits(encoder: Amf3Encoder, className: string, dynamic: boolean, sealed: string[]): void {
  const { writer, traits } = encoder;
  // Numbers for names: joining the text itself would copy a long name once per object that has it.
  const identity = [className, ...sealed].map((name) => nameNumber(encoder, name)).join();
  const index = traits.get(identity);
  if (index !== undefined) {
    writeU29(writer, index * 4 + INLINE);
    return;
  }
  traits.set(identity, traits.size);
  writeU29(writer, sealed.length * 16 + (dynamic ? DYNAMIC : 0) + INLINE_TRAITS + INLINE);
  writeString(encoder, className);
  for (const name of sealed) writeString(encoder, name);
}

function nameNumber({ names }: Amf3Encoder, name: string): number {
  const known = names.get(name);
  if (known !== undefined) return known;
  names.set(name, names.size);
  return names.size - 1;
}

// U29 count << 1 | 1; u8 fixed length; string type name; (value)*
function writeObjectVector(encoder: Amf3Encoder, vector: AmfObjectVector): void {
  writeInline(encoder.writer, vector.items.length);
  writeU8(encoder.writer, vector.fixed ? 1 : 0);
  writeString(encoder, vector.typeName);
  for (const item of vector.items) writeAmf3Value(encoder, item);
}

// U29 count << 1 | 1; u8 weak keys; (value key, value)*
function writeDictionary(encoder: Amf3Encoder, dictionary: AmfDictionary): void {
  writeInline(encoder.writer, dictionary.entries.length);
  writeU8(encoder.writer, dictionary.weakKeys ? 1 : 0);
  for (const [key, value] of dictionary.entries) {
    writeAmf3Value(encoder, key);
    writeAmf3Value(encoder, value);
  }
}
