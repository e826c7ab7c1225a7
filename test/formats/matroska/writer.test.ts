import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aacTrack } from '../../../src/codecs/aac.ts';
import { h264Track, parseAvcC } from '../../../src/codecs/h264.ts';
import { mp3Track } from '../../../src/codecs/mp3.ts';
import { type MatroskaFrame, matroskaFrame, matroskaHeader } from '../../../src/formats/matroska/writer.ts';
import type { AudioCodec, AudioTrack, VideoCodec, VideoTrack } from '../../../src/media/track.ts';
import { failure, hex } from '../amf/support.ts';
import { elements, find, has } from './support.ts';

const AVCC = hex('0164001effe100196764001eacb405017fcb80880000030008000003019078b17501000468ef3cb0fdf8f800');
const H264 = h264Track('v0', AVCC, parseAvcC(AVCC));
const RECORD = hex('010203040506070809');

function video(codec: VideoCodec, config: Uint8Array = RECORD): VideoTrack {
  return { ...H264, codec, config, h264: null, width: 0, height: 0 };
}

function audio(codec: AudioCodec, config: Uint8Array, changes: Partial<AudioTrack> = {}): AudioTrack {
  return { ...aacTrack('a0', hex('1190')), codec, config, adts: null, ...changes };
}

const SEGMENT = 0x18538067;
const TRACK = [SEGMENT, 0x1654ae6b, 0xae];
const CODEC_ID = 0x86;
const CODEC_PRIVATE = 0x63a2;
const VIDEO = 0xe0;
const AUDIO = 0xe1;

const uint = (bytes: Buffer) => bytes.readUIntBE(0, bytes.length);

describe('the header', () => {
  it('says Matroska, then begins a segment that does not end, in milliseconds', () => {
    const header = matroskaHeader(H264);
    const [ebml, segment, ...more] = elements(header);
    expect([ebml?.id, segment?.id, more]).toEqual([0x1a45dfa3, SEGMENT, []]);
    expect(ebml?.endless).toBe(false);
    expect(segment?.endless).toBe(true);
    expect(find(header, 0x1a45dfa3, 0x4282).toString()).toBe('matroska');
    expect(uint(find(header, SEGMENT, 0x1549a966, 0x2ad7b1))).toBe(1_000_000);
    expect(elements(find(header, SEGMENT, 0x1654ae6b))).toHaveLength(1);
  });

  const FLAC_INFO = Buffer.alloc(34, 7);
  const FLAC = Buffer.concat([Buffer.from('fLaC'), hex('80000022'), FLAC_INFO]);
  const OPUS = hex('4f70757348656164 01 02 3801 80bb0000 0000 00');
  const PLAIN_OPUS = hex('4f70757348656164 01 02 0000 80bb0000 0000 00');

  it.each<[string, VideoTrack | AudioTrack, string, Buffer | null]>([
    ['H.264', H264, 'V_MPEG4/ISO/AVC', AVCC],
    ['HEVC', video('hevc'), 'V_MPEGH/ISO/HEVC', RECORD],
    ['VVC', video('vvc'), 'V_MPEGI/ISO/VVC', RECORD],
    ['AV1', video('av1'), 'V_AV1', RECORD],
    ['VP9, whose record is another one', video('vp9'), 'V_VP9', null],
    ['VP8', video('vp8', hex('')), 'V_VP8', null],
    ['AAC', aacTrack('a0', hex('1190')), 'A_AAC', hex('1190')],
    ['MP3', audio('mp3', hex('')), 'A_MPEG/L3', null],
    ['AC-3', audio('ac3', hex('')), 'A_AC3', null],
    ['E-AC-3', audio('eac3', hex('')), 'A_EAC3', null],
    ['Opus without its pre-skip', audio('opus', OPUS), 'A_OPUS', PLAIN_OPUS],
    [
      'Opus with a gain and a channel mapping',
      audio('opus', hex('4f70757348656164 01 03 3801 80bb0000 0100 01 02 01 000201')),
      'A_OPUS',
      hex('4f70757348656164 01 03 0000 80bb0000 0100 01 02 01 000201'),
    ],
    ['Opus without a header', audio('opus', hex('')), 'A_OPUS', PLAIN_OPUS],
    [
      'Opus without a header, mono',
      audio('opus', hex(''), { channels: 1 }),
      'A_OPUS',
      hex('4f70757348656164 01 01 0000 80bb0000 0000 00'),
    ],
    ['Opus with half a header', audio('opus', OPUS.subarray(0, 18)), 'A_OPUS', PLAIN_OPUS],
    ['FLAC', audio('flac', FLAC), 'A_FLAC', FLAC],
    [
      'FLAC with tags behind STREAMINFO',
      audio('flac', Buffer.concat([hex('664c6143 00000022'), FLAC_INFO, hex('8400000100')])),
      'A_FLAC',
      FLAC,
    ],
    ['FLAC with nothing but STREAMINFO', audio('flac', FLAC_INFO), 'A_FLAC', FLAC],
    ['FLAC without a header', audio('flac', hex('')), 'A_FLAC', null],
  ])('%s', (_name, track, id, record) => {
    const header = matroskaHeader(track);
    expect(find(header, ...TRACK, CODEC_ID).toString()).toBe(id);
    if (record === null) expect(has(header, ...TRACK, CODEC_PRIVATE)).toBe(false);
    else expect(find(header, ...TRACK, CODEC_PRIVATE)).toEqual(record);
    expect(uint(find(header, ...TRACK, 0x83))).toBe(track.kind === 'video' ? 1 : 2);
  });

  it('leaves the record of the publisher as it was', () => {
    const config = Buffer.from(OPUS);
    matroskaHeader(audio('opus', config));
    expect(config).toEqual(OPUS);
  });

  it('has the size of the picture, or one that everybody accepts', () => {
    const size = (track: VideoTrack) => {
      const header = matroskaHeader(track);
      return [0xb0, 0xba].map((id) => uint(find(header, ...TRACK, VIDEO, id)));
    };
    expect(size(H264)).toEqual([H264.width, H264.height]);
    expect(size(video('hevc'))).toEqual([16, 16]);
  });

  it('has rate and channels where they are known', () => {
    const known = matroskaHeader(mp3Track('a0', { ...MP3_HEADER, sampleRate: 22050, channels: 2 }));
    expect(find(known, ...TRACK, AUDIO, 0xb5).readDoubleBE()).toBe(22050);
    expect(uint(find(known, ...TRACK, AUDIO, 0x9f))).toBe(2);
    const unknown = matroskaHeader(audio('eac3', hex(''), { sampleRate: 0, channels: 0 }));
    expect(find(unknown, ...TRACK, AUDIO)).toEqual(hex(''));
  });

  it('is not for codecs of old FLV', () => {
    for (const track of [
      { ...video('vp6'), flvHeader: 4 },
      { ...video('screen'), flvHeader: 3 },
      { ...audio('speex', hex('')), flvHeader: 0xb6 },
    ])
      expect(failure(() => matroskaHeader(track))).toBe('SLUICE_INTERNAL');
  });
});

const MP3_HEADER = { mpegVersion: 2, samplesPerFrame: 576, frameSize: 104 } as const;

describe('a frame', () => {
  it('is a cluster with its time and one block', () => {
    const frame = { timestampMs: 0x0102030405, keyframe: true, data: hex('aabbcc') };
    expect(matroskaFrame(H264, frame)).toEqual(
      hex('1f43b675 10000016 e7 88 0000000102030405 a3 10000007 81 0000 80 aabbcc'),
    );
    expect(matroskaFrame(H264, { ...frame, keyframe: false }).readUInt8(26)).toBe(0);
  });

  it('of any kind comes back from a reader', () => {
    const anyFrame: fc.Arbitrary<MatroskaFrame> = fc.record({
      timestampMs: fc.oneof(fc.maxSafeNat(), fc.nat()),
      keyframe: fc.boolean(),
      data: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), (frames) => {
        const file = Buffer.concat([
          matroskaHeader(H264),
          ...frames.map((frame) => matroskaFrame(H264, frame)),
        ]);
        const clusters = elements(find(file, SEGMENT)).filter(({ id }) => id === 0x1f43b675);
        const back = clusters.map(({ payload }) => {
          const [time, block, ...more] = elements(payload);
          expect([time?.id, block?.id, more]).toEqual([0xe7, 0xa3, []]);
          const bytes = block?.payload ?? Buffer.alloc(0);
          expect(bytes.subarray(0, 3)).toEqual(hex('81 0000'));
          return {
            timestampMs: Number(time?.payload.readBigUInt64BE()),
            keyframe: bytes.readUInt8(3) === 0x80,
            data: new Uint8Array(bytes.subarray(4)),
          };
        });
        expect(back).toEqual(frames.map((frame) => ({ ...frame, data: new Uint8Array(frame.data) })));
      }),
    );
  });
});
