import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isValidPlaybackToken, signPlayback } from '../../src/access/playback-token.ts';

const SECRET = 'a secret of some length';
const OLD = 'the secret before this one';
const STREAM = { app: 'live', name: 'test' };
const NOW = 1_700_000_000;
const TOKEN = signPlayback(SECRET, { ...STREAM, expires: NOW + 100 });

function isValid(token: string, stream = STREAM, secrets: readonly string[] = [SECRET], now = NOW): boolean {
  return isValidPlaybackToken(token, stream, secrets, now);
}

const alphabet = fc.constantFrom(
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ %\n\0é',
);

describe('a playback token', () => {
  it('is what the documentation says, so that others can make it', () => {
    const text = `sluice-play-1\nlive/test\n${NOW + 100}`;
    expect(TOKEN).toBe(`${NOW + 100}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`);
    expect(signPlayback(SECRET, { ...STREAM, expires: NOW + 100.9 })).toBe(TOKEN);
    expect(isValid(TOKEN)).toBe(true);
  });

  it('holds until it expires, and a minute longer for clocks that differ', () => {
    const at = (now: number) => isValid(TOKEN, STREAM, [SECRET], now);
    expect([at(0), at(NOW + 100), at(NOW + 160), at(NOW + 160.001), at(NOW + 1e6)]).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it('is refused when any character is another, is missing, or is added', () => {
    fc.assert(
      fc.property(fc.nat(TOKEN.length), alphabet, (at, character) => {
        const replaced = TOKEN.slice(0, at) + character + TOKEN.slice(at + 1);
        if (replaced !== TOKEN) expect(isValid(replaced), replaced).toBe(false);
        expect(isValid(TOKEN.slice(0, at) + character + TOKEN.slice(at)), `added ${at}`).toBe(false);
        const cut = TOKEN.slice(0, at) + TOKEN.slice(at + 1);
        if (cut !== TOKEN) expect(isValid(cut), `cut ${at}`).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });

  it('has one spelling: not even the bits of its last character that mean nothing may differ', () => {
    const others = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((last) => TOKEN.slice(0, -1) + last)
      .filter((token) => token !== TOKEN);
    expect(others.filter((token) => isValid(token))).toEqual([]);
    expect(isValid(`0${TOKEN}`)).toBe(false);
  });

  it('is for one stream', () => {
    const names = fc.stringMatching(/^[a-z][a-z/]{0,5}$/);
    fc.assert(
      fc.property(names, names, names, names, (app, name, otherApp, otherName) => {
        const token = signPlayback(SECRET, { app, name, expires: NOW });
        // No name of a stream has a slash, and no application one at its ends.
        const same = `${app}/${name}` === `${otherApp}/${otherName}`;
        expect(isValid(token, { app: otherApp, name: otherName })).toBe(same);
      }),
    );
    expect(isValid(TOKEN, { app: 'live', name: 'test2' })).toBe(false);
    expect(isValid(TOKEN, { app: 'other', name: 'test' })).toBe(false);
    expect(isValid(TOKEN, { app: 'live', name: '' })).toBe(false);
  });

  it('stays good while its secret is among those that verify', () => {
    const old = signPlayback(OLD, { ...STREAM, expires: NOW + 100 });
    expect(isValid(old, STREAM, [SECRET, OLD])).toBe(true);
    expect(isValid(TOKEN, STREAM, [SECRET, OLD])).toBe(true);
    expect(isValid(old, STREAM, [SECRET])).toBe(false);
    expect(isValid(TOKEN, STREAM, [])).toBe(false);
  });

  it.each([
    '',
    '.',
    `${NOW + 100}`,
    `${NOW + 100}.`,
    `-1.${'A'.repeat(43)}`,
    `NaN.${'A'.repeat(43)}`,
    '1e9.x',
  ])('"%s" is none', (token) => {
    expect(isValid(token)).toBe(false);
  });

  it('that never ends cannot be made by a mistake in the expiry', () => {
    for (const expires of [Number.NaN, Number.POSITIVE_INFINITY, -5, 0, NOW * 1000])
      expect(isValid(signPlayback(SECRET, { ...STREAM, expires })), String(expires)).toBe(false);
  });
});
