/** Two-digit lower-case hexadecimal, as RFC 6381 strings use it. */
export function hex2(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
