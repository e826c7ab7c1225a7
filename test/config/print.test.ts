import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { OPTIONS } from '../../src/config/options.ts';
import { printConfig } from '../../src/config/print.ts';
import type { Config, ConfigInput } from '../../src/config/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-print-'));
afterAll(() => rmSync(folder, { recursive: true }));

function print(config: Config): string {
  return printConfig({ config, origins: new Map() });
}

/** As the command reads it when somebody keeps it as a file. */
async function readBack(text: string): Promise<Config> {
  const file = join(folder, 'printed.yaml');
  writeFileSync(file, text);
  return (await loadConfig({ file, env: {}, flags: {} })).config;
}

const text = fc.oneof(fc.string({ minLength: 1 }), fc.string({ minLength: 60, maxLength: 200 }), fc.lorem());
const range = fc.oneof(
  fc.ipV4(),
  fc.ipV4Extended().filter((t) => /^\d+(\.\d+){3}$/.test(t)),
  fc.ipV6(),
);
const ranges = fc.array(
  range.filter((address) => {
    try {
      parseConfig({ publish: { allow: [address] } });
      return true;
    } catch {
      return false;
    }
  }),
  { maxLength: 4 },
);
const app = fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8})?$/);
const own = fc.record(
  {
    publish: fc.record({ allow: ranges, takeover: fc.constantFrom('newest' as const, 'reject' as const) }),
    hls: fc.record({ listedSegments: fc.integer({ min: 6, max: 1000 }) }),
    play: fc.record({ listed: fc.boolean() }),
  },
  { requiredKeys: [] },
);
const anyInput: fc.Arbitrary<ConfigInput> = fc.record(
  {
    host: text,
    demo: fc.boolean(),
    rtmp: fc.record({
      port: fc.integer({ min: 0, max: 65_535 }),
      idleTimeout: fc.double({ min: 0.1, max: 1e6, noNaN: true }),
    }),
    publish: fc.record({
      allow: ranges,
      deny: ranges,
      keys: fc.array(
        fc.record({ name: fc.stringMatching(/^[a-z]{1,9}$/), key: fc.constant(`sha256:${'0a'.repeat(32)}`) }),
      ),
    }),
    storage: fc.record({ directory: text }),
    applications: fc.dictionary(
      fc.oneof(app, fc.constantFrom('url', 'secrets', 'token', 'play', '5', 'true', 'null', '~')),
      own,
    ),
  },
  { requiredKeys: [] },
);

describe('printConfig', () => {
  it('gives the same configuration back where nothing is masked', async () => {
    await fc.assert(
      fc.asyncProperty(anyInput, async (input) => {
        const config = parseConfig(input);
        expect(await readBack(print(config))).toEqual(config);
      }),
      { numRuns: 300 },
    );
  });

  it('has every option, with its value or its name', async () => {
    const printed = print(parseConfig({}));
    expect(await readBack(printed)).toEqual(parseConfig({}));
    for (const { key } of OPTIONS)
      expect(printed).toMatch(new RegExp(`^ *(# )?${key.split('.').at(-1)}:`, 'm'));
  });

  it('shows that a secret is set, and nothing of it', () => {
    const mark = fc.stringMatching(/^[A-Za-z0-9]{16,40}$/).map((tail) => `S3cr3t${tail}`);
    fc.assert(
      fc.property(
        mark,
        fc.constantFrom('members', 'url', 'secrets', 'token', 'a/b', 'play'),
        (secret, name) => {
          const play = { secrets: [secret, `${secret}2`] };
          const callback = { url: `https://user:${secret}@host/${secret}?key=${secret}` };
          const config = parseConfig({
            api: { token: secret },
            play,
            callback,
            applications: { [name]: { play, callback }, other: { play } },
          });
          const printed = print(config);
          expect(printed).not.toContain('S3cr3t');
          expect(parse(printed)).toMatchObject({
            api: { token: '********' },
            play: { secrets: ['********', '********'] },
            callback: { url: '********' },
            applications: {
              [name]: { play: { secrets: ['********', '********'] }, callback: { url: '********' } },
            },
          });
        },
      ),
    );
  });

  it('shows which programs hooks run, and none of their arguments', () => {
    const hooks = [
      {
        on: 'publish' as const,
        run: ['curl', '-H', 'Authorization: Bearer S3cr3t', 'https://u:S3cr3t@host/$name'],
      },
      { on: 'live' as const, run: ['record'] },
    ];
    const printed = print(parseConfig({ hooks, applications: { members: { hooks }, hooks: { hooks } } }));
    expect(printed).not.toContain('S3cr3t');
    const shown = [
      { on: 'publish', run: ['curl', '********', '********', '********'] },
      { on: 'live', run: ['record'] },
    ];
    expect(parse(printed)).toMatchObject({
      hooks: shown,
      applications: { members: { hooks: shown }, hooks: { hooks: shown } },
    });
  });

  it('masks the same of what came as JSON from the environment, and names the variable', async () => {
    const env = {
      SLUICE_PUBLISH_KEYS: JSON.stringify([{ name: 'cam', key: `sha256:${'0a'.repeat(32)}` }]),
      SLUICE_HOOKS: '[{"on":"publish","run":["curl","S3cr3t"]}]',
      SLUICE_PLAY_SECRETS: '["S3cr3t-with,a-comma"]',
      SLUICE_APPLICATIONS: JSON.stringify({
        a: {
          play: { secrets: ['S3cr3t-of-an-application'] },
          callback: { url: 'https://S3cr3t@host/' },
          hooks: [{ on: 'ended', run: ['tell', 'S3cr3t'] }],
        },
      }),
    };
    const printed = printConfig(await loadConfig({ file: null, env, flags: {} }));
    expect(printed).not.toContain('S3cr3t');
    expect(parse(printed)).toMatchObject({
      publish: { keys: [{ name: 'cam' }] },
      hooks: [{ on: 'publish', run: ['curl', '********'] }],
      play: { secrets: ['********'] },
      applications: { a: { play: { secrets: ['********'] }, callback: { url: '********' } } },
    });
    for (const [key, variable] of [
      ['keys', 'SLUICE_PUBLISH_KEYS'],
      ['hooks', 'SLUICE_HOOKS'],
      ['secrets', 'SLUICE_PLAY_SECRETS'],
      ['applications', 'SLUICE_APPLICATIONS'],
    ])
      expect(printed).toMatch(new RegExp(`^ *${key}: +# ${variable}$`, 'm'));
  });

  it('says where each value comes from, and which variable would set it', async () => {
    const file = join(folder, 'sluice.yaml');
    writeFileSync(file, 'rtmp:\n  port: 1936\nplay:\n  secrets:\n    - a-secret-of-some-length\n');
    const printed = printConfig(
      await loadConfig({
        file,
        env: { SLUICE_DEMO: 'true' },
        flags: { 'http.port': 81 },
        system: { 'storage.maxBytes': { value: 1e9, reason: 'half of the memory' } },
      }),
    );
    const line = (start: string) =>
      printed
        .split('\n')
        .find((candidate) => candidate.trimStart().startsWith(start))
        ?.trim()
        .replaceAll(/ +/g, ' ');
    expect(line('port: 1936')).toBe(`port: 1936 # ${file}:2`);
    expect(line('port: 81')).toBe('port: 81 # --http-port');
    expect(line('demo')).toBe('demo: true # SLUICE_DEMO');
    expect(line('maxBytes')).toBe('maxBytes: 1000000000 # half of the memory');
    expect(line('secrets')).toBe(`secrets: # ${file}:5`);
    expect(line('takeover')).toBe('takeover: newest # default, SLUICE_PUBLISH_TAKEOVER');
    expect(line('# token')).toBe('# token: # default, SLUICE_API_TOKEN');
    expect(line('applications')).toBe('applications: {} # default, SLUICE_APPLICATIONS');
  });
});
