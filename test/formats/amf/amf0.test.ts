import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAmf0, encodeAmf0 } from '../../../src/formats/amf/amf0.ts';
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfNumberVector,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
} from '../../../src/formats/amf/value.ts';
import { anyAmfValue, failure, hex, members, object } from './support.ts';

/** Each value's bytes, worked out by hand from the marker tables. These hold in both directions. */
const VECTORS: [string, AmfValue, string][] = [
  ['number', 1.5, '00 3ff8000000000000'],
  ['number: negative zero', -0, '00 8000000000000000'],
  ['number: not a number', Number.NaN, '00 7ff8000000000000'],
  ['boolean true', true, '01 01'],
  ['boolean false', false, '01 00'],
  ['string', 'abc', '02 0003 616263'],
  ['string: empty', '', '02 0000'],
  ['string: multi-byte', 'é😀', '02 0006 c3a9 f09f9880'],
  ['object', object({ a: null, bc: true }), '03  0001 61 05  0002 6263 01 01  0000 09'],
  ['object: empty', object({}), '03  0000 09'],
  ['object: empty name', object({ '': null }), '03  0000 05  0000 09'],
  ['null', null, '05'],
  ['undefined', undefined, '06'],
  ['ECMA array', new AmfEcmaArray(object({ a: false })), '08 00000001  0001 61 01 00  0000 09'],
  ['ECMA array: empty', new AmfEcmaArray(object({})), '08 00000000  0000 09'],
  ['strict array', [null, [true]], '0a 00000002  05  0a 00000001  01 01'],
  ['date', new Date(1000), '0b 408f400000000000 0000'],
  ['date: invalid', new Date(Number.NaN), '0b 7ff8000000000000 0000'],
  ['XML document', new AmfXml('<a/>'), '0f 00000004 3c612f3e'],
  ['typed object', new AmfTypedObject('C', object({ a: null })), '10 0001 43  0001 61 05  0000 09'],
  ['AMF3: byte array', new Uint8Array([1, 2]), '11  0c 05 0102'],
  ['AMF3: XML', new AmfXml('<a/>', 'xml'), '11  0b 09 3c612f3e'],
  ['AMF3: vector', new AmfNumberVector('int', [-1]), '11  0d 03 00 ffffffff'],
  ['AMF3: dictionary', new AmfDictionary([[1, null]]), '11  11 03 00  04 01  01'],
];

describe('the bytes of each AMF0 type', () => {
  it.each(VECTORS)('%s is decoded', (_name, value, bytes) => {
    expect(decodeAmf0(hex(bytes))).toStrictEqual([value]);
  });

  it.each(VECTORS)('%s is encoded', (_name, value, bytes) => {
    expect(encodeAmf0([value]).toString('hex')).toBe(hex(bytes).toString('hex'));
  });

  it('a value that fits a short string is read from a long one', () => {
    expect(decodeAmf0(hex('0c 00000003 616263'))).toEqual(['abc']);
  });

  it('strings turn long above 65535 bytes, not characters', () => {
    const short = 'x'.repeat(0xffff);
    const long = `${'x'.repeat(0xfffe)}é`;
    expect(encodeAmf0([short]).subarray(0, 4)).toEqual(hex('02 ffff 78'));
    expect(encodeAmf0([long]).subarray(0, 6)).toEqual(hex('0c 00010000 78'));
    expect(decodeAmf0(encodeAmf0([short, long]))).toEqual([short, long]);
  });

  it('unsupported reads as undefined', () => {
    expect(decodeAmf0(hex('0d 05'))).toEqual([undefined, null]);
  });

  it('the time zone of a date is ignored', () => {
    expect(decodeAmf0(hex('0b 408f400000000000 003c'))).toEqual([new Date(1000)]);
  });

  it('any non-zero boolean is true', () => {
    expect(decodeAmf0(hex('01 ff'))).toEqual([true]);
  });

  it('an object without a class is a plain one', () => {
    expect(encodeAmf0([new AmfTypedObject('', { a: null })])).toEqual(hex('03  0001 61 05  0000 09'));
    expect(decodeAmf0(hex('10 0000  0001 61 05  0000 09'))).toStrictEqual([object({ a: null })]);
  });

  it('a whole command', () => {
    const bytes = hex(`
      02 0007 636f6e6e656374         // "connect"
      00 3ff0000000000000            // transaction 1
      03                             // command object
        0003 617070  02 0004 6c697665     // app: "live"
        0000 09
    `);
    expect(decodeAmf0(bytes)).toStrictEqual(['connect', 1, object({ app: 'live' })]);
    expect(encodeAmf0(['connect', 1, { app: 'live' }])).toEqual(bytes);
  });

  it('an empty message has no values', () => {
    expect(decodeAmf0(new Uint8Array(0))).toEqual([]);
    expect(encodeAmf0([])).toHaveLength(0);
  });

  it('bytes in the middle of a larger buffer', () => {
    const larger = new Uint8Array(hex('ffff 02 0001 61 ffff'));
    expect(decodeAmf0(larger.subarray(2, 6))).toEqual(['a']);
  });
});

describe('AMF0 references', () => {
  it('count objects, typed objects and both kinds of array in order of appearance', () => {
    const bytes = hex(`
      0a 00000005            // #0 strict array of 5
        03  0000 09          // #1 object
        08 00000000 0000 09  // #2 ECMA array
        10 0001 43 0000 09   // #3 typed object
        07 0003              // the typed object again
        07 0001              // the object again
      07 0002                // the ECMA array again, in a later value of the message
    `);
    const [array, ecma] = decodeAmf0(bytes);
    if (!Array.isArray(array)) throw new TypeError('not an array');
    expect(array[3]).toBe(array[2]);
    expect(array[3]).toBeInstanceOf(AmfTypedObject);
    expect(array[4]).toBe(array[0]);
    expect(ecma).toBe(array[1]);
    expect(encodeAmf0([array, ecma])).toEqual(bytes);
  });

  it('may point at an array that is not finished', () => {
    const bytes = hex('0a 00000001  07 0000');
    const [array] = decodeAmf0(bytes);
    if (!Array.isArray(array)) throw new TypeError('not an array');
    expect(array[0]).toBe(array);
    expect(encodeAmf0([array])).toEqual(bytes);
  });

  it('do not count AMF3 values', () => {
    const [, plain, again] = decodeAmf0(hex('11 09 01 01  03 0000 09  07 0000'));
    expect(again).toBe(plain);
    expect(again).toStrictEqual(object({}));
  });

  it('must point backwards', () => {
    expect(failure(() => decodeAmf0(hex('07 0000')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf0(hex('0a 00000002  07 0001  03 0000 09')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('that would multiply when copied stay small', () => {
    // 20 levels, each holding the one below twice: a million arrays if they were copied.
    let value: AmfValue = ['lol'];
    for (let level = 0; level < 20; level++) value = [value, value];
    const bytes = encodeAmf0([value]);
    expect(bytes.length).toBeLessThan(250);
    expect(encodeAmf0(decodeAmf0(bytes))).toEqual(bytes);
  });
});

describe('AMF3 inside AMF0', () => {
  it('is exactly one value', () => {
    expect(decodeAmf0(hex('11 04 05  05'))).toEqual([5, null]);
  });

  it('starts with empty tables each time', () => {
    expect(decodeAmf0(hex('11 06 03 61  11 06 03 62'))).toEqual(['a', 'b']);
    expect(failure(() => decodeAmf0(hex('11 06 03 61  11 06 00')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('may be a member', () => {
    expect(decodeAmf0(hex('03  0001 61 11 03  0000 09'))).toStrictEqual([object({ a: true })]);
  });

  it('must be complete and known', () => {
    expect(failure(() => decodeAmf0(hex('11')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf0(hex('05 11')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf0(hex('05 11 12')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('a cycle through both versions ends', () => {
    const items: AmfValue[] = [];
    items.push(new AmfDictionary([['self', items]]));
    // The array, and behind 0x11 the dictionary with the array again, which now can refer to the dictionary.
    expect(encodeAmf0([items])).toEqual(hex('0a 00000001  11 11 03 00  06 09 73656c66  09 03 01 11 00'));
  });
});

describe('what encoders get wrong in AMF0', () => {
  const meta = new AmfEcmaArray(object({ width: 16 }));
  const width = '0005 7769647468 00 4030000000000000';

  it.each([
    ['a count of 0', `08 00000000 ${width} 0000 09`],
    ['a count too high', `08 ffffffff ${width} 0000 09`],
    ['no end marker at the end of the message', `08 00000001 ${width}`],
  ])('an ECMA array with %s', (_name, bytes) => {
    expect(decodeAmf0(hex(bytes))).toStrictEqual([meta]);
  });

  it('an ECMA array that ends right behind its count', () => {
    expect(decodeAmf0(hex('08 00000001'))).toStrictEqual([new AmfEcmaArray(object({}))]);
  });

  it('objects without end markers, one in the other', () => {
    expect(decodeAmf0(hex(`03 0001 61 10 0001 43 ${width}`))).toStrictEqual([
      object({ a: new AmfTypedObject('C', object({ width: 16 })) }),
    ]);
  });

  it('an end marker cut in half is an error', () => {
    expect(failure(() => decodeAmf0(hex('03 00')))).toBe('SLUICE_AMF_MALFORMED');
    expect(failure(() => decodeAmf0(hex('03 0000')))).toBe('SLUICE_AMF_MALFORMED');
  });

  it('invalid UTF-8 becomes U+FFFD, in names as well', () => {
    expect(decodeAmf0(hex('02 0003 61e962'))).toEqual(['a\ufffdb']);
    expect(decodeAmf0(hex('03 0001 ff 05 0000 09'))).toStrictEqual([object({ '\ufffd': null })]);
  });

  it('NUL and a byte order mark are text', () => {
    expect(decodeAmf0(hex('02 0005 efbbbf 61 00'))).toEqual(['\ufeffa\0']);
  });

  it('the last of repeated members wins', () => {
    expect(decodeAmf0(hex('03 0001 61 05 0001 61 01 01 0000 09'))).toStrictEqual([object({ a: true })]);
  });

  it('members named after prototype properties are ordinary', () => {
    const name = '0009 5f5f70726f746f5f5f'; // __proto__
    const [value] = decodeAmf0(hex(`03 ${name} 03 0001 61 01 01 0000 09 0000 09`));
    expect(value).toStrictEqual(members([['__proto__', object({ a: true })]]));
    expect(Object.keys(value ?? {})).toEqual(['__proto__']);
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
    const named = '000b 636f6e7374727563746f72';
    expect(decodeAmf0(hex(`03 ${named} 01 01 0000 09`))).toStrictEqual([members([['constructor', true]])]);
  });

  it.each(['04', '09', '0e', '12', 'ff'])('unknown marker %s behind a value ends the message', (marker) => {
    expect(decodeAmf0(hex(`02 0001 61 05 ${marker} 05 00`))).toEqual(['a', null]);
  });

  it.each(['04', '09', '0e', '12', 'ff'])(
    'unknown marker %s as or in the first value is an error',
    (marker) => {
      expect(failure(() => decodeAmf0(hex(`${marker} 05`)))).toBe('SLUICE_AMF_MALFORMED');
      expect(failure(() => decodeAmf0(hex(`0a 00000001 ${marker}`)))).toBe('SLUICE_AMF_MALFORMED');
      expect(failure(() => decodeAmf0(hex(`05 0a 00000001 ${marker}`)))).toBe('SLUICE_AMF_MALFORMED');
    },
  );
});

describe('AMF0 limits', () => {
  it('a count or length beyond the message is an error before anything is allocated', () => {
    for (const bytes of [
      '0a ffffffff 05',
      '0a 00000002 05',
      '0c ffffffff 61',
      '0f ffffffff 61',
      '02 ffff 61',
    ]) {
      expect(failure(() => decodeAmf0(hex(bytes)))).toBe('SLUICE_AMF_MALFORMED');
    }
  });

  it('32 containers in one another, not 33', () => {
    const nested = (levels: number) => hex(`${'0a 00000001'.repeat(levels)} 05`);
    expect(encodeAmf0(decodeAmf0(nested(32)))).toEqual(nested(32));
    expect(failure(() => decodeAmf0(nested(33)))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => decodeAmf0(hex('03 0001 61'.repeat(33))))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => decodeAmf0(hex('08 00000001 0001 61'.repeat(33))))).toBe('SLUICE_AMF_LIMIT');
  });

  it('depth counts through to AMF3, and starts again beside', () => {
    const outer = '0a 00000001'.repeat(31);
    expect(failure(() => decodeAmf0(hex(`${outer} 11 09 03 01 01`)))).toBeUndefined();
    expect(failure(() => decodeAmf0(hex(`${outer} 11 09 03 01 09 01 01`)))).toBe('SLUICE_AMF_LIMIT');
    const beside = Array.from({ length: 100 }, (): AmfValue => [[]]);
    expect(decodeAmf0(encodeAmf0([beside]))).toEqual([beside]);
  });

  it('10 000 values, not 10 001', () => {
    expect(decodeAmf0(Buffer.alloc(10_000, 5))).toHaveLength(10_000);
    expect(failure(() => decodeAmf0(Buffer.alloc(10_001, 5)))).toBe('SLUICE_AMF_LIMIT');
  });

  it('references are values too', () => {
    const references = '07 0000'.repeat(10_000);
    expect(failure(() => decodeAmf0(hex(`03 0000 09 ${references}`)))).toBe('SLUICE_AMF_LIMIT');
  });

  it('encoding has the same limits', () => {
    let nested: AmfValue = null;
    for (let level = 0; level < 33; level++) nested = { a: nested };
    expect(failure(() => encodeAmf0([nested]))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => encodeAmf0(Array(10_001).fill(null)))).toBe('SLUICE_AMF_LIMIT');
  });

  it('can be set', () => {
    expect(failure(() => decodeAmf0(hex('0a 00000001 05'), { maxDepth: 0 }))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => decodeAmf0(hex('05 05'), { maxNodes: 1 }))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => decodeAmf0(hex('05 05'), { maxBytes: 1 }))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => encodeAmf0([null, null], { maxBytes: 1 }))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => encodeAmf0([null], { maxBytes: 1, maxNodes: 1 }))).toBeUndefined();
  });

  it('references to one long AMF3 string do not grow into gigabytes of AMF0', () => {
    const long = 'x'.repeat(0x10_0000);
    const values = Array<AmfValue>(9000).fill(long);
    expect(failure(() => encodeAmf0(values))).toBe('SLUICE_AMF_LIMIT');
  });

  it('names have 16-bit lengths', () => {
    const name = 'x'.repeat(0x1_0000);
    expect(failure(() => encodeAmf0([{ [name]: 1 }]))).toBe('SLUICE_AMF_LIMIT');
    expect(failure(() => encodeAmf0([new AmfTypedObject(name, {})]))).toBe('SLUICE_AMF_LIMIT');
    expect(decodeAmf0(encodeAmf0([{ [name.slice(1)]: 1 }]))).toStrictEqual([object({ [name.slice(1)]: 1 })]);
  });

  it('a value of a foreign type is refused', () => {
    for (const foreign of [new Map(), Symbol('s'), 1n, () => 1] as unknown[] as AmfValue[]) {
      expect(failure(() => encodeAmf0([foreign]))).toBe('SLUICE_AMF_MALFORMED');
    }
  });
});

describe('AMF0 round trips', () => {
  it('every value comes back', () => {
    fc.assert(
      fc.property(fc.array(anyAmfValue, { maxLength: 4 }), (values) => {
        expect(decodeAmf0(encodeAmf0(values))).toStrictEqual(values);
      }),
      { numRuns: 500 },
    );
  });

  it('a lone surrogate becomes U+FFFD', () => {
    expect(decodeAmf0(encodeAmf0(['a\ud800b']))).toEqual(['a\ufffdb']);
  });

  it('byte arrays are copies', () => {
    const message = encodeAmf0([new Uint8Array([1, 2, 3])]);
    const [bytes] = decodeAmf0(message);
    message.fill(0xff);
    expect(bytes).toStrictEqual(new Uint8Array([1, 2, 3]));
  });
});

describe('AMF0 cut short', () => {
  // In an array with a value behind them, no type can pass for complete.
  const everything = encodeAmf0([[...VECTORS.map(([, value]) => value), 'x'.repeat(0x1_0000), null]]);
  const interesting = (cut: number) => cut < 400 || cut > everything.length - 20 || cut % 4099 === 0;

  it('is an error at every byte', () => {
    const cuts = Array.from({ length: everything.length - 1 }, (_, i) => i + 1).filter(interesting);
    const wrong = cuts.filter(
      (cut) => failure(() => decodeAmf0(everything.subarray(0, cut))) !== 'SLUICE_AMF_MALFORMED',
    );
    expect(cuts.length).toBeGreaterThan(400);
    expect(wrong).toEqual([]);
  });

  it('is accepted only between members, where an encoder left out the end marker', () => {
    const bytes = hex('03  0001 61 05  0001 62 01 01  0000 09');
    const accepted = Array.from({ length: bytes.length }, (_, cut) => cut).filter(
      (cut) => failure(() => decodeAmf0(bytes.subarray(0, cut))) === undefined,
    );
    expect(accepted).toEqual([0, 1, 5, 10]);
    expect(decodeAmf0(bytes.subarray(0, 5))).toStrictEqual([object({ a: null })]);
  });
});
