import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { carriesToken } from '../../src/access/bearer-token.ts';

describe('a bearer token', () => {
  it.each(['Bearer s3cret', 'bearer s3cret', 'BEARER   s3cret'])('is found in "%s"', (header) => {
    expect(carriesToken(header, 's3cret')).toBe(true);
  });

  it.each([
    undefined,
    '',
    's3cret',
    'Bearer',
    'Bearer ',
    'Bearer s3cre',
    'Bearer s3cret1',
    'Bearer s3cret x',
  ])('is not found in "%s"', (header) => expect(carriesToken(header, 's3cret')).toBe(false));

  it('that is empty is nobody’s', () => {
    expect(carriesToken('Bearer ', '')).toBe(false);
    expect(carriesToken('Bearer  ', '')).toBe(false);
  });

  it('never is another one', () => {
    const token = fc.stringMatching(/^[!-~]{1,40}$/);
    fc.assert(
      fc.property(token, token, (given, wanted) => {
        expect(carriesToken(`Bearer ${given}`, wanted)).toBe(given === wanted);
      }),
    );
  });
});
