import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAmf0, encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { decodeAmf3 } from '../../src/formats/amf/amf3-decoder.ts';
import { encodeAmf3 } from '../../src/formats/amf/amf3-encoder.ts';
import type { AmfValue } from '../../src/formats/amf/value.ts';
import { anyAmfValue, failure } from '../formats/amf/support.ts';
import { cpuMs } from '../support/cpu-time.ts';

const CODES = new Set([undefined, 'SLUICE_AMF_MALFORMED', 'SLUICE_AMF_LIMIT']);

/** No message here is above a few kilobytes; this is some hundred times what the slowest takes. */
const PATIENCE_MS = 1000;

interface Codec {
  decode(bytes: Uint8Array): AmfValue[];
  encode(values: readonly AmfValue[]): Buffer;
}

const CODECS: [string, Codec][] = [
  ['AMF0', { decode: decodeAmf0, encode: encodeAmf0 }],
  ['AMF3', { decode: decodeAmf3, encode: encodeAmf3 }],
];

/** Decodes, and encodes in both versions what came out. Any error but the two documented ones passes through. */
function survive(codec: Codec, bytes: Uint8Array): void {
  let values: AmfValue[] = [];
  const codes: (string | undefined)[] = [];
  const used = cpuMs(() => {
    codes.push(
      failure(() => {
        values = codec.decode(bytes);
      }),
      failure(() => encodeAmf0(values)),
      failure(() => encodeAmf3(values)),
    );
  });
  expect(codes.filter((code) => !CODES.has(code))).toEqual([]);
  expect(used).toBeLessThan(PATIENCE_MS);
}

type Mutation = readonly [kind: 'set' | 'insert' | 'remove' | 'cut' | 'repeat', share: number, byte: number];

function mutate(bytes: Buffer, [kind, share, byte]: Mutation): Buffer {
  const at = Math.floor(share * bytes.length);
  const head = bytes.subarray(0, at);
  const tail = bytes.subarray(at);
  switch (kind) {
    case 'set':
      return Buffer.concat([head, Buffer.of(byte), tail.subarray(1)]);
    case 'insert':
      return Buffer.concat([head, Buffer.of(byte), tail]);
    case 'remove':
      return Buffer.concat([head, tail.subarray(1 + (byte % 8))]);
    case 'cut':
      return head;
    case 'repeat':
      return Buffer.concat([head, tail.subarray(0, byte % 64), tail]);
  }
}

const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom('set' as const, 'insert' as const, 'remove' as const, 'cut' as const, 'repeat' as const),
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  fc.oneof(fc.nat(255), fc.nat(0x12), fc.constantFrom(0x7f, 0x80, 0xff)),
);

// Uniform bytes rarely get past the first value; mostly markers, small counts and references do.
const likelyByte = fc.oneof({ weight: 4, arbitrary: fc.nat(0x12) }, { weight: 1, arbitrary: fc.nat(255) });

describe.each(CODECS)('%s', (_name, codec) => {
  it('random bytes decode or fail with an AMF error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => survive(codec, bytes)),
      { numRuns: 1000 },
    );
  });

  it('random markers decode or fail with an AMF error', () => {
    fc.assert(
      fc.property(fc.array(likelyByte, { maxLength: 300 }), (bytes) =>
        survive(codec, Uint8Array.from(bytes)),
      ),
      { numRuns: 1000 },
    );
  });

  it('damaged messages decode or fail with an AMF error', () => {
    fc.assert(
      fc.property(
        fc.array(anyAmfValue, { minLength: 1, maxLength: 4 }),
        fc.array(mutation, { minLength: 1, maxLength: 6 }),
        (values, mutations) => survive(codec, mutations.reduce(mutate, codec.encode(values))),
      ),
      { numRuns: 700 },
    );
  });

  it('what was decoded encodes to the same values again', () => {
    fc.assert(
      fc.property(fc.array(anyAmfValue, { maxLength: 4 }), fc.boolean(), (values, twice) => {
        const bytes = codec.encode(twice ? [...values, ...values] : values);
        expect(codec.encode(codec.decode(bytes)).toString('hex')).toBe(bytes.toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  it.each([0x00, 0x01, 0x03, 0x08, 0x09, 0x0a, 0x10, 0x11, 0xff])(
    'the longest message, all bytes %i, is over soon',
    (byte) => {
      const bytes = Buffer.alloc(0xff_ffff, byte);
      survive(codec, bytes);
      expect(failure(() => codec.decode(bytes))).toMatch(/^SLUICE_AMF_(LIMIT|MALFORMED)$/);
    },
  );
});
