import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A stream key as the configuration has it. */
export interface StreamKey {
  /** What viewers see. */
  readonly name: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly key: string;
}

const HASH = /^sha256:[0-9a-f]{64}$/;
/** 160 bits: a plain hash of that many cannot be searched, so it needs neither salt nor slowness. */
const KEY_BYTES = 20;

export function isKeyHash(text: string): boolean {
  return HASH.test(text);
}

export function hashKey(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

/** A key that nobody guesses, of characters that every encoder takes. */
export function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64url').replace(/^-/, '_');
}

/** The public name that this key publishes, or null. Takes as long for a wrong key as for a right one. */
export function nameOfKey(keys: readonly StreamKey[], key: string): string | null {
  const hash = Buffer.from(hashKey(key));
  let name: string | null = null;
  for (const candidate of keys) if (timingSafeEqual(Buffer.from(candidate.key), hash)) name = candidate.name;
  return name;
}
