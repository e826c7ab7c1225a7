import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BitReader } from '../../src/codecs/bit-reader.ts';
import { BitWriter } from '../../src/codecs/bit-writer.ts';
import { makeStill } from '../../src/codecs/h264-still.ts';
import { lengthPrefixed, makeSps } from './support.ts';

const PPS = Buffer.from([0x68, 0xce, 0x3c, 0x80]);

it('whatever the bytes are, it makes a still or none, and never throws', () => {
  const sps = makeSps({ mbWidth: 20, mapHeight: 12 });
  const nal = fc
    .tuple(fc.constantFrom(1, 2, 5, 6, 7, 8), fc.uint8Array({ maxLength: 60 }))
    .map(([type, rest]) => Uint8Array.of(0x60 | type, ...rest));
  const sets = fc.oneof(fc.constant(sps), nal);
  fc.assert(
    fc.property(fc.array(nal, { maxLength: 5 }), sets, fc.oneof(fc.constant(PPS), nal), (nals, one, two) => {
      const still = makeStill(lengthPrefixed(nals), { nalLengthSize: 4, sps: [one], pps: [two] });
      if (still === null) return;
      expect(still.keyframe(0).length).toBeGreaterThan(0);
      expect(still.keyframe(1).length).toBeGreaterThan(0);
      if (still.repeat !== null) expect(still.repeat(70_000).length).toBeGreaterThan(4);
    }),
    { numRuns: 2000 },
  );
});

it('bits that were written are read, wherever bytes are appended', () => {
  const field = fc
    .integer({ min: 1, max: 32 })
    .chain((count) => fc.tuple(fc.integer({ min: 0, max: 2 ** count - 1 }), fc.constant(count)));
  fc.assert(
    fc.property(fc.array(field), fc.uint8Array({ maxLength: 100 }), fc.nat(40), (fields, tail, skip) => {
      const writer = new BitWriter();
      for (const [value, count] of fields) writer.bits(value, count);
      writer.append(tail, skip);
      const reader = new BitReader(writer.bytes);
      for (const [value, count] of fields) expect(reader.bits(count)).toBe(value);
      const source = new BitReader(tail);
      source.skip(skip);
      while (source.bitsLeft > 0) expect(reader.bit()).toBe(source.bit());
    }),
  );
});
