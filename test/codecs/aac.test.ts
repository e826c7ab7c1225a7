import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aacTrack, adtsHeaderSize, parseAudioSpecificConfig, writeAdtsHeader } from '../../src/codecs/aac.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { BitWriter } from './support.ts';

describe('AudioSpecificConfig', () => {
  const asc = (build: (w: BitWriter) => BitWriter) => build(new BitWriter()).bytes;
  const cases: [string, Buffer, object][] = [
    [
      'LC 44.1 kHz stereo',
      hex('1210'),
      { objectType: 2, signalledObjectType: 2, sampleRate: 44100, channels: 2, samplesPerFrame: 1024 },
    ],
    ['LC 48 kHz stereo', hex('1190'), { sampleRate: 48000, frequencyIndex: 3, channelConfiguration: 2 }],
    [
      'LC 48 kHz, 7.1',
      asc((w) => w.bits(2, 5).bits(3, 4).bits(7, 4).bits(0, 3)),
      { channels: 8, channelConfiguration: 7 },
    ],
    [
      '960 samples per frame',
      asc((w) => w.bits(2, 5).bits(3, 4).bits(2, 4).bits(0b100, 3)),
      { samplesPerFrame: 960 },
    ],
    [
      'HE-AAC, explicit',
      asc((w) => w.bits(5, 5).bits(7, 4).bits(2, 4).bits(4, 4).bits(2, 5).bits(0, 3)),
      { objectType: 2, signalledObjectType: 5, sampleRate: 22050, frequencyIndex: 7, channels: 2 },
    ],
    [
      'HE-AAC, backward compatible',
      asc((w) =>
        w.bits(2, 5).bits(6, 4).bits(2, 4).bits(0, 3).bits(0x2b7, 11).bits(5, 5).flag(true).bits(3, 4),
      ),
      { objectType: 2, signalledObjectType: 5, sampleRate: 24000 },
    ],
    [
      'LC with the extension saying no SBR',
      hex('119056e500'),
      { objectType: 2, signalledObjectType: 2, sampleRate: 48000 },
    ],
    [
      'HE-AAC v2, explicit',
      asc((w) => w.bits(29, 5).bits(6, 4).bits(1, 4).bits(3, 4).bits(2, 5).bits(0, 3)),
      { objectType: 2, signalledObjectType: 29, sampleRate: 24000, channelConfiguration: 1 },
    ],
    [
      'an odd rate in the escape field takes the tables of the nearest',
      asc((w) => w.bits(2, 5).bits(15, 4).bits(44_000, 24).bits(1, 4).bits(0, 3)),
      { sampleRate: 44_000, frequencyIndex: 4, channels: 1 },
    ],
    [
      'an escaped object type',
      asc((w) =>
        w
          .bits(31, 5)
          .bits(42 - 32, 6)
          .bits(3, 4)
          .bits(2, 4)
          .bits(0, 3),
      ),
      { objectType: 42, signalledObjectType: 42 },
    ],
  ];

  it.each(cases)('%s', (_name, config, expected) => {
    expect(parseAudioSpecificConfig(config)).toMatchObject(expected);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['one byte', hex('12')],
    ['a reserved frequency', asc((w) => w.bits(2, 5).bits(13, 4).bits(2, 4))],
    ['a rate of zero', asc((w) => w.bits(2, 5).bits(15, 4).bits(0, 24).bits(1, 4))],
    ['HE-AAC without its core type', asc((w) => w.bits(5, 5).bits(7, 4).bits(2, 4).bits(4, 3))],
  ])('refuses %s', (_name, config) => {
    expect(failure(() => parseAudioSpecificConfig(config))).toBe('SLUICE_CODEC_MALFORMED');
  });

  it('knows what an ADTS header cannot say', () => {
    const withPce = asc((w) => w.bits(2, 5).bits(3, 4).bits(0, 4).bits(0, 3));
    const xheAac = asc((w) =>
      w
        .bits(31, 5)
        .bits(42 - 32, 6)
        .bits(3, 4)
        .bits(2, 4)
        .bits(0, 3),
    );
    expect(aacTrack('a0', withPce).adts).toBeNull();
    expect(aacTrack('a0', xheAac)).toMatchObject({ adts: null, codecString: 'mp4a.40.42' });
    expect(aacTrack('a0', hex('1210'))).toMatchObject({
      codecString: 'mp4a.40.2',
      adts: { objectType: 2, frequencyIndex: 4, channelConfiguration: 2 },
    });
  });
});

describe('ADTS', () => {
  it.each([
    [4, 'fff150802f5ffc'],
    [3, 'fff14c802f5ffc'],
  ])('writes the exact header, frequency index %i', (frequencyIndex, expected) => {
    const header = Buffer.alloc(9, 0xee);
    writeAdtsHeader(header, 1, { objectType: 2, frequencyIndex, channelConfiguration: 2 }, 371);
    expect(header.toString('hex')).toBe(`ee${expected}ee`);
  });

  it('recognises its own headers, and nothing that is a byte off', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.nat(12),
        fc.integer({ min: 1, max: 7 }),
        fc.nat(8184),
        (objectType, frequencyIndex, channelConfiguration, size) => {
          const frame = Buffer.alloc(7 + size);
          writeAdtsHeader(frame, 0, { objectType, frequencyIndex, channelConfiguration }, size);
          expect(adtsHeaderSize(frame)).toBe(7);
          expect(adtsHeaderSize(Buffer.concat([frame, Buffer.alloc(1)]))).toBe(0);
          expect(adtsHeaderSize(frame.subarray(0, frame.length - 1))).toBe(0);
        },
      ),
    );
    // protection_absent 0: two bytes of CRC more.
    expect(adtsHeaderSize(hex('fff05080017ffc12345678'))).toBe(9);
  });
});
