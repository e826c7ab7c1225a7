import { describe, expect, it } from 'vitest';
import {
  parseCodecs,
  parseFilters,
  parseFormats,
  parseVersion,
} from '../../../src/transcode/ffmpeg/listings.ts';

/** The first lines of what real builds print for -version, shortened after the libraries that count. */
function banner(version: string, avutil: string | null): string {
  return [
    `ffmpeg version ${version} Copyright (c) 2000-2024 the FFmpeg developers`,
    'built with gcc 12 (Debian 12.2.0-14+deb12u1)',
    'configuration: --prefix=/usr --extra-version=0+deb12u1',
    ...(avutil === null
      ? []
      : [`libavutil      ${avutil} / ${avutil}`, 'libavcodec     59. 37.100 / 59. 37.100']),
  ].join('\n');
}

describe('parseVersion', () => {
  it.each([
    ['4.4.2-0ubuntu0.22.04.1', 4, 4],
    ['5.1.9-0+deb12u1', 5, 1],
    ['n4.4.1', 4, 4],
    ['n7.1', 7, 1],
    ['n7.1-3-gabcdef0123', 7, 1],
    ['7.0.2-static', 7, 0],
    ['6.1-full_build-www.gyan.dev', 6, 1],
    ['8.0', 8, 0],
    ['8.0.1-tessus', 8, 0],
    ['10.2', 10, 2],
    ['3.4.11-0ubuntu0.1', 3, 4],
    ['0.8.17-6:0.8.17-1', 0, 8],
  ])('%s is a release', (text, major, minor) => {
    expect(parseVersion(banner(text, '57. 28.100'))).toEqual({ major, minor, text });
  });

  it.each([
    ['N-47683-g0e8eb07980-static', '56. 24.101', 4, 0],
    ['N-102631-gbaf5cc5b7a', '56. 70.100', 4, 4],
    ['N-107626-g0c2cd1a8ad', '57. 28.100', 5, 1],
    ['2023-03-05-git-912ac82a3c-full_build-www.gyan.dev', '58.  3.100', 6, 0],
    ['git-2023-11-11-abcdef', '58. 29.100', 6, 1],
    ['N-117000-gabcdef', '59. 39.100', 7, 1],
    ['N-121000-gabcdef-20250901', '60. 13.100', 8, 0],
    ['N-130000-gabcdef', '61.  1.100', 99, 0],
    ['N-60000-gabcdef', '52. 10.100', 0, 0],
  ])('%s is known by its library', (text, avutil, major, minor) => {
    expect(parseVersion(banner(text, avutil))).toEqual({ major, minor, text });
  });

  it('takes a build that tells nothing for a new one', () => {
    expect(parseVersion(banner('UNKNOWN', null))).toEqual({ major: 99, minor: 0, text: 'UNKNOWN' });
  });

  it('is not fooled by other programs', () => {
    expect(parseVersion('avconv version 11.12-6:11.12-1~deb8u1')).toBeNull();
    expect(parseVersion('')).toBeNull();
    expect(parseVersion('GNU coreutils 9.1')).toBeNull();
  });
});

describe('parseCodecs', () => {
  it('reads the list of 4.4 to 6', () => {
    const text = [
      'Encoders:',
      ' V..... = Video',
      ' A..... = Audio',
      ' .F.... = Frame-level multithreading',
      ' ...X.. = Codec is experimental',
      ' .....D = Supports direct rendering method 1',
      ' ------',
      ' V....D a64multi             Multicolor charset for Commodore 64 (codec a64_multi)',
      ' V....D libx264              libx264 H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10 (codec h264)',
      ' V..... h264_v4l2m2m         V4L2 mem2mem H.264 encoder wrapper (codec h264)',
      ' A....D aac                  AAC (Advanced Audio Coding)',
      ' A..X.. opus                 Opus',
      ' S..... ssa                  ASS (Advanced SubStation Alpha) subtitle (codec ass)',
    ].join('\n');
    expect([...parseCodecs(text)]).toEqual(['a64multi', 'libx264', 'h264_v4l2m2m', 'aac', 'opus', 'ssa']);
  });

  it('reads the list of 7.1, also without descriptions, and with the line ends of Windows', () => {
    const text = [
      'Decoders:',
      ' V..... = Video',
      ' ------',
      ' VFS..D h264                 (codec h264)',
      ' V....D libdav1d             (codec av1)',
      ' A....D aac                  ',
      ' A....D pcm_s16le',
    ].join('\r\n');
    expect([...parseCodecs(text)]).toEqual(['h264', 'libdav1d', 'aac', 'pcm_s16le']);
  });

  it('finds nothing in anything else', () => {
    expect(parseCodecs('').size).toBe(0);
    expect(parseCodecs("Unrecognized option 'encoders'.\nError splitting the argument list").size).toBe(0);
  });
});

describe('parseFilters', () => {
  it.each([
    [
      'three flags',
      [
        'Filters:',
        '  T.. = Timeline support',
        '  | = Source or sink filter',
        ' ... aformat           A->A       Convert the input audio to one of the specified formats.',
        ' ..C scale             V->V       Scale the input video size and/or convert the image format.',
        ' ... split             V->N       Pass on the input to N video outputs.',
        ' TSC blend             VV->V      Blend two video frames into each other.',
        ' ... nullsink          V->|       Do absolutely nothing with the input video.',
        ' ... color             |->V       Provide an uniformly colored input.',
      ],
    ],
    [
      'two flags',
      [
        'Filters:',
        '  T. = Timeline support',
        '  | = Source or sink filter',
        ' .. aformat           A->A       (null)',
        ' .. scale             V->V       (null)',
        ' .. split             V->N       (null)',
        ' TS blend             VV->V      (null)',
        ' .. nullsink          V->|       (null)',
        ' .. color             |->V',
      ],
    ],
  ])('reads a list with %s', (_, lines) => {
    expect([...parseFilters(lines.join('\n'))]).toEqual([
      ...['aformat', 'scale', 'split', 'blend', 'nullsink', 'color'],
    ]);
  });
});

describe('parseFormats', () => {
  it('reads the lists of 5.1 and of 7.0', () => {
    const old = [
      'File formats:',
      ' D. = Demuxing supported',
      ' --',
      ' D  flv             FLV',
      ' D  matroska,webm   M',
    ];
    const young = [
      ...['Formats:', ' D.. = Demuxing supported', ' ..d = Is a device', ' ---'],
      ...[' D d lavfi           Libavfilter', ' D   flv             FLV', ' D   matroska,webm'],
    ];
    expect([...parseFormats(old.join('\n'))]).toEqual(['flv', 'matroska', 'webm']);
    expect([...parseFormats(young.join('\n'))]).toEqual(['lavfi', 'flv', 'matroska', 'webm']);
    expect([...parseFormats('File formats:\n  E 3gp             3GP\n  E flv             FLV')]).toEqual([
      '3gp',
      'flv',
    ]);
    expect([...parseFormats('Formats:\n  E  3gp             3GP\n  E  flv             FLV')]).toEqual([
      '3gp',
      'flv',
    ]);
  });
});
