import { describe, expect, it } from 'vitest';
import { FlvDemuxer } from '../../../src/formats/flv/demuxer.ts';
import type { Frame } from '../../../src/media/frame.ts';
import type { Track } from '../../../src/media/track.ts';
import { lengthPrefixed, makeSps } from '../../codecs/support.ts';
import { isHeader, isVideo, readClip } from '../../support/publish-clip.ts';
import { failure, hex } from '../amf/support.ts';
import { aacTag, avcTag, fourCc } from './support.ts';

const AVCC = hex('0164001effe100196764001eacb405017fcb80880000030008000003019078b17501000468ef3cb0fdf8f800');
const SMALL_AVCC = hex(
  '0164000dffe1001a6764000dacd941419f9f011000000300100000030320f142996001000468efbcb0fdf8f800',
);
const IDR = lengthPrefixed([Uint8Array.of(0x65, 1, 2)]);
const SLICE = lengthPrefixed([Uint8Array.of(0x41, 1, 2)]);

function demuxer(): { demuxer: FlvDemuxer; frames: Frame[]; lost: string[] } {
  const frames: Frame[] = [];
  const lost: string[] = [];
  return {
    demuxer: new FlvDemuxer(
      (frame) => frames.push(frame),
      (reason) => lost.push(reason.message),
    ),
    frames,
    lost,
  };
}

describe('clips', () => {
  const H264_SMALL = { codec: 'h264', codecString: 'avc1.64000d', width: 320, height: 180, frameRate: 25 };
  const H264 = { codec: 'h264', codecString: 'avc1.64001e', width: 640, height: 360, frameRate: 25 };
  const AAC_48 = {
    codec: 'aac',
    codecString: 'mp4a.40.2',
    sampleRate: 48000,
    channels: 2,
    samplesPerFrame: 1024,
  };
  const AAC_44_MONO = { ...AAC_48, sampleRate: 44100, channels: 1 };
  const MP3 = {
    codec: 'mp3',
    codecString: 'mp4a.40.34',
    sampleRate: 44100,
    channels: 1,
    samplesPerFrame: 1152,
  };
  const AV1 = { codec: 'av1', codecString: 'av01.0.00M.08', h264: null };
  const OPUS = { codec: 'opus', codecString: 'opus', sampleRate: 48000, channels: 2, samplesPerFrame: 0 };

  it.each<[string, { [id: string]: object[] }, number]>([
    ['bbb', { v0: [{ ...H264, codecString: 'avc1.42c01e' }], a0: [{ ...AAC_48, sampleRate: 44100 }] }, 682],
    ['h264_aac', { v0: [H264], a0: [AAC_48] }, 720],
    ['h264b_aac', { v0: [H264_SMALL], a0: [AAC_48] }, 720],
    ['h264_44k', { v0: [H264_SMALL], a0: [AAC_44_MONO] }, 682],
    ['h264_only', { v0: [H264_SMALL] }, 250],
    ['aac_only', { a0: [AAC_48] }, 470],
    ['h264_mp3', { v0: [H264_SMALL], a0: [MP3] }, 634],
    ['flv1_mp3', { v0: [{ codec: 'h263', codecString: null }], a0: [MP3] }, 634],
    ['hevc_aac', { v0: [{ codec: 'hevc', codecString: 'hvc1.1.6.L60.90' }], a0: [AAC_48] }, 720],
    ['av1_aac', { v0: [AV1], a0: [AAC_48] }, 720],
    ['av1_opus', { v0: [AV1], a0: [OPUS] }, 751],
    ['vp9_aac', { v0: [{ codec: 'vp9', codecString: 'vp09.00.11.08' }], a0: [AAC_48] }, 720],
    ['h264_opus', { v0: [H264_SMALL], a0: [OPUS] }, 751],
    [
      'h264_ac3',
      { v0: [H264_SMALL], a0: [{ codec: 'ac3', codecString: 'ac-3', sampleRate: 48000, channels: 2 }] },
      563,
    ],
    ['multitrack_av', { v0: [H264], v1: [H264_SMALL], a0: [AAC_48], a1: [AAC_48] }, 1440],
    ['h264_reschange', { v0: [H264, H264_SMALL], a0: [AAC_48] }, 1152],
    ['aac_ratechange', { v0: [H264_SMALL], a0: [AAC_48, AAC_44_MONO] }, 1111],
  ])('%s', (name, expected, frameCount) => {
    const { demuxer: flv, frames, lost } = demuxer();
    for (const tag of readClip(name)) {
      if (isVideo(tag)) flv.pushVideo(tag.timestamp, tag.body);
      else flv.pushAudio(tag.timestamp, tag.body);
    }
    const tracks: { [id: string]: Track[] } = {};
    for (const { track } of frames) {
      const list = tracks[track.id] ?? [];
      tracks[track.id] = list;
      if (list.at(-1) !== track) list.push(track);
    }
    expect(tracks).toMatchObject(expected);
    expect(Object.values(tracks).map((list) => list.length)).toEqual(
      Object.keys(tracks).map((id) => expected[id]?.length),
    );
    expect(frames).toHaveLength(frameCount);
    expect(lost).toHaveLength(0);
    // Few video frames are keyframes, all audio is.
    expect(frames.filter((f) => f.track.kind === 'audio').every((f) => f.keyframe)).toBe(true);
    const video = frames.filter((f) => f.track.id === 'v0');
    if (video.length > 0) expect(video.filter((f) => f.keyframe).length).toBeLessThan(video.length / 20);
    expect(video[0]?.keyframe ?? true).toBe(true);
  });
});

it.each([...['h264_aac', 'hevc_aac', 'av1_opus', 'vp9_aac', 'multitrack_av', 'aac_ratechange']])(
  'what decodes %s stays when its message is gone',
  (name) => {
    const tracksOf = (afterwards: (body: Buffer) => void) => {
      const { demuxer: flv, frames } = demuxer();
      for (const tag of readClip(name)) {
        const body = Buffer.from(tag.body);
        if (isVideo(tag)) flv.pushVideo(tag.timestamp, body);
        else flv.pushAudio(tag.timestamp, body);
        if (isHeader(tag)) afterwards(body);
      }
      return [...new Set(frames.map(({ track }) => track))];
    };
    const tracks = tracksOf(() => {});
    expect(tracks.length).toBeGreaterThan(1);
    expect(tracksOf((body) => body.fill(0xee))).toEqual(tracks);
  },
);

it.each([
  ['MP3 before garbage', 400_000, Buffer.from([0x2f, 0xff, 0xfb, 0x14, 0xc4]), 1],
  ['a picture', 60_000, Buffer.concat([Buffer.of(0xa1, ...Buffer.from('av01'))]), 60_000 - 5],
])('a frame that waits keeps no more than sixteen times its size: %s', (_name, size, start, least) => {
  const { demuxer: flv, frames } = demuxer();
  const slab = Buffer.alloc(Math.max(size, 64 * 1024));
  start.copy(slab);
  const message = slab.subarray(0, size);
  if (start[0] === 0x2f) flv.pushAudio(0, message);
  else flv.pushVideo(0, message);
  expect(frames.length).toBe(1);
  const data = frames[0]?.data ?? new Uint8Array(0);
  expect(data.length).toBeGreaterThanOrEqual(least);
  expect(data.buffer.byteLength).toBeLessThanOrEqual(16 * data.length);
});

describe('H.264', () => {
  it('waits for a configuration and counts what it drops', () => {
    const { demuxer: flv, frames, lost } = demuxer();
    flv.pushVideo(0, avcTag(1, IDR));
    expect(frames).toEqual([]);
    expect(lost).toHaveLength(1);
    flv.pushVideo(40, avcTag(0, AVCC));
    flv.pushVideo(40, avcTag(1, IDR, { cts: -66 }));
    expect(frames).toMatchObject([{ timestamp: 40, compositionOffset: -66, keyframe: true }]);
    expect(Buffer.from(frames[0]?.data ?? [])).toEqual(IDR);
  });

  it('keeps the track object while the header says the same, and makes a new one when not', () => {
    const { demuxer: flv, frames } = demuxer();
    for (const config of [AVCC, AVCC, SMALL_AVCC, AVCC]) {
      flv.pushVideo(0, avcTag(0, config));
      flv.pushVideo(0, avcTag(1, IDR));
    }
    const [a, b, c, d] = frames.map((frame) => frame.track);
    expect(a).toBe(b);
    expect(c).not.toBe(b);
    expect([a, c, d].map((track) => track?.codecString)).toEqual([
      'avc1.64001e',
      'avc1.64000d',
      'avc1.64001e',
    ]);
  });

  it('a broken header leaves the old track in place', () => {
    const { demuxer: flv, frames } = demuxer();
    flv.pushVideo(0, avcTag(0, AVCC));
    expect(failure(() => flv.pushVideo(0, avcTag(0, AVCC.subarray(0, 20))))).toBe('SLUICE_CODEC_MALFORMED');
    flv.pushVideo(0, avcTag(1, IDR));
    expect(frames).toMatchObject([{ track: { width: 640 } }]);
  });

  it('believes the NAL type more than the flag once an IDR was there', () => {
    const { demuxer: flv, frames } = demuxer();
    flv.pushVideo(0, avcTag(0, AVCC));
    flv.pushVideo(0, avcTag(1, SLICE, { key: true }));
    flv.pushVideo(40, avcTag(1, IDR, { key: false }));
    flv.pushVideo(80, avcTag(1, SLICE, { key: true }));
    expect(frames.map((frame) => frame.keyframe)).toEqual([true, true, false]);
  });

  it('takes parameter sets from the pictures, also without any header', () => {
    const sps = makeSps({ mbWidth: 20, mapHeight: 12 });
    const pps = Uint8Array.of(0x68, 1, 2);
    const picture = lengthPrefixed([sps, pps, Uint8Array.of(0x65, 1)]);
    const { demuxer: flv, frames } = demuxer();
    flv.pushVideo(0, avcTag(1, picture));
    flv.pushVideo(40, avcTag(1, SLICE, { key: false }));
    flv.pushVideo(80, avcTag(1, picture));
    expect(frames).toHaveLength(3);
    expect(new Set(frames.map((frame) => frame.track)).size).toBe(1);
    expect(frames[0]?.track).toMatchObject({ width: 320, height: 192, h264: { sps: [new Uint8Array(sps)] } });
    const larger = makeSps({ mbWidth: 40, mapHeight: 12 });
    flv.pushVideo(120, avcTag(1, lengthPrefixed([larger, Uint8Array.of(0x65, 1)])));
    expect(frames[3]?.track).toMatchObject({ width: 640, h264: { pps: [new Uint8Array(pps)] } });
  });

  it('sets in the pictures outlive a repeated header', () => {
    const larger = makeSps({ mbWidth: 120, mapHeight: 12 });
    const { demuxer: flv, frames } = demuxer();
    flv.pushVideo(0, avcTag(0, AVCC));
    flv.pushVideo(0, avcTag(1, lengthPrefixed([larger, Uint8Array.of(0x65, 1)])));
    flv.pushVideo(0, avcTag(0, AVCC));
    flv.pushVideo(40, avcTag(1, SLICE));
    expect(frames.map((frame) => frame.track)).toMatchObject([{ width: 1920 }, { width: 1920 }]);
  });

  it('a picture without a slice is no picture', () => {
    const { demuxer: flv, frames, lost } = demuxer();
    flv.pushVideo(0, avcTag(0, AVCC));
    flv.pushVideo(0, avcTag(1, lengthPrefixed([Uint8Array.of(9, 0xf0), Uint8Array.of(6, 1, 1, 0)])));
    flv.pushVideo(0, avcTag(1, Buffer.alloc(0)));
    expect(frames).toEqual([]);
    expect(lost).toEqual([]);
  });

  it('begins at a recovery point that is flagged as a keyframe, as open GOPs do', () => {
    const { demuxer: flv, frames } = demuxer();
    const slice = Uint8Array.of(0x41, 1, 2);
    const entry = lengthPrefixed([Uint8Array.of(6, 6, 1, 0xc4, 0x80), slice]);
    flv.pushVideo(0, avcTag(0, AVCC));
    flv.pushVideo(0, avcTag(1, IDR));
    for (const data of [entry, SLICE]) flv.pushVideo(40, avcTag(1, data, { key: true }));
    flv.pushVideo(80, avcTag(1, entry, { key: false }));
    expect(frames.map((frame) => frame.keyframe)).toEqual([true, true, false, false]);
  });

  it('tells of a NAL unit that is longer than its message, and keeps what stands before it', () => {
    const { demuxer: flv, frames, lost } = demuxer();
    flv.pushVideo(0, avcTag(0, AVCC));
    flv.pushVideo(0, avcTag(1, Buffer.concat([IDR, hex('000000ff 41 01')])));
    expect(frames).toHaveLength(1);
    expect(lost).toEqual(['a NAL unit is longer than its message']);
  });
});

describe('audio', () => {
  it('AAC waits for its configuration, skips empty frames and strips ADTS', () => {
    const { demuxer: flv, frames, lost } = demuxer();
    const raw = hex('aabbccdd');
    const withAdts = Buffer.concat([hex('fff14c80 01 7f fc'), raw]);
    flv.pushAudio(0, aacTag(1, raw));
    expect(lost).toHaveLength(1);
    flv.pushAudio(0, aacTag(1, withAdts));
    flv.pushAudio(21, aacTag(1, Buffer.alloc(0)));
    flv.pushAudio(43, aacTag(1, raw));
    expect(frames.map(({ timestamp, data }) => [timestamp, Buffer.from(data).toString('hex')])).toEqual([
      [0, 'aabbccdd'],
      [43, 'aabbccdd'],
    ]);
    expect(frames[0]?.track).toMatchObject({ sampleRate: 48000, channels: 2, codecString: 'mp4a.40.2' });
    flv.pushAudio(60, aacTag(0, hex('1190')));
    flv.pushAudio(64, aacTag(1, raw));
    expect(frames[2]?.track).toBe(frames[0]?.track);
  });

  it('an empty AAC configuration is ignored', () => {
    const { demuxer: flv, frames } = demuxer();
    flv.pushAudio(0, aacTag(0, hex('1190')));
    flv.pushAudio(0, aacTag(0, Buffer.alloc(0)));
    flv.pushAudio(0, aacTag(1, hex('aa')));
    expect(frames).toHaveLength(1);
  });

  it('splits several MP3 frames and counts their times', () => {
    const frame = Buffer.alloc(417);
    frame.set(hex('fffb9064'));
    const { demuxer: flv, frames, lost } = demuxer();
    flv.pushAudio(0xffffffff, Buffer.concat([hex('2f'), frame, frame, frame, hex('00')]));
    expect(frames.map(({ timestamp, data }) => [timestamp, data.length])).toEqual([
      [0xffffffff, 417],
      [25, 417],
      [51, 417],
    ]);
    expect(lost).toHaveLength(1);
  });

  it('takes no more MP3 frames from a message than a second holds, and no AAC frame that is too long', () => {
    const frame = Buffer.alloc(24);
    frame.set(hex('fff31400'));
    const { demuxer: flv, frames, lost } = demuxer();
    flv.pushAudio(0, Buffer.concat([hex('2f'), ...Array.from({ length: 100 }, () => frame)]));
    flv.pushAudio(0, aacTag(0, hex('1190')));
    flv.pushAudio(0, aacTag(1, Buffer.alloc(8185, 0x21)));
    expect(frames).toHaveLength(64);
    expect(lost).toEqual([
      'more than 64 MP3 frames in a message',
      'an AAC frame is longer than AAC frames can be',
    ]);
  });

  it('Opus with an empty or missing header is stereo', () => {
    for (const header of [[Buffer.concat([Uint8Array.of(0x90), fourCc('Opus')])], []]) {
      const { demuxer: flv, frames } = demuxer();
      for (const body of header) flv.pushAudio(0, body);
      flv.pushAudio(0, Buffer.concat([Uint8Array.of(0x91), fourCc('Opus'), Buffer.alloc(30, 0xfc)]));
      expect(frames).toMatchObject([{ track: { codec: 'opus', channels: 2, sampleRate: 48000 } }]);
    }
  });

  it('tracks of one kind are told apart by number, and a codec change makes a new one', () => {
    const { demuxer: flv, frames } = demuxer();
    const multi = (id: number, type: number, code: string, payload: Uint8Array) =>
      Buffer.concat([Uint8Array.of(0x95, type), fourCc(code), Uint8Array.of(id), payload]);
    flv.pushAudio(0, multi(0, 0, 'mp4a', hex('1190')));
    flv.pushAudio(0, multi(1, 0, 'mp4a', hex('1210')));
    flv.pushAudio(0, multi(1, 1, 'mp4a', hex('aa')));
    flv.pushAudio(0, multi(0, 1, 'mp4a', hex('bb')));
    flv.pushAudio(0, multi(0, 1, 'ec-3', hex('cc')));
    expect(frames.map(({ track }) => [track.id, track.codecString])).toEqual([
      ['a1', 'mp4a.40.2'],
      ['a0', 'mp4a.40.2'],
      ['a0', 'ec-3'],
    ]);
  });
});
