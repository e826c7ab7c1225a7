import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { configurationDoc } from '../../scripts/configuration-doc.ts';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { OPTIONS } from '../../src/config/options.ts';

const DOCUMENT = new URL('../../docs/configuration.md', import.meta.url);

it('docs/configuration.md is what the schema says; `npm run docs` makes it', async () => {
  await expect(configurationDoc()).toMatchFileSnapshot(DOCUMENT.pathname);
});

it('every option is described, and what the entries of a list have', () => {
  for (const { key, description, fields } of OPTIONS) {
    expect(description, key).toMatch(/^[A-Z$].*\.$/s);
    for (const field of fields) expect(field.description, `${key} ${field.name}`).toMatch(/^[A-Z`].*\.$/s);
  }
  const fields = OPTIONS.flatMap((option) => option.fields.map(({ name }) => `${option.key} ${name}`));
  for (const field of ['publish.keys key', 'ladder gop', 'hooks timeout']) expect(fields).toContain(field);
});

it('every option has its variable, and how that is written', () => {
  const text = configurationDoc();
  for (const { key, variable } of OPTIONS) expect(text).toContain(`\n**\`${key}\`** \`${variable}\` (`);
  for (const variable of [
    'SLUICE_PUBLISH_KEYS',
    'SLUICE_TRANSCODE_CODECS',
    'SLUICE_APPLICATIONS',
    'SLUICE_HOOKS',
  ])
    expect(text).toContain(`\`${variable}\` (JSON) (`);
  for (const variable of ['SLUICE_LADDER', 'SLUICE_PUBLISH_ALLOW'])
    expect(text).toContain(`\`${variable}\` (commas or JSON) (`);
});

it('its variables are a valid configuration', async () => {
  const shell = /```sh\n(.*?)```/s.exec(configurationDoc())?.[1] ?? '';
  const env = Object.fromEntries(
    shell.split('\n').map((line) => [line.split('=')[0], line.replace(/^\w+=/, '').replaceAll("'", '')]),
  );
  const { origins } = await loadConfig({ file: null, env, flags: {} });
  expect([...origins.keys()]).toEqual(['publish.keys', 'applications', 'ladder']);
});

it('its example is a valid configuration', () => {
  const example = /```yaml\n(.*?)```/s.exec(configurationDoc())?.[1] ?? '';
  expect(Object.keys(parseConfig(parse(example)).applications)).toEqual(['members', 'studio']);
});
