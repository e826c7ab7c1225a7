import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aacTrack } from '../../../src/codecs/aac.ts';
import { h264Track, parseAvcC } from '../../../src/codecs/h264.ts';
import { FlvDemuxer } from '../../../src/formats/flv/demuxer.ts';
import { readFlvFile, TAG_TYPE } from '../../../src/formats/flv/tags.ts';
import { type FlvFrame, flvConfigTag, flvFileHeader, flvTag } from '../../../src/formats/flv/writer.ts';
import type { Frame } from '../../../src/media/frame.ts';
import type { AudioTrack, Track, VideoTrack } from '../../../src/media/track.ts';
import { failure, hex } from '../amf/support.ts';

const AVCC = hex('0164001effe100196764001eacb405017fcb80880000030008000003019078b17501000468ef3cb0fdf8f800');
const H264 = h264Track('v0', AVCC, parseAvcC(AVCC));
const AAC = aacTrack('a0', hex('1210'));
const MP3: AudioTrack = {
  ...AAC,
  codec: 'mp3',
  config: new Uint8Array(0),
  codecString: 'mp4a.40.34',
  samplesPerFrame: 1152,
  adts: null,
};
const OLD_VIDEO: VideoTrack = {
  ...H264,
  codec: 'vp6',
  config: new Uint8Array(0),
  codecString: null,
  flvHeader: 5,
  width: 0,
  height: 0,
  frameRate: null,
  h264: null,
};
const OLD_AUDIO: AudioTrack = {
  ...MP3,
  codec: 'speex',
  codecString: null,
  flvHeader: 0xb6,
  sampleRate: 16000,
  channels: 1,
  samplesPerFrame: 0,
};

function frame(data: string, changes: Partial<FlvFrame> = {}): FlvFrame {
  return { timestampMs: 0, compositionOffsetMs: 0, keyframe: true, data: hex(data), ...changes };
}

function file(track: Track, frames: readonly FlvFrame[]): Buffer {
  const config = flvConfigTag(track, 0);
  return Buffer.concat([
    flvFileHeader(track.kind === 'video', track.kind === 'audio'),
    ...(config === null ? [] : [config]),
    ...frames.map((each) => flvTag(track, each)),
  ]);
}

function demux(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  const demuxer = new FlvDemuxer(
    (each) => frames.push(each),
    (reason) => {
      throw reason;
    },
  );
  for (const { type, timestamp, body } of readFlvFile(bytes)) {
    if (type === TAG_TYPE.VIDEO) demuxer.pushVideo(timestamp, body);
    else demuxer.pushAudio(timestamp, body);
  }
  return frames;
}

it('begins a file', () => {
  expect(flvFileHeader(true, false)).toEqual(hex('464c5601 01 00000009 00000000'));
  expect(flvFileHeader(false, true)).toEqual(hex('464c5601 04 00000009 00000000'));
  expect(flvFileHeader(true, true)).toEqual(hex('464c5601 05 00000009 00000000'));
});

describe('the bytes of a tag', () => {
  it.each<[string, Track, FlvFrame, string]>([
    [
      'H.264 keyframe, timestamp above 24 bits',
      H264,
      frame('00000001 65', { timestampMs: 0x89abcdef, compositionOffsetMs: 66 }),
      '09 00000a abcdef 89 000000 1701000042 0000000165 00000015',
    ],
    [
      'H.264 with a negative composition offset',
      H264,
      frame('00000001 41', { keyframe: false, compositionOffsetMs: -66 }),
      '09 00000a 000000 00 000000 2701ffffbe 0000000141 00000015',
    ],
    ['AAC', AAC, frame('2110', { timestampMs: 23 }), '08 000004 000017 00 000000 af01 2110 0000000f'],
    ['MP3, 44.1 kHz stereo', MP3, frame('fffb'), '08 000003 000000 00 000000 2f fffb 0000000e'],
    [
      'MP3, 16 kHz mono',
      { ...MP3, sampleRate: 16000, channels: 1 },
      frame('fff3'),
      '08 000003 000000 00 000000 26 fff3 0000000e',
    ],
    ['VP6 keyframe', OLD_VIDEO, frame('0078'), '09 000003 000000 00 000000 15 0078 0000000e'],
    [
      'VP6 in between',
      OLD_VIDEO,
      frame('0078', { keyframe: false }),
      '09 000003 000000 00 000000 25 0078 0000000e',
    ],
    ['Speex', OLD_AUDIO, frame('36'), '08 000002 000000 00 000000 b6 36 0000000d'],
  ])('%s', (_name, track, input, expected) => {
    expect(flvTag(track, input)).toEqual(hex(expected));
  });

  it('of a sequence header', () => {
    expect(flvConfigTag(AAC, 5)).toEqual(hex('08 000004 000005 00 000000 af00 1210 0000000f'));
    const avc = flvConfigTag(H264, 5) ?? Buffer.alloc(0);
    expect(avc.subarray(0, 16)).toEqual(hex('09 000031 000005 00 000000 1700000000'));
    expect(avc.subarray(16, -4)).toEqual(AVCC);
    for (const track of [MP3, OLD_VIDEO, OLD_AUDIO]) expect(flvConfigTag(track, 5)).toBeNull();
  });

  it('an offset that does not fit becomes the nearest that does', () => {
    const offsetOf = (compositionOffsetMs: number) =>
      flvTag(H264, frame('00', { compositionOffsetMs })).readIntBE(13, 3);
    expect(offsetOf(1e9)).toBe(0x7f_ffff);
    expect(offsetOf(-1e9)).toBe(-0x7f_ffff);
  });
});

describe('what does not go in', () => {
  it('is a codec without a legacy tag', () => {
    for (const codec of ['hevc', 'av1', 'vp9'] as const)
      expect(failure(() => flvTag({ ...OLD_VIDEO, codec, flvHeader: null }, frame('00')))).toBe(
        'SLUICE_INTERNAL',
      );
    expect(failure(() => flvTag({ ...MP3, codec: 'opus' }, frame('00')))).toBe('SLUICE_INTERNAL');
  });

  it('is a frame of 16 MiB', () => {
    const data = new Uint8Array(2 ** 24 - 2);
    expect(flvTag(OLD_VIDEO, { ...frame(''), data })).toHaveLength(11 + 2 ** 24 - 1 + 4);
    expect(failure(() => flvTag(AAC, { ...frame(''), data }))).toBe('SLUICE_FLV_MALFORMED');
  });
});

describe('FlvDemuxer gives back any frames', () => {
  const anyFrame = (data: fc.Arbitrary<Uint8Array>) =>
    fc.record({
      timestampMs: fc.nat(2 ** 32 - 1),
      compositionOffsetMs: fc.integer({ min: -0x7f_ffff, max: 0x7f_ffff }),
      keyframe: fc.boolean(),
      data,
    });
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
  /** A slice, IDR or not, behind its length; zeros, because the demuxer looks for parameter sets. */
  const slice = fc.tuple(fc.constantFrom(0x65, 0x41), fc.nat(40)).map(([type, length]) => {
    const unit = Buffer.alloc(5 + length);
    unit.writeUInt32BE(1 + length);
    unit[4] = type;
    return unit;
  });
  const notAdts = bytes.filter(([first]) => first !== 0xff);

  it.each<[string, Track, fc.Arbitrary<Uint8Array>]>([
    ['H.264', H264, slice],
    ['AAC', AAC, notAdts],
    ['VP6 with alpha', OLD_VIDEO, bytes],
    ['Speex', OLD_AUDIO, bytes],
  ])('%s', (_name, track, data) => {
    fc.assert(
      fc.property(fc.array(anyFrame(data), { maxLength: 8 }), (frames) => {
        const back = demux(file(track, frames));
        expect(back).toHaveLength(frames.length);
        back.forEach((each, index) => {
          const input = frames[index] as FlvFrame;
          const idr = input.data[4] === 0x65;
          expect({ ...each.track, config: Buffer.from(each.track.config) }).toEqual({
            ...track,
            config: Buffer.from(track.config),
          });
          expect(each.timestamp).toBe(input.timestampMs);
          expect(each.compositionOffset).toBe(track === H264 ? input.compositionOffsetMs : 0);
          expect(Buffer.from(each.data)).toEqual(Buffer.from(input.data));
          if (track === OLD_VIDEO) expect(each.keyframe).toBe(input.keyframe);
          if (track === H264 && idr) expect(each.keyframe).toBe(true);
        });
      }),
    );
  });
});
