import { type AmfLimits, countValue, enter, leave, malformed, overLimit } from './limits.ts';
import {
  expectItems,
  type Members,
  newMembers,
  newReader,
  type Reader,
  readBytes,
  readDouble,
  readI32,
  readU8,
  readU32,
  readUtf8,
  remaining,
} from './reader.ts';
import {
  AmfDictionary,
  type AmfDictionaryEntry,
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

// Type markers: Action Message Format AMF 3, chapter 3.
const UNDEFINED = 0x00;
const NULL = 0x01;
const FALSE = 0x02;
const TRUE = 0x03;
const INTEGER = 0x04;
const DOUBLE = 0x05;
const STRING = 0x06;
const XML_DOCUMENT = 0x07;
const DATE = 0x08;
const ARRAY = 0x09;
const OBJECT = 0x0a;
const XML = 0x0b;
const BYTE_ARRAY = 0x0c;
const VECTOR_INT = 0x0d;
const VECTOR_UINT = 0x0e;
const VECTOR_DOUBLE = 0x0f;
const VECTOR_OBJECT = 0x10;
const DICTIONARY = 0x11;

const LAST_MARKER = DICTIONARY;

/** Bit 0 of every header: set means the value follows, clear means the other bits are a table index. */
const INLINE = 1;
/** Bit 1 of an inline object header: set means the traits follow. */
const INLINE_TRAITS = 2;
const EXTERNALIZABLE = 4;
const DYNAMIC = 8;

const MAX_U29 = 2 ** 29 - 1;
/** Integers are 29-bit two's complement; anything else is written as a double. */
const MIN_INTEGER = -(2 ** 28);
const MAX_INTEGER = 2 ** 28 - 1;

/** Externalizable: the class decides what follows. This one writes exactly one AMF3 value, its source array. */
const ARRAY_COLLECTION = 'flex.messaging.io.ArrayCollection';

/** Stands in the object table for an externalizable object while its one value is being read. */
const PENDING = Symbol('externalizable object being read');

/** What objects of one class have in common (AMF 3, 3.12). */
interface Traits {
  readonly className: string;
  readonly externalizable: boolean;
  /** Whether named members follow the sealed ones. */
  readonly dynamic: boolean;
  /** The names of the sealed members, whose values come without names. */
  readonly sealed: readonly string[];
}

/** The reference tables of one AMF3 context and where it reads from. */
export interface Amf3Decoder {
  readonly reader: Reader;
  readonly strings: string[];
  readonly objects: (AmfValue | typeof PENDING)[];
  readonly traits: Traits[];
}

/** The reference tables of one AMF3 context and where it writes to; the numbers are table indices. */
export interface Amf3Encoder {
  readonly writer: Writer;
  readonly strings: Map<string, number>;
  readonly objects: Map<object, number>;
  readonly traits: Map<string, number>;
  /** A small number for each name seen in traits, to look traits up by. */
  readonly names: Map<string, number>;
}

/** Empty tables over `reader`. */
export function newAmf3Decoder(reader: Reader): Amf3Decoder {
  return { reader, strings: [], objects: [], traits: [] };
}

/** Empty tables over `writer`. */
export function newAmf3Encoder(writer: Writer): Amf3Encoder {
  return { writer, strings: new Map(), objects: new Map(), traits: new Map(), names: new Map() };
}

/**
 * Reads every value of an AMF3 message, all in one context: references reach back through the message.
 *
 * Text that is not UTF-8 becomes U+FFFD, and an unknown marker behind at least one complete value ends the
 * message, both as in AMF0. An object of the externalizable class ArrayCollection reads as its array; any
 * other externalizable class is malformed, since nothing says where its data ends. Which members of a typed
 * object were sealed and which dynamic is not kept.
 *
 * @param bytes - the message; not kept, byte arrays are copied out
 * @param limits - overrides of the default limits
 * @throws SluiceError SLUICE_AMF_MALFORMED when the bytes are cut short or contradictory
 * @throws SluiceError SLUICE_AMF_LIMIT when nested too deeply, too many values or too many bytes
 */
export function decodeAmf3(bytes: Uint8Array, limits?: Partial<AmfLimits>): AmfValue[] {
  const decoder = newAmf3Decoder(newReader(bytes, limits));
  const { reader } = decoder;
  const values: AmfValue[] = [];
  while (remaining(reader) > 0) {
    if (values.length > 0 && (reader.bytes[reader.offset] ?? 0) > LAST_MARKER) break;
    values.push(readAmf3Value(decoder));
  }
  return values;
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

/** Reads one value, marker first, and moves past it. For AMF3 inside AMF0. Throws as {@link decodeAmf3}. */
export function readAmf3Value(decoder: Amf3Decoder): AmfValue {
  const { reader } = decoder;
  countValue(reader.budget);
  const marker = readU8(reader);
  switch (marker) {
    case UNDEFINED:
      return undefined;
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case INTEGER:
      return (readU29(reader) << 3) >> 3; // bit 28 is the sign
    case DOUBLE:
      return readDouble(reader);
    case STRING:
      return readString(decoder);
    case XML_DOCUMENT:
      return readXml(decoder, 'document');
    case XML:
      return readXml(decoder, 'xml');
    case DATE:
      return readDate(decoder);
    case BYTE_ARRAY:
      return readByteArray(decoder);
    case VECTOR_INT:
      return readNumberVector(decoder, 'int');
    case VECTOR_UINT:
      return readNumberVector(decoder, 'uint');
    case VECTOR_DOUBLE:
      return readNumberVector(decoder, 'double');
    case ARRAY:
    case OBJECT:
    case VECTOR_OBJECT:
    case DICTIONARY:
      return readContainer(decoder, marker);
    default:
      throw malformed(`unknown AMF3 marker 0x${marker.toString(16)} at byte ${reader.offset - 1}`);
  }
}

function readContainer(decoder: Amf3Decoder, marker: number): AmfValue {
  const { budget } = decoder.reader;
  const header = readU29(decoder.reader);
  if ((header & INLINE) === 0) return objectAt(decoder, header >> 1);
  enter(budget);
  const value = readInlineContainer(decoder, marker, header);
  leave(budget);
  return value;
}

function readInlineContainer(decoder: Amf3Decoder, marker: number, header: number): AmfValue {
  if (marker === OBJECT) return readObject(decoder, header);
  const count = header >> 1;
  if (marker === ARRAY) return readArray(decoder, count);
  if (marker === VECTOR_OBJECT) return readObjectVector(decoder, count);
  return readDictionary(decoder, count);
}

// U29: 1 to 4 bytes, the top bit of the first three says another follows; 7 + 7 + 7 + 8 bits
function readU29(reader: Reader): number {
  let value = 0;
  for (let i = 0; i < 3; i++) {
    const byte = readU8(reader);
    value = (value << 7) | (byte & 0x7f);
    if (byte < 0x80) return value;
  }
  return (value << 8) | readU8(reader);
}

// U29: index << 1, or byte length << 1 | 1 and the UTF-8
function readString(decoder: Amf3Decoder): string {
  const { reader, strings } = decoder;
  const header = readU29(reader);
  if ((header & INLINE) === 0) {
    const text = strings[header >> 1];
    if (text === undefined) throw malformed(`reference to string ${header >> 1} of ${strings.length}`);
    return text;
  }
  const text = readUtf8(reader, header >> 1);
  if (text !== '') strings.push(text); // the empty string is always sent inline and has no index
  return text;
}

// U29: index << 1, or byte length << 1 | 1 and the UTF-8; not in the string table but in that of objects
function readXml(decoder: Amf3Decoder, kind: AmfXml['kind']): AmfValue {
  const header = readU29(decoder.reader);
  if ((header & INLINE) === 0) return objectAt(decoder, header >> 1);
  return register(decoder, new AmfXml(readUtf8(decoder.reader, header >> 1), kind));
}

// U29: index << 1, or 1 and f64 milliseconds since 1970
function readDate(decoder: Amf3Decoder): AmfValue {
  const header = readU29(decoder.reader);
  if ((header & INLINE) === 0) return objectAt(decoder, header >> 1);
  return register(decoder, new Date(readDouble(decoder.reader)));
}

// U29: index << 1, or byte length << 1 | 1 and the bytes
function readByteArray(decoder: Amf3Decoder): AmfValue {
  const header = readU29(decoder.reader);
  if ((header & INLINE) === 0) return objectAt(decoder, header >> 1);
  return register(decoder, readBytes(decoder.reader, header >> 1));
}

// U29: index << 1, or count << 1 | 1; u8 fixed length; (i32 | u32 | f64)*
function readNumberVector(decoder: Amf3Decoder, kind: AmfNumberVector['kind']): AmfValue {
  const { reader } = decoder;
  const header = readU29(reader);
  if ((header & INLINE) === 0) return objectAt(decoder, header >> 1);
  const count = header >> 1;
  const fixed = readU8(reader) !== 0;
  expectItems(reader, count, kind === 'double' ? 8 : 4);
  const readItem = kind === 'int' ? readI32 : kind === 'uint' ? readU32 : readDouble;
  const items: number[] = [];
  for (let i = 0; i < count; i++) {
    countValue(reader.budget);
    items.push(readItem(reader));
  }
  return register(decoder, new AmfNumberVector(kind, items, fixed));
}

// U29 count << 1 | 1; (string name, value)*, empty name; (value)* dense part
function readArray(decoder: Amf3Decoder, count: number): AmfValue {
  const { reader } = decoder;
  expectItems(reader, count, 1);
  // Names touch no table of objects, so the array can wait for the first one to know its kind.
  const name = readString(decoder);
  if (name === '') return readDenseArray(decoder, count);
  const members = newMembers();
  const array = register(decoder, new AmfEcmaArray(members));
  readNamedMembers(decoder, members, name);
  for (let i = 0; i < count; i++) members[i] = readAmf3Value(decoder);
  return array;
}

function readDenseArray(decoder: Amf3Decoder, count: number): AmfValue {
  const items: AmfValue[] = [];
  decoder.objects.push(items);
  for (let i = 0; i < count; i++) items.push(readAmf3Value(decoder));
  return items;
}

// (string name, value)*, empty name; the first name has been read
function readNamedMembers(decoder: Amf3Decoder, members: Members, first: string): void {
  for (let name = first; name !== ''; name = readString(decoder)) {
    members[name] = readAmf3Value(decoder);
  }
}

// U29 traits; (value)* sealed; if dynamic: (string name, value)*, empty name
function readObject(decoder: Amf3Decoder, header: number): AmfValue {
  const traits = readTraits(decoder, header);
  if (traits.externalizable) return readExternalizable(decoder, traits.className);
  const members = newMembers();
  const object = traits.className === '' ? members : new AmfTypedObject(traits.className, members);
  decoder.objects.push(object); // before the members, which may refer to it
  for (const name of traits.sealed) members[name] = readAmf3Value(decoder);
  if (traits.dynamic) readNamedMembers(decoder, members, readString(decoder));
  return object;
}

// header: index << 2 | 01, or sealed count << 4 | dynamic << 3 | 011, or 111 (externalizable);
// then, unless an index, string class name, (string sealed member name)*
function readTraits(decoder: Amf3Decoder, header: number): Traits {
  if ((header & INLINE_TRAITS) === 0) {
    const known = decoder.traits[header >> 2];
    if (known === undefined)
      throw malformed(`reference to traits ${header >> 2} of ${decoder.traits.length}`);
    return known;
  }
  const externalizable = (header & EXTERNALIZABLE) !== 0;
  const count = externalizable ? 0 : header >> 4;
  const className = readString(decoder);
  expectItems(decoder.reader, count, 1);
  // Every sealed member is a value to come, so too many names are too many values.
  const { maxNodes } = decoder.reader.budget.limits;
  if (count > maxNodes) throw overLimit(`more than ${maxNodes} values in one message`);
  const sealed: string[] = [];
  for (let i = 0; i < count; i++) sealed.push(readString(decoder));
  const traits = { className, externalizable, dynamic: (header & DYNAMIC) !== 0, sealed };
  decoder.traits.push(traits);
  return traits;
}

function readExternalizable(decoder: Amf3Decoder, className: string): AmfValue {
  if (className !== ARRAY_COLLECTION) {
    throw malformed(`externalizable class ${JSON.stringify(className)} is not known`);
  }
  const index = decoder.objects.push(PENDING) - 1;
  const value = readAmf3Value(decoder);
  decoder.objects[index] = value;
  return value;
}

// U29 count << 1 | 1; u8 fixed length; string type name; (value)*
function readObjectVector(decoder: Amf3Decoder, count: number): AmfValue {
  const { reader } = decoder;
  const fixed = readU8(reader) !== 0;
  const typeName = readString(decoder);
  expectItems(reader, count, 1);
  const items: AmfValue[] = [];
  const vector = register(decoder, new AmfObjectVector(typeName, items, fixed));
  for (let i = 0; i < count; i++) items.push(readAmf3Value(decoder));
  return vector;
}

// U29 count << 1 | 1; u8 weak keys; (value key, value)*
function readDictionary(decoder: Amf3Decoder, count: number): AmfValue {
  const { reader } = decoder;
  const weakKeys = readU8(reader) !== 0;
  expectItems(reader, count, 2);
  const entries: AmfDictionaryEntry[] = [];
  const dictionary = register(decoder, new AmfDictionary(entries, weakKeys));
  for (let i = 0; i < count; i++) {
    const key = readAmf3Value(decoder);
    entries.push([key, readAmf3Value(decoder)]);
  }
  return dictionary;
}

/** Gives `value` the next index of the object table. Containers come here before their members (cycles). */
function register<T extends AmfValue>(decoder: Amf3Decoder, value: T): T {
  decoder.objects.push(value);
  return value;
}

function objectAt(decoder: Amf3Decoder, index: number): AmfValue {
  const { objects } = decoder;
  // An externalizable object is the value inside it. That value, if it can hold a reference back at all,
  // took the next index.
  let at = index;
  while (objects[at] === PENDING) at++;
  const value = objects[at];
  if (at >= objects.length || value === PENDING) {
    throw malformed(`reference to object ${index} of ${objects.length}`);
  }
  return value;
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
