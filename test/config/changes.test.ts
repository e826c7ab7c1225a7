import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../src/config/changes.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';

const changes = (before: ConfigInput, after: ConfigInput) =>
  changesBetween(parseConfig(before), parseConfig(after));

describe('changesBetween', () => {
  it('finds none where the values are the same', () => {
    expect(changes({}, { hls: { segmentDuration: 2 }, publish: { deny: [] }, applications: {} })).toEqual({
      live: [],
      forNew: [],
      restart: [],
    });
  });

  it('tells what holds now from what holds for new streams and what needs a restart', () => {
    const key = `sha256:${'00'.repeat(32)}`;
    expect(
      changes(
        { host: '::1', play: { secrets: ['a-secret-of-some-length'] } },
        {
          rtmp: { port: 1, maxConnections: 2 },
          publish: { keys: [{ name: 'a', key }] },
          storage: { directory: '/x' },
          hls: { listedSegments: 7 },
        },
      ),
    ).toEqual({
      live: ['rtmp.maxConnections', 'publish.keys', 'play.secrets'],
      forNew: ['hls.listedSegments'],
      restart: ['host', 'rtmp.port', 'storage.directory'],
    });
  });

  it('sees into lists and applications', () => {
    const members = (segmentDuration: number) => ({
      applications: { members: { hls: { segmentDuration } } },
    });
    expect(changes(members(2), members(4))).toEqual({
      live: [],
      forNew: ['applications.members.hls.segmentDuration'],
      restart: [],
    });
    expect(changes({}, { applications: { studio: { publish: { takeover: 'reject' } } } }).live).toEqual([
      'applications.studio.publish.takeover',
    ]);
    expect(changes({}, { applications: { studio: {} } }).live).toEqual(['applications']);
    expect(changes(members(2), members(2)).forNew).toEqual([]);
    expect(
      changes({ publish: { deny: ['::1', '::2'] } }, { publish: { deny: ['::2', '::1'] } }).live,
    ).toEqual(['publish.deny']);
  });
});
