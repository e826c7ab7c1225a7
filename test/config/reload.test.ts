import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { changesBetween } from '../../src/config/changes.ts';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { makeReload } from '../../src/config/reload.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-reload-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A gateway's configuration and log, and a file whose content is read with each `become`. */
function rig() {
  const file = join(folder, 'sluice.yaml');
  const log: string[] = [];
  const note = (level: string) => (fields: object, message: string) =>
    log.push([level, message, ...Object.values(fields)].join(': '));
  let holds = parseConfig({});
  const reload = makeReload({
    load: async () => (await loadConfig({ file, env: {}, flags: {} })).config,
    apply: (config) => {
      const changes = changesBetween(holds, config);
      holds = config;
      return changes;
    },
    log: { info: note('info'), warn: note('warn'), error: note('error') },
  });
  const become = async (text: string) => {
    writeFileSync(file, text);
    await reload();
    return log.splice(0);
  };
  return { become };
}

const INVALID = /^error: the changed configuration is not valid; the old one stays: SLUICE_CONFIG_INVALID: /;

it('says what changed, and nothing when nothing did', async () => {
  const { become } = rig();
  expect(await become('')).toEqual([]);
  expect(
    await become('publish: { graceWindow: 5 }\nhls: { segmentDuration: 4 }\nrtmp: { port: 1 }\n'),
  ).toEqual([
    'info: configuration changed: publish.graceWindow',
    'info: configuration changed for streams and encoders that begin from now on: hls.segmentDuration',
    'warn: these changes of the configuration need a restart: rtmp.port',
  ]);
});

it('says once that a file is valid again, also when it changes nothing', async () => {
  const { become } = rig();
  const good = 'publish: { graceWindow: 5 }\n';
  await become(good);
  expect(await become('publish: 3')).toEqual([expect.stringMatching(INVALID)]);
  expect(await become('publish: [')).toEqual([expect.stringMatching(INVALID)]);
  expect(await become(good)).toEqual(['info: the configuration is valid again']);
  expect(await become(`${good}# a comment\n`)).toEqual([]);
  await become('nothing: 1');
  expect(await become('')).toEqual([
    'info: the configuration is valid again',
    'info: configuration changed: publish.graceWindow',
  ]);
});
