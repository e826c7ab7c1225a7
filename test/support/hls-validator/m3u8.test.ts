import { describe, expect, it } from 'vitest';

import type { MediaPlaylist } from './m3u8.ts';
import { parsePlaylist } from './m3u8.ts';
import { insertAfterHead } from './synthetic-stream.ts';

describe('playlist syntax', () => {
  const media = [
    '#EXTM3U',
    '#EXT-X-VERSION:3',
    '#EXT-X-TARGETDURATION:2',
    '#EXT-X-MEDIA-SEQUENCE:7',
    '#EXT-X-DISCONTINUITY-SEQUENCE:3',
    '#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z',
    '#EXTINF:2.000,first',
    'a.ts',
    '#EXT-X-DISCONTINUITY',
    '#EXT-X-PROGRAM-DATE-TIME:2026-01-01T01:00:02.000+01:00',
    '#EXTINF:1.500,',
    'b.ts',
    '',
  ].join('\n');
  const multivariant = [
    '#EXTM3U',
    '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=320x180',
    'video.m3u8',
    '',
  ].join('\n');

  it('reads a media playlist', () => {
    const playlist = parsePlaylist(media) as MediaPlaylist;
    expect(playlist).toMatchObject({
      kind: 'media',
      problems: [],
      version: 3,
      targetDuration: 2,
      endList: false,
    });
    expect(playlist.segments).toMatchObject([
      {
        uri: 'a.ts',
        mediaSequence: 7,
        discontinuityNumber: 3,
        duration: 2,
        title: 'first',
        discontinuity: false,
      },
      {
        uri: 'b.ts',
        mediaSequence: 8,
        discontinuityNumber: 4,
        duration: 1.5,
        title: '',
        discontinuity: true,
      },
    ]);
    expect(playlist.segments.map((segment) => segment.programDateTime)).toEqual([
      Date.UTC(2026, 0, 1),
      Date.UTC(2026, 0, 1, 0, 0, 2),
    ]);
  });

  it('reads a multivariant playlist, CRLF and bytes', () => {
    const playlist = parsePlaylist(Buffer.from(multivariant.replaceAll('\n', '\r\n')));
    expect(playlist.problems).toEqual([]);
    expect(playlist.kind === 'multivariant' && playlist.variants[0]?.attributes.get('CODECS')).toBe(
      'avc1.42c01e,mp4a.40.2',
    );
  });

  const slips: [string, string | Uint8Array][] = [
    ['missing EXTM3U', media.replace('#EXTM3U\n', '')],
    ['byte order mark', `\uFEFF${media}`],
    ['invalid UTF-8', Buffer.concat([Buffer.from(media), Buffer.from([0x23, 0xff, 0x0a])])],
    ['decomposed letters', `${media}# cafe\u0301\n`],
    ['control character', `${media}# \u0007\n`],
    ['space at the end of a line', media.replace('a.ts', 'a.ts ')],
    ['space in a URI', media.replace('a.ts', 'a b.ts')],
    ['tag used twice', insertAfterHead('#EXT-X-TARGETDURATION:2')(media)],
    ['missing target duration', media.replace('#EXT-X-TARGETDURATION:2\n', '')],
    ['target duration with decimals', media.replace('DURATION:2', 'DURATION:2.0')],
    ['value on a tag without value', media.replace('DISCONTINUITY\n', 'DISCONTINUITY:1\n')],
    ['EXTINF without comma', media.replace('1.500,', '1.500')],
    ['EXTINF without number', media.replace('1.500,', 'x,')],
    ['two EXTINF for a segment', media.replace('#EXTINF:1.500,', '#EXTINF:1.500,\n#EXTINF:1.500,')],
    ['URI without EXTINF', media.replace('#EXTINF:1.500,\n', '')],
    ['EXTINF without URI', `${media}#EXTINF:2.0,\n`],
    [
      'sequence after the first segment',
      `${media.replace('#EXT-X-MEDIA-SEQUENCE:7\n', '')}#EXT-X-MEDIA-SEQUENCE:7\n`,
    ],
    ['date without zone', media.replace('.000Z', '.000')],
    ['date without milliseconds', media.replace('.000Z', 'Z')],
    ['unknown playlist type', insertAfterHead('#EXT-X-PLAYLIST-TYPE:LIVE')(media)],
    ['version too low', media.replace('VERSION:3', 'VERSION:2')],
    ['version too high', media.replace('VERSION:3', 'VERSION:7')],
    ['long segment below version 6', media.replace('1.500,', '2.400,')],
    ['media tag in a multivariant playlist', insertAfterHead('#EXT-X-TARGETDURATION:2')(multivariant)],
    ['quoted resolution', multivariant.replace('320x180', '"320x180"')],
    ['unquoted codecs', multivariant.replace('"avc1.42c01e,mp4a.40.2"', 'avc1.42c01e')],
    ['repeated attribute', multivariant.replace(',CODECS', ',BANDWIDTH=2,CODECS')],
    ['space in an attribute list', multivariant.replace(',RES', ', RES')],
    ['comma at the end of an attribute list', multivariant.replace('320x180', '320x180,')],
    ['attributes missing', insertAfterHead('#EXT-X-START')(media)],
    [
      'tag between variant and URI',
      multivariant.replace('video.m3u8', '#EXT-X-INDEPENDENT-SEGMENTS\nvideo.m3u8'),
    ],
    ['missing bandwidth', multivariant.replace('BANDWIDTH=1,', '')],
    ['variant without URI', multivariant.replace('video.m3u8\n', '')],
    ['URI without variant', `${multivariant}other.m3u8\n`],
    ['rendition without a name', insertAfterHead('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a"')(multivariant)],
  ];
  for (const [name, text] of slips) {
    it(`finds ${name}`, () => {
      const { problems } = parsePlaylist(text);
      expect(new Set(problems.map((problem) => problem.check)), name).toEqual(new Set(['P1']));
    });
  }
});
