import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readConfigFile } from '../../src/config/file.ts';
import { SluiceError } from '../../src/media/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function complaint(path: string): Promise<string> {
  const error: unknown = await readConfigFile(path).catch((reason: unknown) => reason);
  if (!(error instanceof SluiceError)) throw error;
  return `${error.code} ${error.message.replace(`${folder}/`, '')}`;
}

function complaintAbout(text: string, name: string): Promise<string> {
  writeFileSync(join(folder, name), text);
  return complaint(join(folder, name));
}

describe('a file that cannot be read', () => {
  it('is not there', async () => {
    const expected = 'SLUICE_CONFIG_UNREADABLE none.yaml: there is no such file';
    expect(await complaint(join(folder, 'none.yaml'))).toBe(expected);
    writeFileSync(join(folder, 'file'), '');
    expect(await complaint(join(folder, 'file/below'))).toContain('there is no such file');
  });

  it('is a directory', async () => {
    mkdirSync(join(folder, 'directory'));
    expect(await complaint(join(folder, 'directory'))).toBe(
      'SLUICE_CONFIG_UNREADABLE directory: this is a directory, not a file',
    );
  });

  it.skipIf(process.getuid?.() === 0)('belongs to somebody else', async () => {
    const path = join(folder, 'closed.yaml');
    writeFileSync(path, 'demo: true');
    chmodSync(path, 0);
    expect(await complaint(path)).toContain('the user that runs Sluice may not read this file');
  });

  it('has a name that no file can have', async () => {
    expect(await complaint(join(folder, 'x'.repeat(300)))).toMatch(/: it cannot be read \(ENAMETOOLONG\)$/);
  });
});

const JSON_FAULT =
  'not valid JSON: here or on the line before or after it, a comma, colon, quote or bracket is missing or is one too many';

describe('what is wrong in a file', () => {
  it.each([
    ['{"rtmp": {"port": 1},\n "http": {"port": 2}', `2: ${JSON_FAULT}`],
    ['{"rtmp": {"port": 1}\n "http": {"port": 2}}', `2: ${JSON_FAULT}`],
    ['{\n "host" "::1"\n}', `2: ${JSON_FAULT}`],
    ['{"demo": true}}', `1: ${JSON_FAULT}`],
    ['{"host": "a",\n "host": "b"}', '2: not valid JSON: this key is there a second time in its group'],
    ['{\n"host": "C:\\path"}', '2: not valid JSON: a backslash in double quotes must be written twice'],
    ['\n["a"]', '2: the file is a list, and must hold keys and values, such as { "host": "127.0.0.1" }'],
  ])('in JSON: %j', async (text, expected) => {
    expect(await complaintAbout(text, 'a.json')).toBe(`SLUICE_CONFIG_INVALID a.json:${expected}`);
  });

  it.each([
    ['rtmp:\n\tport: 1', '2: not valid YAML: the line is indented with a tab: use spaces'],
    ['a: 1\nb: "x', '2: not valid YAML: a quote, bracket, comma or colon is missing'],
    ['a: 1\na: 2', '2: not valid YAML: this key is there a second time'],
    ['rtmp:\n  port: 1\n maxConnections: 2', '3: not valid YAML: the indentation does not fit'],
    ['rtmp\nport: 1', '1: not valid YAML: a line without a colon'],
    ['a: b: c', '1: not valid YAML: two keys on one line'],
    ['a: %x', '1: not valid YAML: text that begins with @, ` or % needs quotes'],
    ['a: ]', '1: not valid YAML: something is where it cannot be'],
    ['# x\n\n- a list', '3: the file is a list, and must hold keys and values, such as host: 127.0.0.1'],
    ['port 1935', '1: the file is only text or a number, and must hold keys and values'],
  ])('in YAML: %j', async (text, expected) => {
    expect(await complaintAbout(text, 'a.yaml')).toContain(`SLUICE_CONFIG_INVALID a.yaml:${expected}`);
  });
});
