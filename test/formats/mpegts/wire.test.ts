import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ADAPTATION, writeAdaptation, writePesHeader } from '../../../src/formats/mpegts/wire.ts';

function pesTimestamps(pts: number, dts: number): string {
  const out = Buffer.alloc(19);
  writePesHeader(out, 0, 0xe0, 0, pts, dts);
  return out.toString('hex', 9, pts === dts ? 14 : 19);
}

function pcr(ticks: number): string {
  const out = Buffer.alloc(8);
  writeAdaptation(out, 0, 8, ADAPTATION.PCR, ticks);
  return out.toString('hex', 2, 8);
}

function readTimestamp(bytes: Buffer): bigint {
  const b = (i: number) => BigInt(bytes[i] ?? 0);
  return (((b(0) >> 1n) & 7n) << 30n) | (b(1) << 22n) | ((b(2) >> 1n) << 15n) | (b(3) << 7n) | (b(4) >> 1n);
}

describe('timestamps', () => {
  it.each([
    [126_000, 126_000, '210007d861'],
    [129_600, 126_000, '310007f48111' + '0007d861'],
    [2 ** 33 - 1, 2 ** 33 - 1, '2fffffffff'],
    [2 ** 33, 2 ** 33, '2100010001'],
    [-1, -1, '2fffffffff'],
    [2 ** 33 + 3600, 2 ** 33 - 1, '3100011c21' + '1fffffffff'],
  ])('PTS %i, DTS %i', (pts, dts, expected) => {
    expect(pesTimestamps(pts, dts)).toBe(expected);
  });

  it.each([
    [63_000, '00007b0c7e00'],
    [0, '000000007e00'],
    [2 ** 33 - 1, 'fffffffffe00'],
    [2 ** 33 + 63_000, '00007b0c7e00'],
  ])('PCR %i', (ticks, expected) => {
    expect(pcr(ticks)).toBe(expected);
  });

  it('all 33 bits survive, also far beyond the wrap', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (ticks) => {
        const expected = BigInt(ticks) % 2n ** 33n;
        expect(readTimestamp(Buffer.from(pesTimestamps(ticks, ticks), 'hex'))).toBe(expected);
        const bytes = Buffer.from(pcr(ticks), 'hex');
        expect((BigInt(bytes.readUInt32BE(0)) << 1n) | BigInt((bytes[4] ?? 0) >> 7)).toBe(expected);
      }),
    );
  });
});

it('an adaptation field of one byte is its length alone', () => {
  const out = Buffer.alloc(3, 0xaa);
  writeAdaptation(out, 1, 1, 0, 0);
  expect(out.toString('hex')).toBe('aa00aa');
  writeAdaptation(out, 0, 3, 0, 0);
  expect(out.toString('hex')).toBe('0200ff');
});

it('a PES header says its length and alignment', () => {
  const out = Buffer.alloc(14);
  writePesHeader(out, 0, 0xc0, 0x1234, 0, 0);
  expect(out.toString('hex', 0, 9)).toBe('000001c01234848005');
});
