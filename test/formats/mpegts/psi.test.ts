import { describe, expect, it } from 'vitest';
import { crc32Mpeg, programAssociationSection, programMapSection } from '../../../src/formats/mpegts/psi.ts';
import { hex } from '../amf/support.ts';

const H264 = { streamType: 0x1b, pid: 0x100 };
const AAC = { streamType: 0x0f, pid: 0x101 };
const MP3 = { streamType: 0x03, pid: 0x101 };

describe('program tables', () => {
  it('CRC-32/MPEG-2 check value', () => {
    expect(crc32Mpeg(Buffer.from('123456789'))).toBe(0x0376e6e7);
    expect(crc32Mpeg(hex('00B00D0001C100000001F001'))).toBe(0x2e701905);
  });

  it.each([
    ['PAT', programAssociationSection(), '00b00d0001c100000001f0002ab104b2'],
    [
      'H.264 + AAC',
      programMapSection(0, 0x100, [H264, AAC]),
      '02b0170001c10000e100f0001be100f0000fe101f0002f44b99b',
    ],
    ['audio only', programMapSection(0, 0x101, [AAC]), '02b0120001c10000e101f0000fe101f000ece2b094'],
    ['video only', programMapSection(0, 0x100, [H264]), '02b0120001c10000e100f0001be100f00015bd4d56'],
  ])('%s', (_name, section, expected) => {
    expect(section.toString('hex')).toBe(expected);
  });

  it('H.264 + MP3 differs by the stream type and its CRC', () => {
    expect(programMapSection(0, 0x100, [H264, MP3]).subarray(-4).toString('hex')).toBe('4e593d1e');
  });

  it('the version stands in five bits', () => {
    expect([0, 1, 31].map((version) => programMapSection(version, 0x100, [H264])[5])).toEqual([
      0xc1, 0xc3, 0xff,
    ]);
  });
});
