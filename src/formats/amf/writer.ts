import { type AmfLimits, type Budget, newBudget, overLimit } from './limits.ts';

const INITIAL_BYTES = 256;

/** A message being encoded into one buffer, which doubles when full. Every write may throw SLUICE_AMF_LIMIT. */
export interface Writer {
  readonly budget: Budget;
  bytes: Buffer;
  length: number;
}

/** A writer with nothing written. */
export function newWriter(limits?: Partial<AmfLimits>): Writer {
  return { budget: newBudget(limits), bytes: Buffer.allocUnsafe(INITIAL_BYTES), length: 0 };
}

/** What has been written. */
export function written(writer: Writer): Buffer {
  return writer.bytes.subarray(0, writer.length);
}

/** Unsigned 8-bit. */
export function writeU8(writer: Writer, value: number): void {
  const start = reserve(writer, 1);
  writer.bytes.writeUInt8(value, start);
}

/** Unsigned 16-bit, big-endian. */
export function writeU16(writer: Writer, value: number): void {
  const start = reserve(writer, 2);
  writer.bytes.writeUInt16BE(value, start);
}

/** Unsigned 32-bit, big-endian. */
export function writeU32(writer: Writer, value: number): void {
  const start = reserve(writer, 4);
  writer.bytes.writeUInt32BE(value, start);
}

/** Signed 32-bit, big-endian. */
export function writeI32(writer: Writer, value: number): void {
  const start = reserve(writer, 4);
  writer.bytes.writeInt32BE(value, start);
}

/** IEEE 754 double, big-endian. */
export function writeDouble(writer: Writer, value: number): void {
  const start = reserve(writer, 8);
  writer.bytes.writeDoubleBE(value, start);
}

/** `text` as UTF-8 in exactly `length` bytes, which the caller measured for the length field. */
export function writeUtf8(writer: Writer, text: string, length: number): void {
  const start = reserve(writer, length);
  writer.bytes.write(text, start, length, 'utf8');
}

/** The bytes as they are. */
export function writeBytes(writer: Writer, bytes: Uint8Array): void {
  const start = reserve(writer, bytes.length);
  writer.bytes.set(bytes, start);
}

/** Makes room for `count` bytes and returns where they begin. */
function reserve(writer: Writer, count: number): number {
  const start = writer.length;
  const end = start + count;
  if (end > writer.budget.limits.maxBytes) {
    throw overLimit(`the encoded message would be longer than ${writer.budget.limits.maxBytes} bytes`);
  }
  if (end > writer.bytes.length) {
    const larger = Buffer.allocUnsafe(Math.max(end, writer.bytes.length * 2));
    writer.bytes.copy(larger, 0, 0, start);
    writer.bytes = larger;
  }
  writer.length = end;
  return start;
}
