import { type AmfLimits, type Budget, malformed, newBudget, overLimit } from './limits.ts';
import type { AmfValue } from './value.ts';

/** A position in the bytes of one message. Every read is checked first and throws SLUICE_AMF_MALFORMED past the end. */
export interface Reader {
  readonly bytes: Buffer;
  readonly budget: Budget;
  offset: number;
}

/** The members of an object under construction; without a prototype, so no name is special. */
export type Members = { [name: string]: AmfValue };

/** A reader at the start of `bytes`, over the same memory. Throws SLUICE_AMF_LIMIT when there are too many. */
export function newReader(bytes: Uint8Array, limits?: Partial<AmfLimits>): Reader {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const budget = newBudget(limits);
  if (view.length > budget.limits.maxBytes) {
    throw overLimit(`a message of ${view.length} bytes, more than ${budget.limits.maxBytes}`);
  }
  return { bytes: view, budget, offset: 0 };
}

/** Members with nothing in them yet. */
export function newMembers(): Members {
  return Object.create(null);
}

/** How many bytes are left. */
export function remaining(reader: Reader): number {
  return reader.bytes.length - reader.offset;
}

/**
 * Throws unless `count` items of at least `itemBytes` each can still follow. Called before anything is
 * allocated, so a count field alone costs nothing.
 */
export function expectItems(reader: Reader, count: number, itemBytes: number): void {
  if (count * itemBytes > remaining(reader)) {
    throw malformed(
      `${count} items of ${itemBytes} or more bytes announced at byte ${reader.offset}, but only ${remaining(reader)} bytes left`,
    );
  }
}

/** Unsigned 8-bit. */
export function readU8(reader: Reader): number {
  return reader.bytes.readUInt8(advance(reader, 1));
}

/** Unsigned 16-bit, big-endian. */
export function readU16(reader: Reader): number {
  return reader.bytes.readUInt16BE(advance(reader, 2));
}

/** Unsigned 32-bit, big-endian. */
export function readU32(reader: Reader): number {
  return reader.bytes.readUInt32BE(advance(reader, 4));
}

/** Signed 32-bit, big-endian. */
export function readI32(reader: Reader): number {
  return reader.bytes.readInt32BE(advance(reader, 4));
}

/** IEEE 754 double, big-endian. */
export function readDouble(reader: Reader): number {
  return reader.bytes.readDoubleBE(advance(reader, 8));
}

/**
 * `length` bytes of UTF-8. Invalid sequences become U+FFFD: encoders do send local 8-bit text in titles, and
 * a garbled title is no reason to refuse a stream.
 */
export function readUtf8(reader: Reader, length: number): string {
  const start = advance(reader, length);
  return reader.bytes.toString('utf8', start, start + length);
}

/** A copy of the next `length` bytes, so that keeping the value does not keep the network buffer. */
export function readBytes(reader: Reader, length: number): Uint8Array {
  const start = advance(reader, length);
  return new Uint8Array(reader.bytes.subarray(start, start + length));
}

/** Moves past `length` bytes and returns where they begin. */
function advance(reader: Reader, length: number): number {
  const start = reader.offset;
  if (length > reader.bytes.length - start) {
    throw malformed(`${length} bytes expected at byte ${start}, but only ${remaining(reader)} left`);
  }
  reader.offset = start + length;
  return start;
}
