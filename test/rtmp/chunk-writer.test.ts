import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkReader } from '../../src/rtmp/chunk-reader.ts';
import { ChunkWriter } from '../../src/rtmp/chunk-writer.ts';
import { type RtmpMessage, setChunkSize } from '../../src/rtmp/message.ts';
import { hex } from '../formats/amf/support.ts';
import { ChunkEncoder, filled, readable, split } from './support/chunk-encoder.ts';

describe('ChunkWriter', () => {
  it('writes a full header', () => {
    expect(
      new ChunkWriter().encode({ type: 9, timestamp: 0x010203, streamId: 0x01020304, body: hex('abcd') }),
    ).toEqual(hex('06 010203 000002 09 04030201 abcd'));
  });

  it('writes a message without content', () => {
    expect(new ChunkWriter().encode({ type: 8, timestamp: 1, streamId: 1, body: Buffer.alloc(0) })).toEqual(
      hex('04 000001 000000 08 01000000'),
    );
  });

  it.each([
    [128, 1],
    [129, 2],
    [256, 2],
    [257, 3],
  ])('cuts %i bytes into %i chunks', (length, chunks) => {
    const bytes = new ChunkWriter().encode({ type: 8, timestamp: 0, streamId: 1, body: filled(length) });
    expect(bytes.length).toBe(11 + length + chunks);
  });

  it('writes fmt 3 for the rest, with the extended timestamp again', () => {
    const body = filled(130);
    expect(new ChunkWriter().encode({ type: 9, timestamp: 0xffffff, streamId: 1, body })).toEqual(
      Buffer.concat([
        hex('06 ffffff 000082 09 01000000 00ffffff'),
        body.subarray(0, 128),
        hex('c6 00ffffff'),
        body.subarray(128),
      ]),
    );
    expect(new ChunkWriter().encode({ type: 9, timestamp: 0xfffffe, streamId: 1, body })).toEqual(
      Buffer.concat([
        hex('06 fffffe 000082 09 01000000'),
        body.subarray(0, 128),
        hex('c6'),
        body.subarray(128),
      ]),
    );
  });

  it('writes what the reference encoder writes with full headers, and what the reader reads', () => {
    const message: fc.Arbitrary<RtmpMessage> = fc.record({
      type: fc.constantFrom(8, 9, 15, 17, 18, 20),
      timestamp: fc.oneof(fc.constantFrom(0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff), fc.nat(0xffffffff)),
      streamId: fc.constantFrom(0, 1, 0xffffffff),
      body: fc.tuple(fc.nat(2000), fc.nat(9)).map(([length, seed]) => filled(length, seed)),
    });
    const csid = (of: RtmpMessage) => ({ 8: 4, 9: 6, 15: 7, 18: 7 })[of.type] ?? (of.streamId === 0 ? 3 : 5);
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 12 }),
        fc.constantFrom(128, 200, 4096, 60_000),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
        (messages, size, sizes) => {
          const writer = new ChunkWriter();
          const announced = writer.encode(setChunkSize(size));
          writer.chunkSize = size;
          const written = messages.map((each) => writer.encode(each));
          const reference = new ChunkEncoder();
          reference.chunkSize = size;
          const expected = messages.map((each) => reference.encode(csid(each), each).toString('hex'));
          expect(written.map((each) => each.toString('hex'))).toEqual(expected);
          const read: RtmpMessage[] = [];
          const reader = new ChunkReader((received) => read.push(received));
          for (const piece of split(Buffer.concat([announced, ...written]), sizes)) reader.push(piece);
          expect(readable(read)).toEqual(readable(messages));
        },
      ),
      { numRuns: 200 },
    );
  });
});
