import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hashKey, isKeyHash, nameOfKey, newKey } from '../../src/access/stream-keys.ts';

describe('hashKey', () => {
  it('is the SHA-256 that any tool makes of the key, today and tomorrow', () => {
    const hash = 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
    expect(hashKey('test')).toBe(hash);
    expect(hashKey('schlüssel')).toBe(
      `sha256:${createHash('sha256').update(Buffer.from('schlüssel', 'utf8')).digest('hex')}`,
    );
    expect(isKeyHash(hash)).toBe(true);
  });

  it.each([
    '',
    'test',
    'sha256:',
    'sha1:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b',
    '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a080',
  ])('"%s" is no hash', (text) => {
    expect(isKeyHash(text)).toBe(false);
  });
});

describe('newKey', () => {
  it('makes keys that are long, different, and need no escaping or quoting anywhere', () => {
    const keys = new Set(Array.from({ length: 500 }, newKey));
    expect(keys.size).toBe(500);
    // Not a dash first: programs would take it for an option.
    for (const key of keys) expect(key).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{26}$/);
  });
});

describe('nameOfKey', () => {
  const [first, second, third] = [newKey(), newKey(), newKey()];
  const keys = [
    { name: 'one', key: hashKey(first) },
    { name: 'two', key: hashKey(second) },
    // While a key is changed both are good.
    { name: 'one', key: hashKey(third) },
  ];

  it('finds the name of a key', () => {
    expect([first, second, third].map((key) => nameOfKey(keys, key))).toEqual(['one', 'two', 'one']);
  });

  it.each([
    ['nothing', ''],
    ['another key', newKey()],
    ['a key cut short', first.slice(0, -1)],
    ['a key with more', `${first}A`],
    ['a space behind a key', `${first} `],
    ['a public name', 'one'],
    // Who reads the configuration must not be able to publish with it.
    ['the hash of a key', hashKey(first)],
    ['the hash without its prefix', hashKey(first).slice(7)],
  ])('knows no name for %s', (_what, key) => {
    expect(nameOfKey(keys, key)).toBeNull();
    expect(nameOfKey([], key)).toBeNull();
  });
});
