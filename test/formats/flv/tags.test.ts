import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFlvFile, readTags } from '../../../src/formats/flv/tags.ts';
import { failure, hex } from '../amf/support.ts';
import { u24 } from './support.ts';

function tag(type: number, timestamp: number, body: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(11 + body.length);
  return Buffer.concat([
    Uint8Array.of(type),
    u24(body.length),
    u24(timestamp),
    Uint8Array.of(timestamp >>> 24),
    u24(0),
    body,
    size,
  ]);
}

const HEADER = hex('464c5601 05 00000009 00000000');

describe('readTags', () => {
  it('reads back any tags, with timestamps of all 32 bits', () => {
    const anyTag = fc.record({
      type: fc.constantFrom(8, 9, 18),
      timestamp: fc.nat(2 ** 32 - 1),
      body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(fc.array(anyTag, { maxLength: 10 }), (tags) => {
        const run = Buffer.concat(tags.map(({ type, timestamp, body }) => tag(type, timestamp, body)));
        expect([...readTags(run)]).toEqual(tags);
        expect([...readFlvFile(Buffer.concat([HEADER, run]))]).toEqual(tags);
      }),
    );
  });

  it('does without the last size, and without the filter bit', () => {
    const run = tag(8 | 0x20, 5, hex('af01'));
    expect([...readTags(run.subarray(0, run.length - 4))]).toEqual([
      { type: 8, timestamp: 5, body: hex('af01') },
    ]);
  });

  it('fails where a tag is cut, after giving what came before', () => {
    const run = Buffer.concat([tag(8, 0, hex('aabb')), tag(9, 1, hex('ccdd'))]);
    for (let length = 18; length < run.length - 4; length++) {
      const seen: number[] = [];
      expect(
        failure(() => {
          for (const { type } of readTags(run.subarray(0, length))) seen.push(type);
        }),
      ).toBe('SLUICE_FLV_MALFORMED');
      expect(seen).toEqual([8]);
    }
  });

  it('wants the signature of a file', () => {
    for (const file of [Buffer.alloc(0), hex('464c56'), Buffer.concat([hex('464c57'), HEADER.subarray(3)])]) {
      expect(failure(() => [...readFlvFile(file)])).toBe('SLUICE_FLV_MALFORMED');
    }
  });
});
