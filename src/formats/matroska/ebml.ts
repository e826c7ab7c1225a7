/** Byte-level pieces of EBML (RFC 8794). Ids are written as they are in the tables, with their length marker. */

/** Bytes of a size written by `sizeVint`. */
export const SIZE_BYTES = 4;
/** Larger than any frame that can arrive. */
const MAX_SIZE = 2 ** 28 - 2;

/** An element with a payload, or with the elements it is made of. */
export function element(id: number, ...parts: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat(parts);
  return Buffer.concat([idBytes(id), sizeVint(payload.length), payload]);
}

export function unsigned(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  const first = bytes.findIndex((byte) => byte !== 0);
  return element(id, first === -1 ? bytes.subarray(7) : bytes.subarray(first));
}

export function float(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return element(id, bytes);
}

export function text(id: number, value: string): Buffer {
  return element(id, Buffer.from(value, 'utf8'));
}

/** The beginning of an element that lasts until the end of the file. */
export function endless(id: number): Buffer {
  return Buffer.concat([idBytes(id), Buffer.from([0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]);
}

/** A size in four bytes: 0001, then 28 bits of which all set would mean unknown. @throws RangeError above that */
function sizeVint(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(SIZE_BYTES);
  writeSize(bytes, size, 0);
  return bytes;
}

/** Writes a size into `SIZE_BYTES` bytes. @throws RangeError when it is larger than 28 bits can say */
export function writeSize(out: Buffer, size: number, at: number): number {
  if (size > MAX_SIZE) throw new RangeError(`${size} bytes do not fit into an EBML element`);
  return out.writeUInt32BE(0x1000_0000 | size, at);
}

function idBytes(id: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(id);
  return bytes.subarray(id > 0xff_ffff ? 0 : id > 0xffff ? 1 : id > 0xff ? 2 : 3);
}
