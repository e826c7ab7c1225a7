import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, BlockPool } from '../../src/media/block-pool.ts';
import { BodyWriter, SegmentBody } from '../../src/media/segment-body.ts';

function written(writer: BodyWriter, bytes: Buffer, cut = bytes.length): SegmentBody {
  writer.write(bytes.buffer, bytes.byteOffset, bytes.byteOffset + cut);
  writer.write(bytes.buffer, bytes.byteOffset + cut, bytes.byteOffset + bytes.length);
  return writer.take();
}

function numbered(length: number): Buffer {
  return Buffer.from(
    Uint32Array.from({ length: Math.ceil(length / 4) }, (_, index) => index * 2654435761).buffer,
  ).subarray(0, length);
}

describe('SegmentBody', () => {
  it('has the bytes that were written, and any part of them', () => {
    const size = fc.nat({ max: 3 * BLOCK_BYTES + 2 });
    fc.assert(
      fc.property(size, size, size, size, (length, cut, from, to) => {
        const bytes = numbered(length);
        const pool = new BlockPool();
        const writer = new BodyWriter(pool);
        const body = written(writer, bytes, Math.min(cut, length));
        expect(writer.length).toBe(0);
        expect(body.length).toBe(length);
        const [start, end] = [Math.min(from, to, length), Math.min(Math.max(from, to), length)];
        expect(Buffer.concat(body.pieces(start, end)).equals(bytes.subarray(start, end))).toBe(true);
        expect(body.pieces(start, end).every((piece) => piece.length > 0)).toBe(true);
        expect(body.copyOut().equals(bytes)).toBe(true);
        expect(pool.bytesInUse).toBe(0);
      }),
    );
  });

  it('gives its memory back when the last holder has released it', () => {
    const pool = new BlockPool();
    const body = written(new BodyWriter(pool), numbered(BLOCK_BYTES + 1));
    expect(pool.bytesInUse).toBe(2 * BLOCK_BYTES);
    body.hold();
    body.release();
    expect(pool.bytesInUse).toBe(2 * BLOCK_BYTES);
    expect(Buffer.concat(body.pieces())).toEqual(numbered(BLOCK_BYTES + 1));
    body.release();
    expect(pool.bytesInUse).toBe(0);
  });

  it('cannot be used once it is nobody’s: its memory may be another stream’s', () => {
    const body = written(new BodyWriter(new BlockPool()), numbered(10));
    body.release();
    for (const use of [() => body.release(), () => body.hold(), () => body.pieces(), () => body.copyOut()]) {
      expect(use).toThrow(/after everybody had released it/);
    }
  });

  it('may be memory of its own', () => {
    const bytes = numbered(10);
    const body = SegmentBody.of(bytes);
    expect(body.pieces()).toEqual([bytes]);
    expect(body.copyOut()).not.toBe(bytes);
    expect(bytes).toEqual(numbered(10));
  });

  it('leaves what the memory held before behind its end', () => {
    const pool = new BlockPool();
    const writer = new BodyWriter(pool);
    written(writer, Buffer.alloc(BLOCK_BYTES, 0xee)).release();
    const body = written(writer, Buffer.alloc(100, 1));
    expect(body.pieces()).toHaveLength(1);
    expect(Buffer.concat(body.pieces(90, BLOCK_BYTES))).toEqual(Buffer.alloc(10, 1));
    expect(body.pieces(100, BLOCK_BYTES)).toEqual([]);
    expect(body.copyOut()).toEqual(Buffer.alloc(100, 1));
  });

  it('is not made of what was discarded', () => {
    const pool = new BlockPool();
    const writer = new BodyWriter(pool);
    writer.write(numbered(100).buffer, 0, 100);
    writer.discard();
    expect(pool.bytesInUse).toBe(0);
    expect(written(writer, numbered(5)).copyOut()).toEqual(numbered(5));
  });
});
