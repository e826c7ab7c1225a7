import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { configurationDoc } from '../../scripts/configuration-doc.ts';
import { parseConfig } from '../../src/config/load.ts';
import { OPTIONS } from '../../src/config/options.ts';

const DOCUMENT = new URL('../../docs/configuration.md', import.meta.url);

it('docs/configuration.md is what the schema says; `npm run docs` makes it', async () => {
  await expect(configurationDoc()).toMatchFileSnapshot(DOCUMENT.pathname);
});

it('every option is described', () => {
  for (const { key, description } of OPTIONS) expect(description, key).toMatch(/^[A-Z$].*\.$/s);
});

it('its example is a valid configuration', () => {
  const example = /```yaml\n(.*?)```/s.exec(configurationDoc())?.[1] ?? '';
  expect(Object.keys(parseConfig(parse(example)).applications)).toEqual(['members', 'studio']);
});
