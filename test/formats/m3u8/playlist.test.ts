import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type MediaWindow,
  renderMediaPlaylist,
  renderMultivariantPlaylist,
  type SegmentInfo,
} from '../../../src/formats/m3u8/playlist.ts';
import { parsePlaylist } from '../../support/hls-validator/m3u8.ts';

function segment(mediaSequence: number, extra: Partial<SegmentInfo> = {}): SegmentInfo {
  return {
    mediaSequence,
    uri: `s-${mediaSequence}.ts`,
    duration: 180_000,
    bytes: 1000,
    programDateTime: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    discontinuity: false,
    independent: true,
    ...extra,
  };
}

describe('renderMediaPlaylist', () => {
  it('exact text', () => {
    const window: MediaWindow = {
      targetDuration: 3,
      discontinuitySequence: 7,
      ended: false,
      segments: [
        segment(41, { duration: 180_001 }),
        segment(42, {
          discontinuity: true,
          duration: 225_225,
          programDateTime: Date.UTC(2026, 0, 2, 3, 4, 7) + 0.6,
        }),
      ],
    };
    const text = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:3
#EXT-X-MEDIA-SEQUENCE:41
#EXT-X-DISCONTINUITY-SEQUENCE:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.678Z
#EXTINF:2.00001,
s-41.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:07.001Z
#EXTINF:2.50250,
s-42.ts
`;
    expect(renderMediaPlaylist(window)).toBe(text);
    expect(renderMediaPlaylist({ ...window, ended: true })).toBe(`${text}#EXT-X-ENDLIST\n`);
  });

  it('claims independence only when every segment has it', () => {
    const segments = [segment(1), segment(2, { independent: false }), segment(3)];
    const text = renderMediaPlaylist({ targetDuration: 2, discontinuitySequence: 0, ended: false, segments });
    expect(text).not.toContain('INDEPENDENT');
  });

  it('an independent reader finds nothing wrong and the same numbers', () => {
    const anySegment = fc.record({
      duration: fc.integer({ min: 1, max: 900_000 }),
      discontinuity: fc.boolean(),
      independent: fc.boolean(),
      programDateTime: fc.double({ min: 0, max: 4e12, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.nat(2 ** 40),
        fc.nat(1000),
        fc.boolean(),
        fc.array(anySegment, { minLength: 1, maxLength: 12 }),
        (first, discontinuitySequence, ended, list) => {
          const segments = list.map((extra, i) => segment(first + i, extra));
          const parsed = parsePlaylist(
            renderMediaPlaylist({ targetDuration: 10, discontinuitySequence, ended, segments }),
          );
          expect(parsed.problems).toEqual([]);
          if (parsed.kind !== 'media') throw new Error('not a media playlist');
          expect(parsed).toMatchObject({
            targetDuration: 10,
            mediaSequence: first,
            discontinuitySequence,
            endList: ended,
          });
          expect(parsed.segments.map((s) => [s.uri, s.mediaSequence, s.discontinuity])).toEqual(
            segments.map((s) => [s.uri, s.mediaSequence, s.discontinuity]),
          );
          parsed.segments.forEach((s, i) => {
            expect(Math.abs(s.duration - (segments[i]?.duration ?? 0) / 90_000)).toBeLessThanOrEqual(
              0.000_005_01,
            );
            expect(s.programDateTime).toBe(Math.round(segments[i]?.programDateTime ?? 0));
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('renderMultivariantPlaylist', () => {
  it('exact text', () => {
    const video = {
      uri: 'v/index.m3u8',
      bandwidth: 2_800_000,
      averageBandwidth: 2_500_001,
      codecs: ['avc1.64001f', 'mp4a.40.2'],
      resolution: { width: 1280, height: 720 },
      frameRate: 30_000 / 1001,
    };
    const audio = { ...video, uri: 'a.m3u8', codecs: ['mp4a.40.2'], resolution: null, frameRate: null };
    const unknown = { ...video, uri: 'u.m3u8', codecs: [], frameRate: null };
    expect(renderMultivariantPlaylist([video, audio, unknown])).toBe(`#EXTM3U
#EXT-X-VERSION:6
#EXT-X-STREAM-INF:BANDWIDTH=2800000,AVERAGE-BANDWIDTH=2500001,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,CLOSED-CAPTIONS=NONE
v/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2800000,AVERAGE-BANDWIDTH=2500001,CODECS="mp4a.40.2",CLOSED-CAPTIONS=NONE
a.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2800000,AVERAGE-BANDWIDTH=2500001,RESOLUTION=1280x720,CLOSED-CAPTIONS=NONE
u.m3u8
`);
    expect(parsePlaylist(renderMultivariantPlaylist([video, audio])).problems).toEqual([]);
    expect(renderMultivariantPlaylist([audio])).not.toContain('CLOSED-CAPTIONS');
  });
});
