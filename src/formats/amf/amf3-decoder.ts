import {
  ARRAY,
  ARRAY_COLLECTION,
  BYTE_ARRAY,
  DATE,
  DICTIONARY,
  DOUBLE,
  DYNAMIC,
  EXTERNALIZABLE,
  FALSE,
  INLINE,
  INLINE_TRAITS,
  INTEGER,
  LAST_MARKER,
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
  AmfObjectVector,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
} from './value.ts';

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

/** Empty tables over `reader`. */
export function newAmf3Decoder(reader: Reader): Amf3Decoder {
  return { reader, strings: [], objects: [], traits: [] };
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
    throw malformed(`externalizable class ${JSON.stringify(className.slice(0, 64))} is not known`);
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
