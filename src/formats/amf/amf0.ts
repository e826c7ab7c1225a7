import { newAmf3Decoder, readAmf3Value } from './amf3-decoder.ts';
import { newAmf3Encoder, writeAmf3Value } from './amf3-encoder.ts';
import { type AmfLimits, countValue, enter, leave, malformed, overLimit } from './limits.ts';
import {
  expectItems,
  type Members,
  newMembers,
  newReader,
  type Reader,
  readDouble,
  readU8,
  readU16,
  readU32,
  readUtf8,
  remaining,
} from './reader.ts';
import {
  AmfEcmaArray,
  type AmfObject,
  type AmfRecord,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
  isAmfObject,
} from './value.ts';
import {
  newWriter,
  type Writer,
  writeDouble,
  writeU8,
  writeU16,
  writeU32,
  writeUtf8,
  written,
} from './writer.ts';

// Type markers: Action Message Format AMF 0, chapter 2. MovieClip (0x04) and RecordSet (0x0E) are reserved
// there and have no defined body, so they are unknown markers here.
const NUMBER = 0x00;
const BOOLEAN = 0x01;
const STRING = 0x02;
const OBJECT = 0x03;
const NULL = 0x05;
const UNDEFINED = 0x06;
const REFERENCE = 0x07;
const ECMA_ARRAY = 0x08;
const OBJECT_END = 0x09;
const STRICT_ARRAY = 0x0a;
const DATE = 0x0b;
const LONG_STRING = 0x0c;
const UNSUPPORTED = 0x0d;
const XML_DOCUMENT = 0x0f;
const TYPED_OBJECT = 0x10;
const AVMPLUS = 0x11;

const VALUE_MARKERS: ReadonlySet<number> = new Set([
  NUMBER,
  BOOLEAN,
  STRING,
  OBJECT,
  NULL,
  UNDEFINED,
  REFERENCE,
  ECMA_ARRAY,
  STRICT_ARRAY,
  DATE,
  LONG_STRING,
  UNSUPPORTED,
  XML_DOCUMENT,
  TYPED_OBJECT,
  AVMPLUS,
]);

const MAX_U16 = 0xffff;

/** A value other parts of the message can refer to. */
type Complex = AmfRecord | AmfValue[];

interface Amf0Decoder {
  readonly reader: Reader;
  /** Objects, typed objects, ECMA arrays and strict arrays in order of appearance (AMF 0, 2.9). */
  readonly complex: Complex[];
}

interface Amf0Encoder {
  readonly writer: Writer;
  /** The index each complex value got when it was first written. */
  readonly complex: Map<object, number>;
}

/**
 * Reads every value of an AMF0 message. Reference indices count through the whole message.
 *
 * Accepted although the format says otherwise, because encoders do it:
 * - an object or ECMA array that ends with the message instead of with 00 00 09;
 * - an ECMA array count that is wrong (the count is ignored);
 * - text that is not UTF-8 (becomes U+FFFD);
 * - a member with an empty name;
 * - a member that repeats (the last one wins);
 * - bytes after the last value: an unknown marker behind at least one complete value ends the message. A
 *   value that has begun must be complete, however, or half a command would pass for a whole one.
 *
 * An AMF3 value behind 0x11 has its own string, object and traits tables, and no index in the AMF0 ones.
 *
 * @param bytes - the message; not kept, byte arrays are copied out
 * @param limits - overrides of the default limits
 * @throws SluiceError SLUICE_AMF_MALFORMED when the bytes are cut short or contradictory
 * @throws SluiceError SLUICE_AMF_LIMIT when nested too deeply, too many values or too many bytes
 */
export function decodeAmf0(bytes: Uint8Array, limits?: Partial<AmfLimits>): AmfValue[] {
  const decoder: Amf0Decoder = { reader: newReader(bytes, limits), complex: [] };
  const { reader } = decoder;
  const values: AmfValue[] = [];
  while (remaining(reader) > 0) {
    if (values.length > 0 && !VALUE_MARKERS.has(reader.bytes[reader.offset] ?? -1)) break;
    values.push(readValue(decoder));
  }
  return values;
}

/**
 * Writes values as one AMF0 message.
 *
 * - A string longer than 65535 bytes becomes a long string (0x0C).
 * - An object or array that occurs again is written as a reference (0x07), as AMF 0, 2.9 demands; this is
 *   also what makes cycles possible. Many RTMP clients cannot read references, so do not put the same object
 *   into a message for them twice.
 * - Byte arrays, vectors, dictionaries and the later XML type do not exist in AMF0; they are written as AMF3
 *   behind 0x11, and what is shared between them and the rest of the message is written again.
 * - A lone surrogate in a string becomes U+FFFD, having no UTF-8 form.
 *
 * @param values - in wire order, for a command: name, transaction id, command object, arguments
 * @param limits - overrides of the default limits
 * @throws SluiceError SLUICE_AMF_LIMIT when nested too deeply, too many values, the message too long, or a
 *   member or class name longer than 65535 bytes
 * @throws SluiceError SLUICE_AMF_MALFORMED when a value is of no type AMF has
 */
export function encodeAmf0(values: readonly AmfValue[], limits?: Partial<AmfLimits>): Buffer {
  const encoder: Amf0Encoder = { writer: newWriter(limits), complex: new Map() };
  for (const value of values) writeValue(encoder, value);
  return written(encoder.writer);
}

function readValue(decoder: Amf0Decoder): AmfValue {
  const { reader } = decoder;
  countValue(reader.budget);
  const marker = readU8(reader);
  switch (marker) {
    case NUMBER:
      return readDouble(reader);
    case BOOLEAN:
      return readU8(reader) !== 0;
    case STRING:
      return readUtf8(reader, readU16(reader));
    case OBJECT:
      return readObject(decoder, '');
    case NULL:
      return null;
    case UNDEFINED:
    case UNSUPPORTED:
      return undefined;
    case REFERENCE:
      return readReference(decoder);
    case ECMA_ARRAY:
      return readEcmaArray(decoder);
    case STRICT_ARRAY:
      return readStrictArray(decoder);
    case DATE:
      return readDate(reader);
    case LONG_STRING:
      return readUtf8(reader, readU32(reader));
    case XML_DOCUMENT:
      return new AmfXml(readUtf8(reader, readU32(reader)), 'document');
    case TYPED_OBJECT:
      return readObject(decoder, readUtf8(reader, readU16(reader)));
    case AVMPLUS:
      return readAmf3Value(newAmf3Decoder(reader));
    default:
      throw malformed(`unknown AMF0 marker 0x${marker.toString(16)} at byte ${reader.offset - 1}`);
  }
}

// u16 index
function readReference(decoder: Amf0Decoder): AmfValue {
  const index = readU16(decoder.reader);
  const value = decoder.complex[index];
  if (value === undefined) throw malformed(`reference to object ${index} of ${decoder.complex.length}`);
  return value;
}

// (member)* end; a typed object has its class name, u16 length + UTF-8, before that
function readObject(decoder: Amf0Decoder, className: string): AmfValue {
  const members = newMembers();
  const object = className === '' ? members : new AmfTypedObject(className, members);
  decoder.complex.push(object); // before the members, which may refer to it
  readMembers(decoder, members);
  return object;
}

// u32 count, (member)* end
function readEcmaArray(decoder: Amf0Decoder): AmfValue {
  readU32(decoder.reader); // count: 0 or wrong in practice, the end marker decides
  const members = newMembers();
  const array = new AmfEcmaArray(members);
  decoder.complex.push(array);
  readMembers(decoder, members);
  return array;
}

// member: u16 name length, name, value; end: 00 00 (an empty name) 09
function readMembers(decoder: Amf0Decoder, members: Members): void {
  const { reader } = decoder;
  enter(reader.budget);
  // The end of the message ends an object as well: old encoders leave out the last end marker.
  while (remaining(reader) > 0) {
    const name = readUtf8(reader, readU16(reader));
    if (name === '' && reader.bytes[reader.offset] === OBJECT_END) {
      reader.offset++;
      break;
    }
    members[name] = readValue(decoder);
  }
  leave(reader.budget);
}

// u32 count, (value)*
function readStrictArray(decoder: Amf0Decoder): AmfValue {
  const { reader } = decoder;
  const count = readU32(reader);
  expectItems(reader, count, 1);
  const items: AmfValue[] = [];
  decoder.complex.push(items);
  enter(reader.budget);
  for (let i = 0; i < count; i++) items.push(readValue(decoder));
  leave(reader.budget);
  return items;
}

// f64 milliseconds since 1970, s16 time zone
function readDate(reader: Reader): Date {
  const milliseconds = readDouble(reader);
  readU16(reader); // time zone: reserved, the time is UTC whatever it says
  return new Date(milliseconds);
}

function writeValue(encoder: Amf0Encoder, value: AmfValue): void {
  const { writer } = encoder;
  countValue(writer.budget);
  switch (typeof value) {
    case 'number':
      writeU8(writer, NUMBER);
      writeDouble(writer, value);
      return;
    case 'boolean':
      writeU8(writer, BOOLEAN);
      writeU8(writer, value ? 1 : 0);
      return;
    case 'string':
      writeString(writer, value);
      return;
    case 'undefined':
      writeU8(writer, UNDEFINED);
      return;
    default:
      if (value === null) writeU8(writer, NULL);
      else if (value instanceof Date) writeDate(writer, value);
      else if (value instanceof AmfXml && value.kind === 'document') writeXml(writer, value);
      else if (Array.isArray(value) || isAmfObject(value)) writeComplex(encoder, value);
      else writeAsAmf3(writer, value);
  }
}

function writeAsAmf3(writer: Writer, value: AmfValue): void {
  writeU8(writer, AVMPLUS);
  writeAmf3Value(newAmf3Encoder(writer), value);
}

function writeString(writer: Writer, text: string): void {
  const length = Buffer.byteLength(text);
  if (length > MAX_U16) {
    writeU8(writer, LONG_STRING);
    writeU32(writer, length);
  } else {
    writeU8(writer, STRING);
    writeU16(writer, length);
  }
  writeUtf8(writer, text, length);
}

function writeDate(writer: Writer, date: Date): void {
  writeU8(writer, DATE);
  writeDouble(writer, date.getTime()); // milliseconds since 1970
  writeU16(writer, 0); // time zone, reserved
}

function writeXml(writer: Writer, xml: AmfXml): void {
  const length = Buffer.byteLength(xml.text);
  writeU8(writer, XML_DOCUMENT);
  writeU32(writer, length);
  writeUtf8(writer, xml.text, length);
}

function writeComplex(encoder: Amf0Encoder, value: Complex): void {
  const { writer, complex } = encoder;
  const index = complex.get(value);
  if (index !== undefined && index <= MAX_U16) {
    writeU8(writer, REFERENCE);
    writeU16(writer, index);
    return;
  }
  complex.set(value, complex.size);
  enter(writer.budget);
  if (Array.isArray(value)) writeStrictArray(encoder, value);
  else if (value instanceof AmfEcmaArray) writeEcmaArray(encoder, value.members);
  else if (value instanceof AmfTypedObject) writeTypedObject(encoder, value);
  else writeObject(encoder, value);
  leave(writer.budget);
}

// u32 count, (value)*
function writeStrictArray(encoder: Amf0Encoder, items: readonly AmfValue[]): void {
  const { writer } = encoder;
  writeU8(writer, STRICT_ARRAY);
  writeU32(writer, items.length);
  for (const item of items) writeValue(encoder, item);
}

// u32 count, (member)* end
function writeEcmaArray(encoder: Amf0Encoder, members: AmfObject): void {
  const entries = Object.entries(members);
  writeU8(encoder.writer, ECMA_ARRAY);
  writeU32(encoder.writer, entries.length);
  writeMembers(encoder, entries);
}

// u16 class name length, class name, (member)* end; without a class it is an ordinary object
function writeTypedObject(encoder: Amf0Encoder, object: AmfTypedObject): void {
  if (object.className === '') {
    writeObject(encoder, object.members);
    return;
  }
  writeU8(encoder.writer, TYPED_OBJECT);
  writeName(encoder.writer, object.className);
  writeMembers(encoder, Object.entries(object.members));
}

// (member)* end
function writeObject(encoder: Amf0Encoder, members: AmfObject): void {
  writeU8(encoder.writer, OBJECT);
  writeMembers(encoder, Object.entries(members));
}

// member: u16 name length, name, value; end: 00 00 (an empty name) 09
function writeMembers(encoder: Amf0Encoder, entries: readonly [string, AmfValue][]): void {
  for (const [name, value] of entries) {
    writeName(encoder.writer, name);
    writeValue(encoder, value);
  }
  writeU16(encoder.writer, 0);
  writeU8(encoder.writer, OBJECT_END);
}

// u16 length, UTF-8; names have no long form
function writeName(writer: Writer, name: string): void {
  const length = Buffer.byteLength(name);
  if (length > MAX_U16) throw overLimit(`a name of ${length} bytes does not fit into AMF0`);
  writeU16(writer, length);
  writeUtf8(writer, name, length);
}
