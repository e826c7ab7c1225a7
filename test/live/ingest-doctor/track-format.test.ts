import { describe, expect, it } from 'vitest';
import { buildAvcC, h264Track } from '../../../src/codecs/h264.ts';
import { formatWarnings } from '../../../src/live/ingest-doctor/track-format.ts';
import type { AudioTrack } from '../../../src/media/track.ts';
import { makeSps, type SpsShape } from '../../codecs/support.ts';
import { audioTrack, PPS } from '../../media/support.ts';

function video(shape: Partial<SpsShape>) {
  const sps = makeSps({ mbWidth: 40, mapHeight: 23, ...shape });
  const parameters = { nalLengthSize: 4, sps: [sps], pps: [PPS] };
  return h264Track('v0', buildAvcC(parameters), parameters);
}

const audio = (changes: Partial<AudioTrack>): AudioTrack => ({ ...audioTrack(), ...changes });

const told = (...tracks: Parameters<typeof formatWarnings>[0]) =>
  formatWarnings(tracks).map(({ code, severity, message, fix }) => [code, severity, `${message} ${fix}`]);

describe('formatWarnings', () => {
  it.each([
    [110, 'High 10,'],
    [122, 'High 4:2:2,'],
    [244, 'High 4:4:4,'],
    [88, 'Extended,'],
  ])('H.264 profile %i is a problem', (profile, name) => {
    expect(told(video({ profile }))).toEqual([['video-profile', 'problem', expect.stringContaining(name)]]);
    expect(formatWarnings([video({ profile })])[0]?.fix).toContain(
      'Settings > Advanced > Video > Color Format: NV12',
    );
  });

  it.each([66, 77, 100])('H.264 profile %i is fine', (profile) => {
    expect(told(video({ profile, level: 52 }), audioTrack())).toEqual([]);
  });

  it('levels beyond 5.2', () => {
    expect(told(video({ level: 60 }))).toEqual([
      ['video-level', 'warning', expect.stringMatching(/level 6; .* 5\.2.*Output \(Scaled\) Resolution/)],
    ]);
  });

  it('interlaced video', () => {
    expect(told(video({ frameMbsOnly: false }))).toEqual([
      ['video-interlaced', 'warning', expect.stringContaining('Deinterlacing')],
    ]);
  });

  it('codecs that HLS does not carry are somebody else’s concern', () => {
    expect(
      told({ ...video({}), codec: 'hevc', h264: null }, audio({ codec: 'opus', sampleRate: 0 })),
    ).toEqual([]);
  });

  it.each([44_100, 48_000, 22_050, 24_000])('AAC at %i Hz is fine', (sampleRate) => {
    expect(told(audio({ sampleRate }))).toEqual([]);
  });

  it.each([
    [96_000, '96 kHz'],
    [11_025, '11.025 kHz'],
  ])('AAC at %i Hz is unusual', (sampleRate, text) => {
    expect(told(audio({ sampleRate }))).toEqual([
      ['audio-sample-rate', 'notice', expect.stringContaining(text)],
    ]);
  });

  it('more channels than two', () => {
    expect(told(audio({ channels: 6 }))).toEqual([
      ['audio-channels', 'notice', expect.stringMatching(/6 channels.*Settings > Audio > Channels: Stereo/)],
    ]);
  });
});
