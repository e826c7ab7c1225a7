import { describe, expect, it } from 'vitest';
import { audioFormat } from '../../src/codecs/audio-headers.ts';
import { codecStringFromRecord } from '../../src/codecs/codec-strings.ts';
import { hex } from '../formats/amf/support.ts';

describe('codecStringFromRecord', () => {
  it.each([
    ['hevc', 'Main 4.1', '01 01 60000000 b00000000000 7b', 'hvc1.1.6.L123.B0'],
    ['hevc', 'Main 10, 5.1', '01 02 20000000 b00000000000 99', 'hvc1.2.4.L153.B0'],
    [
      'hevc',
      'profile space, high tier, all constraints',
      '01 61 80000000 010203040506 78',
      'hvc1.A1.1.H120.01.02.03.04.05.06',
    ],
    ['hevc', 'no constraints', '01 01 60000000 000000000000 5d', 'hvc1.1.6.L93'],
    ['av1', '4.0 main', '81 08 0c 00', 'av01.0.08M.08'],
    ['av1', 'ten bit, high tier', '81 2d c0 00', 'av01.1.13H.10'],
    ['av1', 'twelve bit', '81 4d 60 00', 'av01.2.13M.12'],
    ['vp9', 'bare record', '00 29 80 02 02 02 00 00', 'vp09.00.41.08'],
    ['vp9', 'with FullBox bytes', '01000000 02 1f a0 02 02 02 00 00', 'vp09.02.31.10'],
    ['opus', 'any', '', 'opus'],
    ['flac', 'any', '', 'fLaC'],
    ['ac3', 'any', '', 'ac-3'],
    ['eac3', 'any', '', 'ec-3'],
  ])('%s %s', (codec, _name, record, expected) => {
    expect(codecStringFromRecord(codec, hex(record))).toBe(expected);
  });

  it.each([
    ['hevc', '0101600000009000000000'],
    ['av1', '8108'],
    ['vp9', '0029'],
    ['vp8', '00'],
    ['h263', ''],
  ])('null where %s does not tell', (codec, record) => {
    expect(codecStringFromRecord(codec, hex(record))).toBeNull();
  });
});

describe('audioFormat', () => {
  it('reads what Opus, FLAC and AC-3 say about themselves', () => {
    expect(audioFormat('opus', Buffer.from('OpusHead\x01\x06\x38\x01', 'latin1'))).toEqual({
      sampleRate: 48000,
      channels: 6,
    });
    const streamInfo = hex('664c6143 80000022 1000 1000 00000e 0010a7 0bb8 0370 00000000');
    expect(audioFormat('flac', streamInfo)).toEqual({ sampleRate: 48000, channels: 2 });
    expect(audioFormat('ac3', hex('0b77 0000 1e 40 e1'))).toEqual({ sampleRate: 48000, channels: 5 });
    expect(audioFormat('g711u', Buffer.alloc(0))).toEqual({ sampleRate: 8000, channels: 1 });
    expect(audioFormat('speex', Buffer.alloc(0))).toEqual({ sampleRate: 16000, channels: 1 });
    expect(audioFormat('nellymoser', Buffer.alloc(0))).toEqual({ sampleRate: 0, channels: 0 });
  });

  it('does not take a media frame for a configuration', () => {
    const frame = Buffer.alloc(40, 0xfc);
    expect(audioFormat('opus', frame)).toEqual({ sampleRate: 48000, channels: 2 });
    expect(audioFormat('flac', frame)).toEqual({ sampleRate: 0, channels: 0 });
  });
});
