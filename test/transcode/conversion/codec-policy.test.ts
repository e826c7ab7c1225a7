import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import type { Track } from '../../../src/media/track.ts';
import { type CodecPolicies, decideTracks } from '../../../src/transcode/conversion/codec-policy.ts';
import type { Ffmpeg } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import { audio, ffmpegWith, video } from './support.ts';

function decide(
  tracks: readonly Track[],
  ffmpeg: Ffmpeg | SluiceError | null,
  codecs: CodecPolicies = {},
): string[] {
  return decideTracks(tracks, { codecs, ffmpeg, videoEncoder: 'libx264' }).map(
    ({ track, policy, reason }) => `${track.id} ${policy}: ${reason}`,
  );
}

const policyOf = (track: Track, decoders: readonly string[]) =>
  decideTracks([track], { codecs: {}, ffmpeg: ffmpegWith(decoders), videoEncoder: 'libx264' })[0]?.policy;

describe('by default', () => {
  it('remuxes what TS carries, and converts the rest when ffmpeg can', () => {
    expect(decide([video('h264'), audio('speex')], ffmpegWith(['speex']))).toEqual([
      'v0 remux: MPEG-TS carries H264 as it is',
      'a0 transcode: SPEEX is not allowed in MPEG-TS segments',
    ]);
    expect(decide([audio('mp3')], ffmpegWith([]))).toEqual(['a0 remux: MPEG-TS carries MP3 as it is']);
  });

  it('leaves out what ffmpeg cannot convert, and says why', () => {
    const missing = new SluiceError('SLUICE_FFMPEG_MISSING', 'none');
    const noEncoder = ffmpegWith(['hevc'], ['aac']);
    expect(decide([video('hevc')], missing)).toEqual([
      'v0 drop: HEVC is not allowed in MPEG-TS segments, but there is no ffmpeg to convert it: none',
    ]);
    expect(decide([video('hevc')], noEncoder)).toEqual([
      'v0 drop: HEVC is not allowed in MPEG-TS segments, but ffmpeg 5.1 has no encoder libx264',
    ]);
  });

  it('hopes for ffmpeg while it is being looked for', () => {
    expect(decide([video('hevc')], null)[0]).toMatch(/^v0 transcode/);
  });

  it('converts AAC that does not fit ADTS', () => {
    expect(decide([audio('aac', 'a0', { adts: null })], ffmpegWith(['aac']))).toEqual([
      'a0 transcode: this AAC profile or channel layout does not fit ADTS',
    ]);
  });
});

describe('as configured', () => {
  it.each([
    ['reject', 'v0 reject: transcode.codecs refuses H264'],
    ['drop', 'v0 drop: transcode.codecs leaves H264 out'],
    ['remux', 'v0 remux: MPEG-TS carries H264 as it is'],
    ['transcode', 'v0 transcode: transcode.codecs asks for H264 to be converted'],
  ] as const)('%s', (policy, expected) => {
    expect(decide([video('h264')], ffmpegWith(['h264']), { h264: policy })).toEqual([expected]);
  });

  it('does not remux what TS cannot carry', () => {
    expect(decide([video('av1')], ffmpegWith(['libdav1d']), { av1: 'remux' })).toEqual([
      'v0 drop: AV1 cannot be remuxed into MPEG-TS',
    ]);
  });

  it('remuxes what should be converted and cannot be, rather than losing it', () => {
    expect(decide([audio('mp3')], ffmpegWith([]), { mp3: 'transcode' })).toEqual([
      'a0 remux: transcode.codecs asks for MP3 to be converted, but ffmpeg 5.1 has no decoder for it (mp3float or mp3)',
    ]);
  });
});

describe('several tracks of a kind', () => {
  const ffmpeg = ffmpegWith(['hevc', 'h264', 'ac3']);

  it('needs no conversion when one of them plays as it is', () => {
    expect(decide([video('hevc', 'v0'), video('h264', 'v1')], ffmpeg)).toEqual([
      'v0 drop: HLS in MPEG-TS carries one video track, and v1 is there',
      'v1 remux: MPEG-TS carries H264 as it is',
    ]);
  });

  it('converts one of them at most', () => {
    expect(decide([audio('ac3', 'a0'), audio('ac3', 'a1')], ffmpeg)).toEqual([
      'a0 transcode: AC3 is not allowed in MPEG-TS segments',
      'a1 drop: HLS in MPEG-TS carries one audio track, and a0 is there',
    ]);
  });

  it('converts the first when that is what was asked for', () => {
    const decisions = decide([video('h264', 'v0'), video('h264', 'v1')], ffmpeg, { h264: 'transcode' });
    expect(decisions.map((decision) => decision.split(':')[0])).toEqual(['v0 transcode', 'v1 drop']);
  });
});

describe('the decoder', () => {
  it.each([
    ['a hardware frame for AV1 is none', video('av1'), ['av1'], 'drop'],
    ['dav1d', video('av1'), ['libdav1d'], 'transcode'],
    ['libaom', video('av1'), ['libaom-av1'], 'transcode'],
    ['Sorenson H.263', video('h263', 'v0', { flvHeader: 0x22 }), ['flv'], 'transcode'],
    ['VP6', video('vp6', 'v0', { flvHeader: 0x04 }), ['vp6f'], 'transcode'],
    ['VP6 with alpha is another one', video('vp6', 'v0', { flvHeader: 0x05 }), ['vp6f'], 'drop'],
    ['VP6 with alpha', video('vp6', 'v0', { flvHeader: 0x05 }), ['vp6a'], 'transcode'],
    ['Screen Video', video('screen', 'v0', { flvHeader: 0x03 }), ['flashsv'], 'transcode'],
    ['Screen Video 2', video('screen', 'v0', { flvHeader: 0x06 }), ['flashsv2'], 'transcode'],
    ['PCM of 16 bits', audio('pcm', 'a0', { flvHeader: 0x3e }), ['pcm_s16le'], 'transcode'],
    ['PCM of 8 bits', audio('pcm', 'a0', { flvHeader: 0x3c }), ['pcm_u8'], 'transcode'],
    ['Speex of an older ffmpeg', audio('speex'), ['libspeex'], 'transcode'],
    ['G.711', audio('g711a'), ['pcm_mulaw'], 'drop'],
  ] as const)('%s', (_, track, decoders, policy) => {
    expect(policyOf(track, decoders)).toBe(policy);
  });
});
