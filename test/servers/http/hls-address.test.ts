import { describe, expect, it } from 'vitest';
import { hlsAddresses, multivariantPath } from '../../../src/servers/http/hls-address.ts';

describe('hlsAddresses', () => {
  it.each([
    ['test.m3u8', [{ app: 'live', name: 'test', file: null }]],
    ['test/a-1.ts', [{ app: 'live', name: 'test', file: 'a-1.ts' }]],
    [
      'test/media.m3u8',
      [
        { app: 'live', name: 'test', file: 'media.m3u8' },
        { app: 'test', name: 'media', file: null },
      ],
    ],
    [
      'other/cam/media.m3u8',
      [
        { app: 'other', name: 'cam', file: 'media.m3u8' },
        { app: 'other/cam', name: 'media', file: null },
      ],
    ],
    ['a/b/cam/x.ts', [{ app: 'a/b', name: 'cam', file: 'x.ts' }]],
    ['', []],
    ['test', []],
    ['test/', []],
    ['//test.m3u8', []],
  ])('%s', (path, expected) => {
    expect(hlsAddresses(path, 'live')).toEqual(expected);
  });

  it.each(['live', 'other', 'a/b'])('reads back the path of a stream in %s', (app) => {
    const path = multivariantPath(app, 'cam', 'live').replace(/^hls\//, '');
    expect(hlsAddresses(path, 'live')).toContainEqual({ app, name: 'cam', file: null });
  });
});
