import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAmf3 } from '../../../src/formats/amf/amf3-decoder.ts';
import { encodeAmf3 } from '../../../src/formats/amf/amf3-encoder.ts';
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfNumberVector,
  AmfObjectVector,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
} from '../../../src/formats/amf/value.ts';
import { cpuMs } from '../../support/cpu-time.ts';
import { anyAmfValue, failure, hex, members, object } from './support.ts';

/** Each value's bytes, worked out by hand from the marker tables. These hold in both directions. */
const VECTORS: [string, AmfValue, string][] = [
  ['undefined', undefined, '00'],
  ['null', null, '01'],
  ['false', false, '02'],
  ['true', true, '03'],
  ['integer 0', 0, '04 00'],
  ['integer: largest of one byte', 0x7f, '04 7f'],
  ['integer: smallest of two', 0x80, '04 81 00'],
  ['integer: largest of two', 0x3fff, '04 ff 7f'],
  ['integer: smallest of three', 0x4000, '04 81 80 00'],
  ['integer: largest of three', 0x1f_ffff, '04 ff ff 7f'],
  ['integer: smallest of four', 0x20_0000, '04 80 c0 80 00'],
  ['integer: largest', 2 ** 28 - 1, '04 bf ff ff ff'],
  ['integer -1', -1, '04 ff ff ff ff'],
  ['integer: least', -(2 ** 28), '04 c0 80 80 00'],
  ['double: just above the integers', 2 ** 28, '05 41b0000000000000'],
  ['double: just below the integers', -(2 ** 28) - 1, '05 c1b0000001000000'],
  ['double: fraction', 1.5, '05 3ff8000000000000'],
  ['double: negative zero', -0, '05 8000000000000000'],
  ['double: not a number', Number.NaN, '05 7ff8000000000000'],
  ['string', 'abc', '06 07 616263'],
  ['string: empty', '', '06 01'],
  ['string: multi-byte', 'é😀', '06 0d c3a9 f09f9880'],
  ['XML document', new AmfXml('<a/>', 'document'), '07 09 3c612f3e'],
  ['date', new Date(1000), '08 01 408f400000000000'],
  ['array', [null, [true]], '09 05 01  01  09 03 01  03'],
  ['array: empty', [], '09 01 01'],
  ['array: associative', new AmfEcmaArray(object({ a: null })), '09 01  03 61 01  01'],
  ['object: dynamic', object({ a: null }), '0a 0b 01  03 61 01  01'],
  ['object: empty', object({}), '0a 0b 01  01'],
  ['object: empty name, so sealed', object({ '': null }), '0a 13 01 01  01'],
  ['object: typed', new AmfTypedObject('C', object({ a: null, b: true })), '0a 23 03 43 03 61 03 62  01 03'],
  ['XML', new AmfXml('<a/>', 'xml'), '0b 09 3c612f3e'],
  ['byte array', new Uint8Array([1, 2, 255]), '0c 07 0102ff'],
  ['vector of int', new AmfNumberVector('int', [1, -2], true), '0d 05 01  00000001 fffffffe'],
  ['vector of uint', new AmfNumberVector('uint', [0xffff_fffe]), '0e 03 00  fffffffe'],
  ['vector of double', new AmfNumberVector('double', [1.5]), '0f 03 00  3ff8000000000000'],
  ['vector of objects', new AmfObjectVector('C', [null, 1], true), '10 05 01 03 43  01  04 01'],
  [
    'dictionary',
    new AmfDictionary(
      [
        ['a', 1],
        [null, true],
      ],
      true,
    ),
    '11 05 01  06 03 61 04 01  01 03',
  ],
];

describe('the bytes of each AMF3 type', () => {
  it.each(VECTORS)('%s is decoded', (_name, value, bytes) => {
    expect(decodeAmf3(hex(bytes))).toStrictEqual([value]);
  });

  it.each(VECTORS)('%s is encoded', (_name, value, bytes) => {
    expect(encodeAmf3([value]).toString('hex')).toBe(hex(bytes).toString('hex'));
  });

  it('an integer may take more bytes than it needs', () => {
    expect(decodeAmf3(hex('04 80 80 80 05'))).toEqual([5]);
  });

  it('an array with both parts keeps the dense one under its indices', () => {
    expect(decodeAmf3(hex('09 05  03 61 01  01  02 03'))).toStrictEqual([
      new AmfEcmaArray(object({ a: null, 0: false, 1: true })),
    ]);
  });

  it('an object may have sealed and dynamic members', () => {
    // 1b: one sealed name, dynamic, traits inline
    expect(decodeAmf3(hex('0a 1b 03 43 03 61  02  03 62 03  01'))).toStrictEqual([
      new AmfTypedObject('C', object({ a: false, b: true })),
    ]);
  });

  it('an ECMA array loses what the format cannot hold', () => {
    expect(encodeAmf3([new AmfEcmaArray({})])).toEqual(hex('09 01 01'));
    expect(encodeAmf3([new AmfEcmaArray({ '': 1, a: null })])).toEqual(hex('09 01  03 61 01  01'));
  });

  it('vector items wrap to 32 bits', () => {
    expect(encodeAmf3([new AmfNumberVector('int', [2 ** 31])])).toEqual(hex('0d 03 00 80000000'));
    expect(encodeAmf3([new AmfNumberVector('uint', [-1])])).toEqual(hex('0e 03 00 ffffffff'));
  });

  it('an empty message has no values', () => {
    expect(decodeAmf3(new Uint8Array(0))).toEqual([]);
    expect(encodeAmf3([])).toHaveLength(0);
  });

  it('invalid UTF-8 becomes U+FFFD', () => {
    expect(decodeAmf3(hex('06 07 61e962'))).toEqual(['a\ufffdb']);
  });

  it('members named after prototype properties are ordinary', () => {
    const name = '13 5f5f70726f746f5f5f'; // __proto__
    const [value] = decodeAmf3(hex(`0a 0b 01  ${name} 0a 01 00 03 01  01`));
    expect(value).toStrictEqual(members([['__proto__', object({ ['__proto__' as string]: true })]]));
  });

  it('unknown markers end the message, or are an error in or instead of the first value', () => {
    expect(decodeAmf3(hex('01 12 03'))).toEqual([null]);
    expect(failure(() => decodeAmf3(hex('12')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf3(hex('01 09 03 01 ff')))).toBe('SLUICE_AMF_MALFORMED');
  });
});

describe('AMF3 strings', () => {
  it('that occur again are references, in names as well', () => {
    const bytes = hex('06 03 61  06 01  06 03 62  06 00  06 02  0a 0b 01 02 06 00 01');
    const values = ['a', '', 'b', 'a', 'b', object({ b: 'a' })];
    expect(decodeAmf3(bytes)).toStrictEqual(values);
    expect(encodeAmf3(values)).toEqual(bytes);
  });

  it('of XML and byte arrays have no index', () => {
    expect(failure(() => decodeAmf3(hex('0b 03 61  06 00')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf3(hex('0c 03 61  06 00')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('must be there', () => {
    expect(failure(() => decodeAmf3(hex('06 00')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf3(hex('06 01 06 00')))).toBe('SLUICE_AMF_MALFORMED');
  });
});

describe('AMF3 object references', () => {
  it('count every type that can be referred to, in order of appearance', () => {
    const bytes = hex(`
      09 15 01            // #0 array of 10
        07 03 61          // #1 XML document
        08 01 0000000000000000   // #2 date
        0b 03 61          // #3 XML
        0c 03 01          // #4 byte array
        0d 01 00          // #5 vector of int
        0e 01 00          // #6 vector of uint
        0f 01 00          // #7 vector of double
        10 01 00 01       // #8 vector of objects
        11 01 00          // #9 dictionary
        0a 0b 01 01       // #10 object
      07 02  08 04  0b 06  0c 08  0d 0a  0e 0c  0f 0e  10 10  11 12  0a 14  09 00
    `);
    const [array, ...again] = decodeAmf3(bytes);
    if (!Array.isArray(array)) throw new TypeError('not an array');
    expect(again).toHaveLength(11);
    for (const [i, value] of array.entries()) expect(again[i]).toBe(value);
    expect(again[10]).toBe(array);
    expect(encodeAmf3([array, ...again])).toEqual(bytes);
  });

  it.each([
    ['array', '09 03 01  09 00'],
    ['associative array', '09 01  03 61 09 00  01'],
    ['object', '0a 0b 01  03 61 0a 00  01'],
    ['typed object', '0a 13 03 43 03 61  0a 00'],
    ['vector', '10 03 00 01  10 00'],
    ['dictionary', '11 03 00  11 00  11 00'],
  ])('may point at the %s they are in', (_name, bytes) => {
    const values = decodeAmf3(hex(bytes));
    expect(encodeAmf3(values)).toEqual(hex(bytes));
  });

  it('must be there', () => {
    for (const marker of ['07', '08', '09', '0a', '0b', '0c', '0d', '0e', '0f', '10', '11']) {
      expect(failure(() => decodeAmf3(hex(`${marker} 00`)))).toBe('SLUICE_AMF_MALFORMED');
    }
    expect(failure(() => decodeAmf3(hex('09 05 01  09 02  09 01 01')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('that would multiply when copied stay small', () => {
    let value: AmfValue = ['lol'];
    for (let level = 0; level < 20; level++) value = { a: value, b: value };
    const bytes = encodeAmf3([value]);
    expect(bytes.length).toBeLessThan(250);
    expect(encodeAmf3(decodeAmf3(bytes))).toEqual(bytes);
  });
});

describe('AMF3 traits', () => {
  it('that occur again are references', () => {
    const bytes = hex('0a 13 03 43 03 61 01  0a 01 03  0a 13 03 44 02 02  0a 05 03');
    const values = [
      new AmfTypedObject('C', object({ a: null })),
      new AmfTypedObject('C', object({ a: true })),
      new AmfTypedObject('D', object({ a: false })),
      new AmfTypedObject('D', object({ a: true })),
    ];
    expect(decodeAmf3(bytes)).toStrictEqual(values);
    expect(encodeAmf3(values)).toEqual(bytes);
  });

  it('differ when the same names split differently', () => {
    const values = [
      new AmfTypedObject('a', object({ b: 1, c: 2 })),
      new AmfTypedObject('a', object({ 'b,c': 3 })),
      new AmfTypedObject('a', object({ c: 4, b: 5 })),
    ];
    expect(decodeAmf3(encodeAmf3(values))).toStrictEqual(values);
  });

  it('must be there', () => {
    expect(failure(() => decodeAmf3(hex('0a 01')))).toBe('SLUICE_AMF_MALFORMED');
  });
});

describe('AMF3 externalizable objects', () => {
  // 07: externalizable, traits inline; 43: 33 bytes of class name
  const collection = `0a 07 43 ${Buffer.from('flex.messaging.io.ArrayCollection').toString('hex')}`;

  it('of class ArrayCollection are their array', () => {
    expect(decodeAmf3(hex(`${collection}  09 03 01 04 07`))).toEqual([[7]]);
  });

  it('take two indices, the array having its own', () => {
    const [array, first, second] = decodeAmf3(hex(`${collection}  09 01 01  0a 00  09 02`));
    expect(array).toEqual([]);
    expect(first).toBe(array);
    expect(second).toBe(array);
  });

  it('share traits', () => {
    expect(decodeAmf3(hex(`${collection}  09 01 01  0a 01  09 03 01 03`))).toEqual([[], [true]]);
  });

  it('may be referred to from inside', () => {
    const [array] = decodeAmf3(hex(`${collection}  09 03 01  0a 00`));
    if (!Array.isArray(array)) throw new TypeError('not an array');
    expect(array[0]).toBe(array);
  });

  it('that consist of nothing but themselves are an error', () => {
    expect(failure(() => decodeAmf3(hex(`${collection}  0a 00`)))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('of another class are an error', () => {
    expect(failure(() => decodeAmf3(hex('0a 07 03 43  09 01 01')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('are limited in depth', () => {
    expect(failure(() => decodeAmf3(hex(`${collection} ${'0a 01'.repeat(40)} 01`)))).toBe('SLUICE_AMF_LIMIT');
  });
});

describe('AMF3 limits', () => {
  it('a count or length beyond the message is an error before anything is allocated', () => {
    for (const head of ['06', '07', '09', '0b', '0c', '0d', '0e', '0f', '10', '11']) {
      expect(failure(() => decodeAmf3(hex(`${head} ff ff ff ff  01 01 01 01`)))).toBe('SLUICE_AMF_MALFORMED');
    }
    expect(failure(() => decodeAmf3(hex('0a ff ff ff f3  01 01 01')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it.each([
    ['array', '09 03 01'],
    ['associative array', '09 01 03 61'],
    ['object', '0a 0b 01 03 61'],
    ['vector', '10 03 00 01'],
    ['dictionary', '11 03 00 01'],
  ])('32 of %s in one another, not 33', (_name, head) => {
    // Cut short where the innermost value should be, so the shallower one fails for that reason alone.
    expect(failure(() => decodeAmf3(hex(head.repeat(32))))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf3(hex(head.repeat(33))))).toBe('SLUICE_AMF_LIMIT');
  });

  it('32 arrays in one another are fine, 33 cannot be encoded', () => {
    const bytes = hex(`${'09 03 01'.repeat(32)} 01`);
    const values = decodeAmf3(bytes);
    expect(encodeAmf3(values)).toEqual(bytes);
    expect(failure(() => encodeAmf3([values]))).toBe('SLUICE_AMF_LIMIT');
  });

  it('10 000 values, not 10 001, vector items included', () => {
    expect(decodeAmf3(Buffer.alloc(10_000, 1))).toHaveLength(10_000);
    expect(failure(() => decodeAmf3(Buffer.alloc(10_001, 1)))).toBe('SLUICE_AMF_LIMIT');
    const vector = (count: number) => new AmfNumberVector('int', Array(count).fill(0));
    const bytes = encodeAmf3([vector(9999)]);
    expect(decodeAmf3(bytes)).toEqual([vector(9999)]);
    expect(failure(() => decodeAmf3(bytes, { maxNodes: 9999 }))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => encodeAmf3([vector(10_000)]))).toBe('SLUICE_AMF_LIMIT');
  });

  it('sealed names count before they are read', () => {
    // 20 000 sealed names, all empty: (20 000 << 4 | 3) is 0x4e203
    const bytes = Buffer.concat([hex('0a 93 c4 03 03 43'), Buffer.alloc(40_000, 1)]);
    expect(failure(() => decodeAmf3(bytes))).toBe('SLUICE_AMF_LIMIT');
  });

  it('a value of a foreign type is refused', () => {
    for (const foreign of [new Map(), Symbol('s'), 1n, () => 1] as unknown[] as AmfValue[]) {
      expect(failure(() => encodeAmf3([foreign]))).toBe('SLUICE_AMF_MALFORMED');
    }
  });

  it('many objects of a class with a very long name are quick', () => {
    const name = 'x'.repeat(0x10_0000);
    const used = cpuMs(() => {
      const bytes = encodeAmf3(Array.from({ length: 5000 }, () => new AmfTypedObject(name, {})));
      expect(bytes.length).toBeLessThan(name.length + 5000 * 4);
      expect(decodeAmf3(bytes)).toHaveLength(5000);
    });
    expect(used).toBeLessThan(1000);
  });
});

describe('AMF3 round trips', () => {
  it('every value comes back', () => {
    fc.assert(
      fc.property(fc.array(anyAmfValue, { maxLength: 4 }), (values) => {
        expect(decodeAmf3(encodeAmf3(values))).toStrictEqual(values);
      }),
      { numRuns: 500 },
    );
  });

  it('every value that occurs twice comes back as one', () => {
    fc.assert(
      fc.property(anyAmfValue, (value) => {
        const [first, second] = decodeAmf3(encodeAmf3([value, value]));
        expect(second).toBe(first);
      }),
      { numRuns: 300 },
    );
  });
});

describe('AMF3 cut short', () => {
  const everything = encodeAmf3([[...VECTORS.map(([, value]) => value), null]]);

  it('is an error at every byte', () => {
    const cuts = Array.from({ length: everything.length - 1 }, (_, i) => i + 1);
    const wrong = cuts.filter(
      (cut) => failure(() => decodeAmf3(everything.subarray(0, cut))) !== 'SLUICE_AMF_MALFORMED',
    );
    expect(cuts.length).toBeGreaterThan(200);
    expect(wrong).toEqual([]);
  });

  it('is an error for any value in an array', () => {
    fc.assert(
      fc.property(
        anyAmfValue,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (value, share) => {
          const bytes = encodeAmf3([[value]]);
          const cut = 1 + Math.floor(share * (bytes.length - 1));
          expect(failure(() => decodeAmf3(bytes.subarray(0, cut)))).toBe('SLUICE_AMF_MALFORMED');
        },
      ),
      { numRuns: 300 },
    );
  });
});
