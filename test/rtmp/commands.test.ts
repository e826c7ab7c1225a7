import { describe, expect, it } from 'vitest';
import { encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { AmfEcmaArray, type AmfValue } from '../../src/formats/amf/value.ts';
import { announcedMedia, decodeCommand, decodeData, decodeValues } from '../../src/rtmp/commands.ts';
import type { RtmpMessage } from '../../src/rtmp/message.ts';
import { failure, hex } from '../formats/amf/support.ts';

function message(type: number, body: Buffer): RtmpMessage {
  return { type, timestamp: 0, streamId: 1, body };
}

describe('decodeValues', () => {
  const values: AmfValue[] = ['createStream', 2, null];

  it.each([
    ['AMF0 command', 20, ''],
    ['AMF3 command with its leading zero', 17, '00'],
    ['AMF3 command without it', 17, ''],
    ['AMF0 data', 18, ''],
    ['AMF3 data with its leading zero', 15, '00'],
    ['AMF3 data without it', 15, ''],
  ])('%s', (_name, type, lead) => {
    expect(decodeValues(message(type, Buffer.concat([hex(lead), encodeAmf0(values)])))).toEqual(values);
  });

  it('takes AMF3 values behind a switch', () => {
    // 11: one AMF3 value; 0a 0b 01: a dynamic object without a class; 06 …: string; 01: no more members
    expect(
      decodeValues(message(17, hex('00 02 0001 61  00 3ff0000000000000  11 0a0b01 03 62 06 03 63 01'))),
    ).toEqual(['a', 1, { b: 'c' }]);
  });

  it('of an empty message are none', () => {
    expect(decodeValues(message(17, Buffer.alloc(0)))).toEqual([]);
    expect(decodeValues(message(20, Buffer.alloc(0)))).toEqual([]);
  });

  it('cut short are an error', () => {
    expect(failure(() => decodeValues(message(20, hex('02 0005 6162'))))).toBe('SLUICE_AMF_MALFORMED');
  });
});

describe('decodeCommand', () => {
  it('is name, transaction id and the rest', () => {
    expect(decodeCommand(message(20, encodeAmf0(['publish', 5, null, 'key', 'live'])))).toEqual({
      name: 'publish',
      transactionId: 5,
      args: [null, 'key', 'live'],
    });
  });

  it.each([
    ['a missing', ['x']],
    ['a wrong', ['x', 'one']],
  ] as [string, AmfValue[]][])('takes %s transaction id for 0: no answer wanted', (_name, values) => {
    expect(decodeCommand(message(20, encodeAmf0(values)))).toEqual({ name: 'x', transactionId: 0, args: [] });
  });

  it('is null without a name', () => {
    expect(decodeCommand(message(20, encodeAmf0([1, 2])))).toBeNull();
    expect(decodeCommand(message(20, Buffer.alloc(0)))).toBeNull();
  });
});

describe('decodeData', () => {
  it.each([
    ['wrapped', ['@setDataFrame', 'onMetaData', { width: 2 }]],
    ['bare', ['onMetaData', { width: 2 }]],
  ] as [string, AmfValue[]][])('%s', (_name, values) => {
    for (const type of [15, 18]) {
      expect(decodeData(message(type, encodeAmf0(values)))).toEqual({
        name: 'onMetaData',
        values: [{ width: 2 }],
      });
    }
  });

  it.each([['@setDataFrame'], [null, 'onMetaData'], [], ['@setDataFrame', 1]] as AmfValue[][])(
    'is null without a name (%#)',
    (...values) => {
      expect(decodeData(message(18, encodeAmf0(values)))).toBeNull();
    },
  );
});

describe('announcedMedia', () => {
  const of = (metadata: AmfValue, name = 'onMetaData') => announcedMedia({ name, values: [metadata] });

  it.each([
    ['OBS', { width: 1280, height: 720, videocodecid: 7, audiocodecid: 10 }, { video: true, audio: true }],
    ['names', { videocodecid: 'avc1', audiocodecid: 'mp4a' }, { video: true, audio: true }],
    ['picture only', { width: 640, videocodecid: 7 }, { video: true, audio: false }],
    ['sound only', { audiocodecid: 10 }, { video: false, audio: true }],
    ['no codec, but a size', { width: 640 }, { video: true, audio: false }],
    ['no codec, but a sample rate', { audiosamplerate: 48_000 }, { video: false, audio: true }],
    ['an audio codec of none', { videocodecid: 7, audiocodecid: 0 }, { video: true, audio: false }],
    ['empty names', { videocodecid: 7, audiocodecid: '' }, { video: true, audio: false }],
  ] as [string, { [name: string]: AmfValue }, object][])('%s', (_name, metadata, expected) => {
    expect(of(metadata)).toEqual(expected);
    expect(of(new AmfEcmaArray(metadata))).toEqual(expected);
  });

  it.each([
    ['neither', { encoder: 'x', duration: 0 }],
    ['a NaN width', { width: Number.NaN }],
    ['no object', 'x'],
    ['nothing', undefined],
  ] as [string, AmfValue][])('is null when the metadata has %s', (_name, metadata) => {
    expect(of(metadata)).toBeNull();
  });

  it('is null for other data', () => {
    expect(of({ videocodecid: 7 }, 'onTextData')).toBeNull();
  });

  it('finds the object behind other values', () => {
    expect(announcedMedia({ name: 'onMetaData', values: [null, { audiocodecid: 10 }] })).toEqual({
      video: false,
      audio: true,
    });
  });
});
