import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlvTagReader } from '../../../src/formats/flv/tag-reader.ts';
import { type FlvTag, readFlvFile } from '../../../src/formats/flv/tags.ts';
import { cpuMs } from '../../support/cpu-time.ts';
import { failure, hex } from '../amf/support.ts';
import { u24 } from './support.ts';

const HEADER = hex('464c5601 05 00000009 00000000');

function tag({ type, timestamp, body }: FlvTag, previousTagSize = 11 + body.length): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(previousTagSize);
  const time = [u24(timestamp), Uint8Array.of(timestamp >>> 24)];
  return Buffer.concat([Uint8Array.of(type), u24(body.length), ...time, u24(0), body, size]);
}

function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte));
}

function readAll(chunks: readonly Buffer[]): FlvTag[] {
  const reader = new FlvTagReader();
  return chunks.flatMap((chunk) => reader.push(chunk));
}

const anyTag = fc.record({
  type: fc.constantFrom(8, 9, 18),
  timestamp: fc.nat(2 ** 32 - 1),
  body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
});
const anySize = fc.nat(2 ** 32 - 1);

describe('FlvTagReader', () => {
  it('gives the tags of readFlvFile however the file is cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.tuple(anyTag, anySize), { maxLength: 10 }), cuts, (tags, sizes) => {
        const file = Buffer.concat([HEADER, ...tags.map(([each, size]) => tag(each, size))]);
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < file.length; turn++) {
          const size = sizes[turn % sizes.length] as number;
          chunks.push(Buffer.from(file.subarray(at, at + size)));
          at += size;
        }
        const expected = [...readFlvFile(file)];
        expect(expected).toHaveLength(tags.length);
        expect(readAll(chunks)).toEqual(expected);
        expect(readAll([file])).toEqual(expected);
        expect(readAll(singleBytes(file))).toEqual(expected);
      }),
    );
  });

  it('gives a tag with its last byte, empty ones too', () => {
    const reader = new FlvTagReader();
    const empty = { type: 8, timestamp: 1, body: Buffer.alloc(0) };
    const short = { type: 9, timestamp: 2, body: hex('aabb') };
    const bytes = Buffer.concat([HEADER, tag(empty), tag(short)]);
    const seenAt = singleBytes(bytes).flatMap((byte, index) => reader.push(byte).map(() => index));
    expect(seenAt).toEqual([HEADER.length + 10, bytes.length - 5]);
  });

  it('keeps nothing of the chunk', () => {
    const file = Buffer.concat([HEADER, tag({ type: 9, timestamp: 0, body: hex('01020304') })]);
    const [read] = readAll([file]);
    file.fill(0);
    expect(read?.body).toEqual(hex('01020304'));
    expect(read?.body.buffer.byteLength).toBe(4);
  });

  it('passes over a longer file header', () => {
    const header = hex('464c5601 05 0000000c 010203 00000000');
    const only = { type: 8, timestamp: 7, body: hex('af01') };
    for (const cut of [singleBytes, (bytes: Buffer) => [bytes]])
      expect(readAll(cut(Buffer.concat([header, tag(only)])))).toEqual([only]);
  });

  it.each([
    ['another signature', '464c57010500000009'],
    ['a file header that ends inside itself', '464c56010500000008'],
    ['a tag above 16 MB', '464c5601050000000900000000 09f42401000000 00000000'],
  ])('fails at %s, and then always', (_name, bytes) => {
    for (const chunks of [singleBytes(hex(bytes)), [hex(bytes)]]) {
      const reader = new FlvTagReader();
      const last = chunks.pop() ?? Buffer.alloc(0);
      for (const chunk of chunks) expect(reader.push(chunk)).toEqual([]);
      expect(failure(() => reader.push(last))).toBe('SLUICE_FLV_MALFORMED');
      expect(failure(() => reader.push(HEADER))).toBe('SLUICE_FLV_MALFORMED');
    }
  });

  it('does not lose the tags in front of a broken one', () => {
    const good = { type: 8, timestamp: 7, body: hex('af01') };
    const reader = new FlvTagReader();
    expect(reader.push(Buffer.concat([HEADER, tag(good), hex('09ffffff00000000000000')]))).toEqual([good]);
    expect(failure(() => reader.push(Buffer.of(0)))).toBe('SLUICE_FLV_MALFORMED');
  });

  it('a tag of 16 MB in small pieces takes no time', () => {
    const reader = new FlvTagReader();
    reader.push(Buffer.concat([HEADER, hex('09 f42400 00000000 000000')]));
    const piece = Buffer.alloc(1000, 5);
    const used = cpuMs(() => {
      for (let sent = 0; sent < 16_000_000 - 1000; sent += 1000) expect(reader.push(piece)).toEqual([]);
    });
    expect(used).toBeLessThan(2000);
    expect(reader.push(piece)[0]?.body.length).toBe(16_000_000);
  });
});
