import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ConfigSources, loadConfig, parseConfig } from '../../src/config/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(text: string, name = 'sluice.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function load(sources: Partial<ConfigSources>) {
  return (await loadConfig({ file: null, env: {}, flags: {}, ...sources })).config;
}

describe('parseConfig', () => {
  it('fills in every default', () => {
    expect(parseConfig({})).toEqual({
      rtmp: { port: 1935, maxConnections: 1000, handshakeTimeout: 10, idleTimeout: 30 },
      http: { port: 8080, idleTimeout: 60, trustProxy: [] },
      api: {},
      publish: { takeover: 'newest', graceWindow: 60, maxStreams: 1000, keys: [], allow: [], deny: [] },
      play: { secrets: [], allow: [], deny: [], listed: true },
      callback: { actions: ['publish'], timeout: 5, onError: 'deny' },
      hls: { segmentDuration: 2, maxSegmentDuration: 10, listedSegments: 6 },
      storage: { type: 'memory', maxAge: 3600 },
      applications: {},
      demo: false,
    });
  });

  it.each([
    [{ rtmp: { prot: 1935 } }, /rtmp.*prot/],
    [{ rtmp: { port: 70_000 } }, /rtmp\.port/],
    [{ rtmp: { port: Number.NaN } }, /rtmp\.port/],
    [{ api: { token: '' } }, /api\.token/],
    [{ api: { token: 'a b' } }, /api\.token.*spaces/],
    [{ publish: { takeover: 'oldest' } }, /publish\.takeover.*newest/],
    [{ hls: { listedSegments: 3 } }, /hls\.listedSegments/],
    [{ hls: { segmentDuration: 12 } }, /hls\.maxSegmentDuration: must not be less/],
    ['text', /the configuration/],
  ])('names the place of what is wrong in %j', (input, place) => {
    expect(() => parseConfig(input)).toThrow(expect.objectContaining({ code: 'SLUICE_CONFIG_INVALID' }));
    expect(() => parseConfig(input)).toThrow(place);
  });
});

describe('loadConfig', () => {
  it('takes the file, the environment over it and the flags over both', async () => {
    const file = fileWith('rtmp: { port: 1, maxConnections: 5 }\nhttp: { port: 2 }\nhost: 127.0.0.1\n');
    const config = await load({
      file,
      env: { SLUICE_HTTP_PORT: '3', SLUICE_RTMP_PORT: '4', SLUICE_HLS_SEGMENT_DURATION: '4' },
      flags: { 'rtmp.port': 0 },
    });
    expect(config).toMatchObject({
      host: '127.0.0.1',
      rtmp: { port: 0, maxConnections: 5 },
      http: { port: 3 },
      hls: { segmentDuration: 4 },
    });
  });

  it('reads JSON, and an empty file as no options', async () => {
    expect(await load({ file: fileWith('{"http": {"port": 81}}', 'a.json') })).toMatchObject({
      http: { port: 81 },
    });
    expect(await load({ file: fileWith('') })).toEqual(parseConfig({}));
  });

  it('knows a variable for every option and leaves strangers alone', async () => {
    const env = {
      SLUICE_HOST: '::1',
      SLUICE_DEMO: 'true',
      SLUICE_PUBLISH_GRACE_WINDOW: '5',
      SLUICE_RTMP_MAX_CONNECTIONS: '9',
      SLUICE_SERVICE_HOST: '10.0.0.1',
      PATH: '/bin',
    };
    expect(await load({ env })).toMatchObject({
      host: '::1',
      demo: true,
      publish: { graceWindow: 5 },
      rtmp: { maxConnections: 9 },
    });
  });

  it.each([
    [() => '/nowhere/sluice.yaml', /\/nowhere\/sluice\.yaml/],
    [() => fileWith('- a list'), /keys and values/],
    [() => fileWith('rtmp: [unclosed'), /sluice\.yaml/],
  ])('says what is wrong with the file', async (file, message) => {
    await expect(load({ file: file() })).rejects.toThrow(message);
  });

  it('refuses a variable that is no number where one is needed', async () => {
    await expect(load({ env: { SLUICE_RTMP_PORT: 'http' } })).rejects.toThrow(/rtmp\.port/);
  });
});
