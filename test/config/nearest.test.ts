import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/config/nearest.ts';

describe('nearest', () => {
  it.each([
    ['rtmp.prot', 'rtmp.port'],
    ['RTMP.PORT', 'rtmp.port'],
    ['rtmpport', 'rtmp.port'],
    ['http.prt', 'http.port'],
    ['host', null],
    ['', null],
    ['something.else', null],
  ])('%j: %j', (word, expected) => {
    expect(nearest(word, ['rtmp.port', 'http.port', 'hls.listedSegments'])).toBe(expected);
  });

  it('finds a word with one mistake, however long it is', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z]{3,40}$/),
        fc.nat(),
        fc.constantFrom('', 'X', 'XY'),
        (word, at, typed) => {
          const place = at % word.length;
          const mistaken = word.slice(0, place) + typed + word.slice(place + 1);
          expect(nearest(mistaken, ['#'.repeat(50), word])).toBe(word);
        },
      ),
    );
    expect(nearest('a', [])).toBeNull();
  });
});
