import { readFileSync } from 'node:fs';
import type { Document, ErrorCode, LineCounter } from 'yaml';
import { SluiceError } from '../media/errors.ts';
import { type ConfigTree, isTree } from './tree.ts';

export interface ConfigFile {
  readonly tree: ConfigTree;
  /** `sluice.yaml:3`. */
  readonly placeOf: (path: readonly string[]) => string;
}

/** @throws SluiceError SLUICE_CONFIG_UNREADABLE, or SLUICE_CONFIG_INVALID with the line */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const text = readText(path);
  // JSON is YAML too; the parser is loaded only when there is a file, to start faster.
  const { LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    throw invalid(`${path}:${line}`, syntaxFault(path, error.code));
  }
  const placeOf = (key: readonly string[]) => placeIn(document, lines, path, key);
  const tree = toTree(document, path);
  if (!isTree(tree)) {
    const found = Array.isArray(tree) ? 'a list' : 'only text or a number';
    const example = isJson(path)
      ? '{ "host": "127.0.0.1" }'
      : 'host: 127.0.0.1 (with a space behind the colon)';
    throw invalid(placeOf([]), `the file is ${found}, and must hold keys and values, such as ${example}`);
  }
  removeEmpty(tree, path);
  return { tree, placeOf };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new SluiceError(
      'SLUICE_CONFIG_UNREADABLE',
      `${path}: ${READ_FAULTS[code] ?? `it cannot be read (${code})`}`,
      {
        cause: error,
      },
    );
  }
}

const READ_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'this is a directory, not a file',
  EACCES: 'the user that runs Sluice may not read this file',
};

/** The parser's own messages quote the line, or the word: it may be a secret. */
function syntaxFault(path: string, code: ErrorCode): string {
  const fault = SYNTAX_FAULTS[code];
  if (!isJson(path)) {
    return `not valid YAML: ${fault ?? 'something is where it cannot be, and text with special characters needs quotes'}`;
  }
  // The parser reads YAML, and what it misses in JSON is seldom what is missing.
  const known = code === 'DUPLICATE_KEY' || code === 'BAD_DQ_ESCAPE';
  return `not valid JSON: ${known ? fault : 'here or on the line before or after it, a comma, colon, quote or bracket is missing or is one too many'}`;
}

const SYNTAX_FAULTS: { readonly [code in ErrorCode]?: string } = {
  BAD_DQ_ESCAPE: 'a backslash in double quotes must be written twice',
  BAD_INDENT: 'the indentation does not fit the lines before, or a bracket is not closed',
  BAD_SCALAR_START: 'text that begins with @, ` or % needs quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'two keys on one line, or one indented below a value: text with a colon in it needs quotes',
  DUPLICATE_KEY: 'this key is there a second time in its group',
  MISSING_CHAR: 'a quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY:
    'a line without a colon and a space between key and value, or with the wrong indentation',
  MULTIPLE_DOCS: 'a second document begins here (---): there can be only one',
  TAB_AS_INDENT: 'the line is indented with a tab: use spaces',
};

function isJson(path: string): boolean {
  return path.toLowerCase().endsWith('.json');
}

function toTree(document: Document, path: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch {
    throw invalid(
      path,
      'not valid YAML: an alias (*) that cannot be followed, and text that begins with * needs quotes',
    );
  }
}

/** The line of the deepest part of the path that the file has; where its content begins for the whole. */
function placeIn(document: Document, lines: LineCounter, file: string, path: readonly string[]): string {
  for (let length = path.length; length >= Math.min(1, path.length); length--) {
    const node: unknown = document.getIn(
      path.slice(0, length).map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
      true,
    );
    const start =
      typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
        ? Number(node.range[0])
        : null;
    if (start !== null) return `${file}:${lines.linePos(start).line}`;
  }
  return file;
}

/** A key with nothing behind it means the default. */
function removeEmpty(tree: ConfigTree, path: string, outer: readonly ConfigTree[] = []): void {
  if (outer.includes(tree)) throw invalid(path, 'an alias stands inside of what it repeats');
  for (const [key, value] of Object.entries(tree)) {
    if (value === null) delete tree[key];
    else if (isTree(value)) removeEmpty(value, path, [...outer, tree]);
  }
}

function invalid(place: string, reason: string): SluiceError {
  return new SluiceError('SLUICE_CONFIG_INVALID', `${place}: ${reason}`);
}
