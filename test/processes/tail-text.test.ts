import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TailText } from '../../src/processes/tail-text.ts';

describe('TailText', () => {
  it('keeps everything up to its limit', () => {
    const tail = new TailText(8);
    for (const text of ['ab', '', 'cdef', 'gh']) tail.append(Buffer.from(text));
    expect(tail.text).toBe('abcdefgh');
  });

  it('has the same end however the text was cut into pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 32 }),
        (chunks, limit) => {
          const tail = new TailText(limit);
          const ascii = chunks.map((chunk) => Buffer.from(chunk.map((byte) => byte & 0x7f)));
          for (const chunk of ascii) tail.append(chunk);
          expect(tail.text).toBe(Buffer.concat(ascii).toString().slice(-limit));
        },
      ),
    );
  });

  it('does not begin with the rest of a character', () => {
    const long = new TailText(4);
    long.append(Buffer.from('aé€'));
    expect(long.text).toBe('€');
    const pieces = new TailText(4);
    for (const byte of Buffer.from('ab€cd')) pieces.append(Uint8Array.of(byte));
    expect(pieces.text).toBe('cd');
  });

  it('does not keep the chunks themselves', () => {
    const tail = new TailText(4);
    const chunk = Buffer.from('abcd');
    tail.append(chunk);
    chunk.fill('x');
    expect(tail.text).toBe('abcd');
  });
});
