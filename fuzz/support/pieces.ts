/** Cuts the bytes as a socket might, in sizes that depend on `pattern`; 0 leaves them whole. */
export function pieces(bytes: Buffer, pattern: number): Buffer[] {
  if (pattern === 0) return [bytes];
  const result: Buffer[] = [];
  for (let at = 0, size = pattern; at < bytes.length; at += size) {
    // Anything from single bytes to a few hundred, in an order that never settles.
    size = 1 + ((size * 37 + pattern) % (pattern < 128 ? 16 : 400));
    // Copies, so that nothing can rely on what follows a piece in memory.
    result.push(Buffer.from(bytes.subarray(at, at + size)));
  }
  return result;
}

/** A run of parts, each behind its length in two bytes, the last one as long as there are bytes. */
export function parts(bytes: Buffer): Buffer[] {
  const result: Buffer[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = Math.min(bytes.length, at + 2 + bytes.readUInt16BE(at));
    result.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return result;
}

/** Hands on each piece in memory that something else stands in afterwards, as with the next read of a socket. */
export function feed(input: readonly Buffer[], push: (piece: Buffer) => void): void {
  for (const piece of input) {
    const read = Buffer.from(piece);
    push(read);
    read.fill(0xee);
  }
}
