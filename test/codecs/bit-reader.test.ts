import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BitReader } from '../../src/codecs/bit-reader.ts';
import { failure } from '../formats/amf/support.ts';
import { BitWriter } from './support.ts';

const field = fc.oneof(
  fc
    .integer({ min: 1, max: 32 })
    .chain((size) => fc.nat(2 ** size - 1).map((value) => ({ kind: 'bits' as const, size, value }))),
  fc.nat(2 ** 31).map((value) => ({ kind: 'ue' as const, size: 0, value })),
  fc.integer({ min: -(2 ** 30), max: 2 ** 30 }).map((value) => ({ kind: 'se' as const, size: 0, value })),
);

describe('BitReader', () => {
  it('reads back any sequence of fields', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
        const writer = new BitWriter();
        for (const { kind, size, value } of fields) {
          if (kind === 'bits') writer.bits(value, size);
          else if (kind === 'ue') writer.ue(value);
          else writer.se(value);
        }
        const reader = new BitReader(writer.bytes);
        const read = fields.map(({ kind, size }) => {
          if (kind === 'bits') return reader.bits(size);
          return kind === 'ue' ? reader.unsignedExpGolomb() : reader.signedExpGolomb();
        });
        // -0 is what negating the code 0 gives; it is the same number.
        expect(read.map((value) => value + 0)).toEqual(fields.map(({ value }) => value + 0));
      }),
    );
  });

  it('fails past the end instead of inventing zeros', () => {
    const reader = new BitReader(Uint8Array.of(0xff));
    expect(reader.bits(8)).toBe(255);
    expect(reader.bitsLeft).toBe(0);
    expect(failure(() => reader.bit())).toBe('SLUICE_CODEC_MALFORMED');
  });

  it('refuses Exp-Golomb codes longer than 32 bits', () => {
    expect(failure(() => new BitReader(new Uint8Array(16)).unsignedExpGolomb())).toBe(
      'SLUICE_CODEC_MALFORMED',
    );
  });
});
