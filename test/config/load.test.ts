// biome-ignore-all lint/suspicious/noTemplateCurlyInString: hooks write their variables so
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type ConfigSources, loadConfig, parseConfig } from '../../src/config/load.ts';
import { OPTIONS } from '../../src/config/options.ts';
import { settingsOf } from '../../src/config/schema.ts';

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
      publish: {
        takeover: 'newest',
        graceWindow: 60,
        maxStreams: 1000,
        keys: [],
        allow: [],
        deny: [],
        slate: 'none',
      },
      play: { secrets: [], allow: [], deny: [], listed: true },
      callback: { actions: ['publish'], timeout: 5, onError: 'deny' },
      hls: { segmentDuration: 2, maxSegmentDuration: 10, listedSegments: 6, silentAudio: false },
      transcode: {
        when: 'watched',
        idle: 30,
        encoder: 'libx264',
        preset: 'veryfast',
        audioBitrate: 128,
        codecs: {},
        maxJobs: 8,
        niceness: 5,
        threads: 0,
      },
      ladder: [],
      hooks: [],
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
      SLUICE_RTMP_PORT: 'tcp://10.0.0.1:1935',
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

  it('says what is wrong in its error and nowhere else', async () => {
    const warn = vi.spyOn(process, 'emitWarning');
    await expect(load({ file: fileWith('? { a: 1 }\n: 2') })).rejects.toMatchObject({
      code: 'SLUICE_CONFIG_INVALID',
    });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('refuses an alias that contains itself', async () => {
    await expect(load({ file: fileWith('hls: &x { a: *x }') })).rejects.toMatchObject({
      code: 'SLUICE_CONFIG_INVALID',
      message: expect.stringContaining('an alias stands inside of what it repeats'),
    });
  });

  it('refuses a variable that is no number where one is needed', async () => {
    await expect(load({ env: { SLUICE_RTMP_PORT: 'http' } })).rejects.toThrow(/rtmp\.port/);
  });
});

/** The message, a line for each problem. */
async function complaints(sources: Partial<ConfigSources>): Promise<string[]> {
  const error: unknown = await loadConfig({ file: null, env: {}, flags: {}, ...sources }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'SLUICE_CONFIG_INVALID' });
  return error instanceof Error ? error.message.split('; ').map((line) => line.replace(folder, '')) : [];
}

describe('origins', () => {
  it('say who set each option, and of nobody else', async () => {
    const file = fileWith('host: ::1\n\nrtmp:\n  port: 1\n  maxConnections: 5\nplay: { listed: false }\n');
    const { config, origins } = await loadConfig({
      file,
      env: { SLUICE_RTMP_PORT: '2', SLUICE_HTTP_PORT: '3', SLUICE_DEMO: '' },
      flags: { 'http.port': 4, host: '127.0.0.1' },
      system: {
        'storage.directory': { value: '/state', reason: 'STATE_DIRECTORY' },
        'rtmp.port': { value: 9, reason: 'never' },
      },
    });
    expect(config).toMatchObject({ host: '127.0.0.1', rtmp: { port: 2 }, http: { port: 4 } });
    expect(config.storage.directory).toBe('/state');
    expect(Object.fromEntries(origins)).toEqual({
      host: '--host',
      'rtmp.port': 'SLUICE_RTMP_PORT',
      'rtmp.maxConnections': `${file}:5`,
      'play.listed': `${file}:6`,
      'http.port': '--http-port',
      'storage.directory': 'STATE_DIRECTORY',
    });
  });

  it('a key with nothing behind it sets nothing', async () => {
    const { config, origins } = await loadConfig({
      file: fileWith('host:\nrtmp:\n  port:\nhls: ~\napi: {}\n'),
      env: {},
      flags: {},
    });
    expect(config).toEqual(parseConfig({}));
    expect([...origins.keys()]).toEqual([]);
  });
});

describe('a complaint', () => {
  it.each([
    ['rtmp:\n  prot: 1\n', '/sluice.yaml:2: rtmp.prot: there is no such option; did you mean rtmp.port?'],
    ['hls:\n  listedSegment: 9\n', 'did you mean hls.listedSegments?'],
    ['http:\n  trustproxy: []\n', 'did you mean http.trustProxy?'],
    ['quite:\n  different: 1\n', '/sluice.yaml:2: quite: there is no such option; see docs/configuration.md'],
    ['\n\nhls:\n\n  segmentDuration: 0\n', '/sluice.yaml:5: hls.segmentDuration: '],
    ['rtmp: 5\n', '/sluice.yaml:1: rtmp: must be a group of options'],
    ['demo: yes please\n', '/sluice.yaml:1: demo: must be true or false'],
    [
      'publish:\n  deny:\n    - 10.0.0.0/8\n    - nonsense\n',
      '/sluice.yaml:4: publish.deny.1: must be an address',
    ],
    [
      'publish:\n  keys:\n    - name: a/b\n      key: x\n',
      '/sluice.yaml:3: publish.keys.0.name: must be a name',
    ],
    [
      'publish:\n  keys:\n    - name: a\n      key: x\n',
      '/sluice.yaml:4: publish.keys.0.key: must be the hash',
    ],
    ['storage: { type: disk }\n', 'storage.directory: is needed'],
    [
      'applications:\n  a:\n    hls:\n      segmentDuratoin: 3\n',
      '/sluice.yaml:4: applications.a.hls.segmentDuratoin: there is no such option; did you mean applications.a.hls.segmentDuration?',
    ],
    [
      'applications:\n  a: {}\n  b:\n    play:\n      secrets:\n        - short\n',
      '/sluice.yaml:6: applications.b.play.secrets.0: must have at least 16 characters',
    ],
    [
      'applications:\n  a:\n    publish: { maxStreams: 2 }\n',
      'applications.a.publish.maxStreams: there is no',
    ],
    ['applications:\n  ../b: {}\n', '/sluice.yaml:2: applications.../b: is not the name of an application'],
    [
      'applications:\n  a:\n    hls: { segmentDuration: 20 }\n',
      'applications.a.hls.maxSegmentDuration: must not be less than segmentDuration',
    ],
    [
      'callback: { url: "http://x/", actions: [play] }\n',
      '/sluice.yaml:1: callback.actions: asking about play needs play.secrets',
    ],
  ])('about %j names the line and the fix', async (text, expected) => {
    expect((await complaints({ file: fileWith(text) })).join('; ')).toContain(expected);
  });

  it('names the variable or the flag that is wrong, not the file', async () => {
    const file = fileWith('rtmp: { port: 1 }\nhttp: { port: 2 }\n');
    expect(
      await complaints({ file, env: { SLUICE_RTMP_PORT: 'x' }, flags: { 'http.port': Number.NaN } }),
    ).toEqual([
      expect.stringMatching(/^SLUICE_RTMP_PORT: rtmp\.port: /),
      expect.stringMatching(/^--http-port: http\.port: /),
    ]);
  });

  it('names every problem at once', async () => {
    const all = (await complaints({ file: fileWith('a: 1\nb: 2\nhls: { listedSegments: x }\n') })).join('; ');
    for (const place of [':1: a: ', ':2: b: ', ':3: hls.listedSegments: ']) expect(all).toContain(place);
  });

  it('about text that is no YAML names the line', async () => {
    expect(await complaints({ file: fileWith('a: 1\nb: c: d\n') })).toEqual([
      expect.stringMatching(/^\/sluice\.yaml:2: not valid YAML: /),
    ]);
    expect(await complaints({ file: fileWith('host: *nobody\n') })).toEqual([
      expect.stringMatching(/^\/sluice\.yaml: not valid YAML: /),
    ]);
  });
});

describe('secrets', () => {
  const PLACES: ((secret: unknown) => unknown)[] = [
    (secret) => ({ api: { token: secret } }),
    (secret) => ({ play: { secrets: secret } }),
    (secret) => ({ play: { secrets: [secret] } }),
    (secret) => ({ play: { secrets: [{ value: secret }] } }),
    (secret) => ({ callback: { url: secret } }),
    (secret) => ({ callback: { url: `ftp://user:${secret}@host/` } }),
    (secret) => ({ applications: { a: { play: { secrets: [secret] } } } }),
    (secret) => ({ applications: { a: { callback: { url: secret, actions: ['play'] } } } }),
    (secret) => ({ api: secret }),
    (secret) => ({ play: [secret] }),
    (secret) => ({ publish: { keys: [{ name: 'a', key: secret }] } }),
  ];
  const mark = fc.stringMatching(/^[a-z]{12}$/).map((text) => `S3cr3t${text}`);

  it('are in no complaint, wherever and however wrong they are', () => {
    const dressed = fc.tuple(
      mark,
      fc.constantFrom('', ' ', '"', "'", '*', '&', '!', '{', '[', '- ', ': ', '#', '\n'),
    );
    fc.assert(
      fc.property(dressed, fc.constantFrom(...PLACES), fc.boolean(), ([secret, prefix], place, wrap) => {
        const value = wrap ? [`${prefix}${secret}`] : `${prefix}${secret}`;
        for (const input of [place(value), { wrong: 1, ...(place(value) as object) }]) {
          try {
            parseConfig(input);
          } catch (error) {
            expect(String(error)).not.toContain(secret);
          }
        }
      }),
    );
  });

  it('are in no complaint about a file that cannot be read, on that line or another', async () => {
    const lines = fc.constantFrom(
      'api: { token: %s }',
      'api:\n  token: %s: x',
      'api:\n  token: *%s',
      'api:\n  token: !%s',
      'api:\n  token: !<%s> x',
      'api:\n  token: &%s',
      'api:\n  token: "%s',
      'api:\n  token: "\\%s"',
      "api:\n  token: '%s",
      'api:\n  token: @%s',
      'api:\n  token: `%s',
      'api:\n  token: |%s',
      'api:\n\ttoken: %s',
      'api:\n  token: [%s',
      'api:\n  token: {%s',
      'api:\n  token: %s\n token: x',
      'play:\n  secrets:\n    - %s\n   - x',
      'play:\n  secrets: [%s, %s: ]]',
      '%%s\n---\na: 1',
      'api: { token: %s }\napi: { token: %s }',
      'a: &a [*a, %s]',
      '<<: %s',
    );
    await fc.assert(
      fc.asyncProperty(mark, lines, lines, async (secret, one, other) => {
        const text = `${one}\n${other}\n`.replaceAll('%s', secret);
        const error: unknown = await load({ file: fileWith(text, 'secret.yaml') }).catch(
          (reason: unknown) => reason,
        );
        if (error instanceof Error) expect(error.message).not.toContain(secret);
      }),
      { numRuns: 200 },
    );
  });

  it('are in no complaint about a variable', async () => {
    for (const [variable, value] of [
      ['SLUICE_API_TOKEN', 'S3cr3t,x'],
      ['SLUICE_PLAY_SECRETS', 'S3cr3t,x'],
      ['SLUICE_PLAY_SECRETS', '[S3cr3t'],
      ['SLUICE_CALLBACK_URL', 'S3cr3t,x'],
      ['SLUICE_PUBLISH_KEYS', 'S3cr3t'],
      ['SLUICE_PUBLISH_KEYS', '[{"name":"a","key":"S3cr3t"}]'],
      ['SLUICE_PUBLISH_KEYS', '[{"name":"a","key":"S3cr3t]'],
      ['SLUICE_APPLICATIONS', '{"a":{"play":{"secrets":["S3cr3t"]}}}'],
      ['SLUICE_APPLICATIONS', '{"a":{"play":{"secrets":["S3cr3t" "S3cr3t"]}}}'],
    ] as const) {
      const lines = await complaints({ env: { [variable]: value } });
      expect(lines.join('; ')).toContain(variable);
      expect(lines.join('; ')).not.toContain('S3cr3t');
    }
  });
});

describe('the environment', () => {
  it('has lists with commas', async () => {
    const config = await load({
      env: {
        SLUICE_PUBLISH_ALLOW: '10.0.0.0/8, ::1',
        SLUICE_PLAY_SECRETS: 'first-secret-of-two,second-secret-of-two',
        SLUICE_CALLBACK_ACTIONS: 'publish,play',
        SLUICE_CALLBACK_URL: 'http://a/?x=1,2',
      },
    });
    expect(config).toMatchObject({
      publish: { allow: ['10.0.0.0/8', '::1'] },
      play: { secrets: ['first-secret-of-two', 'second-secret-of-two'] },
      callback: { actions: ['publish', 'play'], url: 'http://a/?x=1,2' },
    });
  });

  it('keeps text that looks like a number', async () => {
    const { storage, api } = await load({
      env: { SLUICE_STORAGE_DIRECTORY: '1234', SLUICE_API_TOKEN: '1234567890123456' },
    });
    expect(storage.directory).toBe('1234');
    expect(api.token).toBe('1234567890123456');
  });

  it('can set every option, by a variable of its own', async () => {
    const values: Record<string, string> = {
      SLUICE_HOST: '::1',
      SLUICE_API_TOKEN: 'a-token-of-some-length',
      SLUICE_CALLBACK_URL: 'http://a/',
      SLUICE_TRANSCODE_FFMPEG: '/bin/ffmpeg',
      SLUICE_STORAGE_DIRECTORY: '/state',
      SLUICE_STORAGE_MAX_BYTES: '1000000000',
    };
    const env = Object.fromEntries(
      OPTIONS.map(({ variable, notation, example, default: value }) => [
        variable,
        values[variable] ?? (notation === 'JSON' ? exampleOf(example) : String(value) || '[]'),
      ]),
    );
    const { origins } = await loadConfig({ file: null, env, flags: {} });
    expect([...origins]).toEqual(OPTIONS.map(({ key, variable }) => [key, variable]));
    expect(new Set(origins.values()).size).toBe(OPTIONS.length);
  });
});

/** The hash is too long for the message that shows the example. */
const exampleOf = (example: string) => example.replace('…', '0a'.repeat(32));

describe('JSON in the environment', () => {
  const KEYS = [{ name: 'cam', key: `sha256:${'0a'.repeat(32)}` }];

  it('sets what is more than a list, over the file and all that it says of the option', async () => {
    const file = fileWith(
      `publish: { keys: [{ name: other, key: "sha256:${'1b'.repeat(32)}" }], graceWindow: 5 }
transcode: { codecs: { opus: drop }, idle: 9 }
applications: { a: { hls: { segmentDuration: 3 } }, b: {} }
ladder: [480p]
hooks: [{ on: ended, run: [x] }]
`,
    );
    const env = {
      SLUICE_PUBLISH_KEYS: JSON.stringify(KEYS),
      SLUICE_TRANSCODE_CODECS: '{ "hevc": "transcode" }',
      SLUICE_APPLICATIONS: '{"a":{"publish":{"takeover":"reject"}}}',
      SLUICE_LADDER: '\n ["720p", {"name": "low", "size": "480p"}]\n',
      SLUICE_HOOKS: '[{"on":"publish","run":["x","$name"]}]',
    };
    const config = await load({ file, env });
    expect(config).toMatchObject({ publish: { graceWindow: 5 }, transcode: { idle: 9 } });
    expect(config.publish.keys).toEqual(KEYS);
    expect(config.transcode.codecs).toEqual({ hevc: 'transcode' });
    expect(config.applications).toEqual({ a: { publish: { takeover: 'reject' } } });
    expect(config.ladder).toEqual(['720p', { name: 'low', size: '480p' }]);
    expect(config.hooks).toEqual([{ on: 'publish', run: ['x', '$name'] }]);
    expect((await load({ file, env: { SLUICE_PUBLISH_KEYS: '[]' } })).publish.keys).toEqual([]);
    expect((await load({ file, env: { SLUICE_PUBLISH_KEYS: '' } })).publish.keys).toHaveLength(1);
    expect(await load({ env: { SLUICE_LADDER: '720p, audio' } })).toMatchObject({
      ladder: ['720p', 'audio'],
    });
  });

  it('stands behind flags', async () => {
    const config = await load({
      env: { SLUICE_PUBLISH_KEYS: JSON.stringify(KEYS) },
      flags: { 'publish.keys': false },
    }).catch((error: unknown) => String(error));
    expect(config).toContain('--publish-keys: publish.keys: must be a list');
  });

  it('may be a list, which begins with a bracket, where commas would do', async () => {
    const env = { SLUICE_PLAY_SECRETS: '["a-secret,with-a-comma"]', SLUICE_PUBLISH_ALLOW: '["::1"]' };
    expect(await load({ env })).toMatchObject({
      play: { secrets: ['a-secret,with-a-comma'] },
      publish: { allow: ['::1'] },
    });
  });

  it.each(
    OPTIONS.filter(({ notation, key }) => notation === 'JSON' || key === 'ladder').map(
      ({ variable, key, example }) => [variable, key, exampleOf(example)],
    ),
  )('%s: its example is what %s then is', async (variable, key, example) => {
    const config = await load({ env: { [variable]: example } });
    const value = key.split('.').reduce<unknown>((tree, part) => Object(tree)[part], config);
    expect(value).toMatchObject(JSON.parse(example));
  });

  const SUCH_AS =
    '. It has to be such as [{"name":"cam","key":"sha256:…"}], in a shell with single quotes around it';
  it.each([
    ['cam', `publish.keys: is not valid JSON${SUCH_AS}`],
    [' ', `publish.keys: is not valid JSON${SUCH_AS}`],
    ["'[]'", `publish.keys: is not valid JSON${SUCH_AS}`],
    ['tcp://10.0.0.1:1935', `publish.keys: is not valid JSON${SUCH_AS}`],
    ['[{name:cam}]', `publish.keys: is not valid JSON${SUCH_AS}`],
    ['null', `publish.keys: must be a list in square brackets${SUCH_AS}`],
    ['{"name":"cam"}', `publish.keys: must be a list in square brackets${SUCH_AS}`],
    ['"cam"', `publish.keys: must be a list in square brackets${SUCH_AS}`],
    ['[null]', 'publish.keys.0: must be a group of options: name, key'],
    ['[{"name":"cam"}]', 'publish.keys.0.key: must be the hash of a key: `sluice key <name>` makes both'],
    [
      '[{"name":"cam","key":"x"}]',
      'publish.keys.0.key: must be the hash of a key: `sluice key <name>` makes both',
    ],
    [
      JSON.stringify([{ ...KEYS[0], keys: 1 }]),
      'publish.keys.0.keys: there is no such option; did you mean publish.keys.0.key?',
    ],
  ])('that is wrong says where and what to write: %s', async (text, message) => {
    const lines = await complaints({ env: { SLUICE_PUBLISH_KEYS: text } });
    expect(lines.join('; ')).toBe(`SLUICE_PUBLISH_KEYS: ${message}`);
  });

  it.each([
    ['SLUICE_TRANSCODE_CODECS', '[]', 'transcode.codecs: must be a group in braces. It has to be such as {'],
    ['SLUICE_APPLICATIONS', 'members', 'applications: is not valid JSON. It has to be such as {'],
    ['SLUICE_APPLICATIONS', '{"a":{"publish":null}}', 'applications.a.publish: must be a group of options'],
    ['SLUICE_APPLICATIONS', '{"a":{"publish":{"keys":{}}}}', 'applications.a.publish.keys: must be a list: '],
    ['SLUICE_HOOKS', '[{"on":"publish","run":"x"}]', 'hooks.0.run: must be a list: '],
    ['SLUICE_LADDER', '[720p,480p]', 'ladder: is not valid JSON. It has to be such as ["720p"'],
    ['SLUICE_LADDER', '["720p",{"name":"low","size":480}]', 'ladder.1.size: must be like 720p'],
    ['SLUICE_PUBLISH_ALLOW', '["10.0.0.0/8"', 'publish.allow: is not valid JSON. It has to be such as ['],
  ])('that is wrong stops the start: %s=%s', async (variable, text, message) => {
    const complaint = (await complaints({ env: { [variable]: text } })).join('; ');
    expect(complaint.slice(0, variable.length + 2 + message.length)).toBe(`${variable}: ${message}`);
  });
});

describe('applications', () => {
  it('have their own over the general settings', () => {
    const config = parseConfig({
      hls: { segmentDuration: 4 },
      publish: { graceWindow: 5, deny: ['10.0.0.1'] },
      applications: { 'a/b': { hls: { listedSegments: 9 }, publish: { deny: [] }, play: {} } },
    });
    expect(settingsOf(config, 'a/b')).toEqual({
      ...settingsOf(config, null),
      hls: { ...config.hls, listedSegments: 9 },
      publish: { ...config.publish, deny: [] },
    });
    // What publishers call themselves.
    for (const app of ['a', 'b', 'constructor', '__proto__', 'toString'])
      expect(settingsOf(config, app), app).toEqual(settingsOf(config, null));
  });
});

describe('hooks', () => {
  const problem = (hook: unknown) => {
    try {
      parseConfig({ hooks: [hook] });
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };

  it('may use the variables of nginx-rtmp', () => {
    expect(problem({ on: 'publish', run: ['x', '$app/$name?${args}', '$$'], timeout: 5 })).toBeNull();
  });

  it.each([
    [
      { on: 'publish', run: ['x', '$filename'] },
      /^hooks\.0\.run\.1: \$filename is not known: there are \$app/,
    ],
    [{ on: 'publish', run: ['$name'] }, /^hooks\.0\.run\.0: must be the same program for every stream/],
    [{ on: 'publish', run: [''] }, /^hooks\.0\.run\.0: must name a program/],
    [{ on: 'publish', run: [] }, /^hooks\.0\.run: /],
    [{ on: 'live', run: ['x'], timeout: 5 }, /^hooks\.0\.timeout: is not for `live`/],
    [{ on: 'play', run: ['x'] }, /^hooks\.0\.on: /],
  ])('are checked: %j', (hook, message) => {
    expect(problem(hook)).toMatch(message);
  });

  it('are checked in applications too, with their place', () => {
    expect(() =>
      parseConfig({ applications: { a: { hooks: [{ on: 'publish', run: ['x', '$y'] }] } } }),
    ).toThrow(/applications\.a\.hooks\.0\.run\.1: \$y is not known/);
  });
});
