/** An EBML element as it lies in the file. */
export interface Element {
  readonly id: number;
  readonly payload: Buffer;
  /** The size said that it lasts until the end. */
  readonly endless: boolean;
}

/** The elements in a row, by the book: variable-length ids and sizes of any length. @throws Error when one is cut short */
export function elements(bytes: Buffer): Element[] {
  const result: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const idLength = vintLength(bytes, at);
    const sizeLength = vintLength(bytes, at + idLength);
    const id = bytes.readUIntBE(at, idLength);
    const marked = bytes.subarray(at + idLength, at + idLength + sizeLength);
    const endless = marked.every((byte, index) => byte === (index === 0 ? 0x1ff >> sizeLength : 0xff));
    const size = Number(BigInt(`0x${marked.toString('hex')}`) & ((1n << BigInt(7 * sizeLength)) - 1n));
    const start = at + idLength + sizeLength;
    const end = endless ? bytes.length : start + size;
    if (end > bytes.length) throw new Error(`element ${id.toString(16)} is cut short`);
    result.push({ id, payload: bytes.subarray(start, end), endless });
    at = end;
  }
  return result;
}

function vintLength(bytes: Buffer, at: number): number {
  const length = Math.clz32(bytes.readUInt8(at)) - 23;
  if (length > 8) throw new Error('no vint');
  return length;
}

/** The payload at the end of a path of ids. @throws Error when there is no such element */
export function find(bytes: Buffer, ...path: readonly number[]): Buffer {
  return path.reduce((inside, id) => {
    const found = elements(inside).find((element) => element.id === id);
    if (found === undefined) throw new Error(`no element ${id.toString(16)}`);
    return found.payload;
  }, bytes);
}

/** Whether the path of ids leads anywhere. */
export function has(bytes: Buffer, ...path: readonly number[]): boolean {
  const parent = find(bytes, ...path.slice(0, -1));
  return elements(parent).some(({ id }) => id === path.at(-1));
}
