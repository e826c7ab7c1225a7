import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ConfigSources, loadConfig, parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';

const RUNG =
  'must be 2160p, 1440p, 1080p, 720p, 540p, 480p, 360p, 240p, 160p or audio, or { name, size, bitrate, fps, codec, encoder, preset, profile, gop }';

const folder = mkdtempSync(join(tmpdir(), 'sluice-problems-'));
afterAll(() => rmSync(folder, { recursive: true }));

function problemsOf(input: unknown): string[] {
  try {
    parseConfig(input);
  } catch (error) {
    return error instanceof Error ? error.message.split('; ') : [];
  }
  return [];
}

async function complaint(sources: Partial<ConfigSources>): Promise<string> {
  const error: unknown = await loadConfig({ file: null, env: {}, flags: {}, ...sources }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'SLUICE_CONFIG_INVALID' });
  return error instanceof Error ? error.message.replaceAll(folder, '') : '';
}

describe('a value that does not fit says what does', () => {
  it.each<[unknown, string]>([
    [{ ladder: ['720q'] }, `ladder.0: ${RUNG}`],
    [{ ladder: ['720p', 3] }, `ladder.1: ${RUNG}`],
    [{ ladder: [['720p']] }, `ladder.0: ${RUNG}`],
    [{ ladder: [{ name: 'x', size: 100 }] }, 'ladder.0.size: must be like 720p or 1280x720'],
    [{ ladder: [{ name: 'x' }] }, 'ladder.0.size: must be like 720p or 1280x720'],
    [{ ladder: [{ size: '720p' }] }, 'ladder.0.name: is missing: it must be text'],
    [{ ladder: [{ name: 'x', size: '720p', fps: 'fast' }] }, 'ladder.0.fps: must be a number from 1 to 120'],
    [{ ladder: Array(9).fill('720p') }, 'ladder: must have at most 8 entries'],
    [
      { applications: { a: { ladder: [{ name: 'x', size: 1 }] } } },
      'applications.a.ladder.0.size: must be like',
    ],
    [
      { http: { trustProxy: '10.0.0.1' } },
      'http.trustProxy: must be a list: write it in square brackets, as in ["first", "second"] or ["first"]',
    ],
    [
      { hooks: { on: 'publish', run: ['x'] } },
      'hooks: must be a list: begin each of its entries with a dash (-), or put square brackets around all',
    ],
    [{ hooks: [{ on: 'publish', run: [] }] }, 'hooks.0.run: must have at least 1 entry'],
    [
      { hooks: [{ run: ['x'] }] },
      'hooks.0.on: is missing: it must be publish, publish-done, ready, ended or live',
    ],
    [{ publish: { deny: [10] } }, 'publish.deny.0: must be an address or a range such as 192.0.2.0/24'],
    [{ publish: { keys: [{ name: 'a', key: 5 }] } }, 'publish.keys.0.key: must be the hash of a key'],
    [{ api: { token: 12_345_678_901_234 } }, 'api.token: must be text: put it in quotes'],
    [{ host: true }, 'host: must be text: put it in quotes'],
    [{ host: ['::1'] }, 'host: must be text'],
    [{ host: '' }, 'host: must not be empty'],
    [{ demo: 'yes' }, 'demo: must be true or false'],
    [{ rtmp: { port: 'x' } }, 'rtmp.port: must be a whole number from 0 to 65535'],
    [{ rtmp: { port: 1.5 } }, 'rtmp.port: must be a whole number from 0 to 65535'],
    [{ rtmp: { port: 65_536 } }, 'rtmp.port: must be a whole number from 0 to 65535'],
    [{ rtmp: { maxConnections: 0 } }, 'rtmp.maxConnections: must be a whole number from 1'],
    [{ rtmp: { idleTimeout: 0 } }, 'rtmp.idleTimeout: must be a number above 0'],
    [{ callback: { timeout: 61 } }, 'callback.timeout: must be a number above 0, 60 at most'],
    [{ callback: { actions: ['watch'] } }, 'callback.actions.0: must be publish or play'],
    [
      { transcode: { preset: 'Very Fast' } },
      'transcode.preset: must be small letters, digits and underscores',
    ],
    [{ rtmp: 3 }, 'rtmp: must be a group of options: port, maxConnections, handshakeTimeout, idleTimeout'],
    [{ play: ['a'] }, 'play: must be a group of options: secrets, allow, deny, listed'],
    [{ transcode: { codecs: 'remux' } }, 'transcode.codecs: must be a group of options: h264, hevc,'],
    [
      { transcode: { codecs: { hevc: 'yes' } } },
      'transcode.codecs.hevc: must be remux, transcode, drop or reject',
    ],
    [{ applications: [] }, 'applications: must be a group of names with options below each'],
    [{ applications: { a: 1 } }, 'applications.a: must be a group of options: publish, play,'],
    [
      { applications: { 'a b': {} } },
      'applications.a b: is not the name of an application: those have letters',
    ],
    [[], 'the configuration: must be a group of options: host, rtmp,'],
  ])('%j: %s', (input, expected) => {
    expect(problemsOf(input)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('a key that is not known says which is', () => {
  it.each<[unknown, string]>([
    [
      { transcode: { codecs: { h265: 'remux' } } },
      'transcode.codecs.h265: there is no such option; there are h264, hevc, vvc,',
    ],
    [
      { applications: { a: { transcode: { codecs: { h265: 'drop' } } } } },
      'applications.a.transcode.codecs.h265: there is no such option; there are h264, hevc,',
    ],
    [
      { ladder: [{ name: 'x', size: '720p', bitrates: 3 }] },
      'ladder.0.bitrates: there is no such option; did you mean ladder.0.bitrate?',
    ],
    [
      { hooks: [{ on: 'live', run: ['x'], shell: true }] },
      'hooks.0.shell: there is no such option; there are on, run, timeout',
    ],
    [
      { rtmp: { xyzzy: 1 } },
      'rtmp.xyzzy: there is no such option; there are port, maxConnections, handshakeTimeout, idleTimeout',
    ],
    [{ port: 1935 }, 'port: there is no such option; did you mean rtmp.port or http.port?'],
    [{ play: { takeover: 'newest' } }, 'did you mean publish.takeover?'],
    [{ applications: { a: { publish: { listed: true } } } }, 'did you mean applications.a.play.listed?'],
    [{ constructor: {} }, 'constructor: there is no such option; see docs/configuration.md'],
  ])('%j: %s', (input, expected) => {
    expect(problemsOf(input).join('; ')).toContain(expected);
  });
});

describe('the place of a mistake', () => {
  it.each<[string, string]>([
    ['\nrtmp: 3\n', '/sluice.yaml:2: rtmp: must be a group'],
    ['\nhls:\n  - 1\n', '/sluice.yaml:3: hls: must be a group'],
    [
      '# which\n\nladder:\n  - 720p\n  - name: x\n    size: 5\n',
      '/sluice.yaml:6: ladder.1.size: must be like',
    ],
  ])('in the file %j: %s', async (text, expected) => {
    const file = join(folder, 'sluice.yaml');
    writeFileSync(file, text);
    expect(await complaint({ file })).toContain(expected);
  });

  it('of a group that is none stays, whoever sets something in it', async () => {
    const file = join(folder, 'sluice.yaml');
    writeFileSync(file, 'host: ::1\nstorage: disk\nrtmp: 3\n');
    const system = { 'storage.directory': { value: '/state', reason: 'default' } };
    const text = await complaint({
      file,
      env: { SLUICE_RTMP_PORT: '5' },
      flags: { 'rtmp.port': '6' },
      system,
    });
    expect(text).toContain('/sluice.yaml:2: storage: must be a group');
    expect(text).toContain('/sluice.yaml:3: rtmp: must be a group');
  });

  it('of what the file has no line for is the file', async () => {
    const file = join(folder, 'sluice.yaml');
    writeFileSync(file, 'host: ::1\n');
    const text = await complaint({ file, env: { SLUICE_STORAGE_TYPE: 'disk' } });
    expect(text).toBe('/sluice.yaml: storage.directory: is needed for storage.type "disk"');
  });

  it.each(['abc', '', ' ', 'true', '1935x', '-1'])('of --rtmp-port %j', async (typed) => {
    expect(await complaint({ flags: { 'rtmp.port': typed } })).toBe(
      '--rtmp-port: rtmp.port: must be a whole number from 0 to 65535',
    );
  });

  it.each([
    ['SLUICE_HTTP_PORT', 'abc', 'http.port: must be a whole number from 0 to 65535'],
    ['SLUICE_DEMO', 'yes', 'demo: must be true or false'],
    ['SLUICE_LADDER', '720p,480x', `ladder.1: ${RUNG}`],
    ['SLUICE_PUBLISH_TAKEOVER', 'oldest', 'publish.takeover: must be newest or reject'],
  ])('of %s', async (variable, value, expected) => {
    expect(await complaint({ env: { [variable]: value } })).toBe(`${variable}: ${expected}`);
  });
});

it('flags come as text', async () => {
  const flags = { 'rtmp.port': '0', 'http.port': 81, host: '1234', demo: true };
  const expected: ConfigInput = { rtmp: { port: 0 }, http: { port: 81 }, host: '1234', demo: true };
  expect((await loadConfig({ file: null, env: {}, flags })).config).toEqual(parseConfig(expected));
});
