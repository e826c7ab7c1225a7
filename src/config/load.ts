import { readFileSync } from 'node:fs';
import type { Document, LineCounter } from 'yaml';
import { SluiceError } from '../media/errors.ts';
import { nearest } from './nearest.ts';
import { OPTIONS, type Option } from './options.ts';
import { type Config, configSchema } from './schema.ts';

/** Kubernetes sets SLUICE_RTMP_PORT to tcp://10.0.0.1:1935 when there is a service named sluice-rtmp. */
const KUBERNETES_SERVICE = /^tcp:\/\/[\d.:[\]a-f]+$/;

export interface ConfigSources {
  /** Path of a YAML or JSON file, or null. */
  readonly file: string | null;
  /** Environment variables; those that begin with SLUICE_ count. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Dotted keys from the command line. */
  readonly flags: Readonly<Record<string, string | number | boolean>>;
  /** Dotted keys that hold where nobody says anything else, with the reason; what is known of the machine. */
  readonly system?: Readonly<Record<string, { readonly value: string | number; readonly reason: string }>>;
}

/** The effective configuration, and for each key that somebody set, who: `sluice.yaml:3`, `--rtmp-port`. */
export interface LoadedConfig {
  readonly config: Config;
  readonly origins: ReadonlyMap<string, string>;
}

/** @throws SluiceError SLUICE_CONFIG_INVALID that names each wrong key */
export function parseConfig(input: unknown): Config {
  return validate(input, () => null);
}

/**
 * Reads the file, then the environment over it, then the flags over both.
 *
 * @throws SluiceError SLUICE_CONFIG_INVALID that names the places
 */
export async function loadConfig({ file, env, flags, system = {} }: ConfigSources): Promise<LoadedConfig> {
  const fromFile = file === null ? null : await readConfigFile(file);
  const tree: ConfigTree = fromFile?.tree ?? {};
  const origins = new Map<string, string>();
  for (const key of leafKeys(tree)) origins.set(key, fromFile?.placeOf(key.split('.')) ?? String(file));
  for (const option of OPTIONS) {
    // Unknown variables are left alone: Kubernetes sets SLUICE_SERVICE_HOST and the like for a service of this name.
    const text = option.variable === null ? undefined : env[option.variable];
    if (text === undefined || text === '' || KUBERNETES_SERVICE.test(text)) continue;
    setKey(tree, option.key, valueFrom(option, text));
    origins.set(option.key, String(option.variable));
  }
  for (const [key, value] of Object.entries(flags)) {
    setKey(tree, key, value);
    origins.set(key, `--${key.replace('.', '-')}`);
  }
  for (const [key, { value, reason }] of Object.entries(system)) {
    if (origins.has(key)) continue;
    setKey(tree, key, value);
    origins.set(key, reason);
  }
  const placeOf = (path: readonly string[]) => {
    for (let length = path.length; length > 0; length--) {
      const key = path.slice(0, length);
      const origin = origins.get(key.join('.'));
      if (origin === undefined) continue;
      // The file knows the line of every part of what it set.
      return fromFile !== null && origin === fromFile.placeOf(key) ? fromFile.placeOf(path) : origin;
    }
    return fromFile?.placeOf(path) ?? null;
  };
  return { config: validate(tree, placeOf), origins };
}

interface ConfigTree {
  [key: string]: ConfigTree | string[] | string | number | boolean | null;
}

interface ConfigFile {
  readonly tree: ConfigTree;
  /** `sluice.yaml:3`. */
  readonly placeOf: (path: readonly string[]) => string;
}

function validate(input: unknown, placeOf: (path: readonly string[]) => string | null): Config {
  const result = configSchema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code === 'invalid_key') {
      return [problem(path, issue.issues[0]?.message ?? issue.message, placeOf(path))];
    }
    if (issue.code !== 'unrecognized_keys') return [problem(path, issue.message, placeOf(path))];
    return issue.keys.map((key) => {
      const similar = nearestOption([...path, key]);
      const hint = similar === null ? 'see docs/configuration.md' : `did you mean ${similar}?`;
      return problem([...path, key], `there is no such option; ${hint}`, placeOf([...path, key]));
    });
  });
  throw new SluiceError('SLUICE_CONFIG_INVALID', problems.join('; '));
}

/** The option that was probably meant; in an application, one that it may have. */
function nearestOption(path: readonly string[]): string | null {
  const place = path[0] === 'applications' ? path.slice(0, 2) : [];
  const known = OPTIONS.filter((option) => place.length === 0 || option.perApplication);
  const similar = nearest(
    path.slice(place.length).join('.'),
    known.map((option) => option.key),
  );
  return similar === null ? null : [...place, similar].join('.');
}

/** The value itself is never quoted: it may be a secret. */
function problem(path: readonly string[], message: string, place: string | null): string {
  const name = path.length === 0 ? 'the configuration' : path.join('.');
  return `${place === null ? '' : `${place}: `}${name}: ${message}`;
}

async function readConfigFile(path: string): Promise<ConfigFile> {
  try {
    const text = readFileSync(path, 'utf8');
    // JSON is YAML too; the parser is loaded only when there is a file, to start faster.
    const { LineCounter, parseDocument } = await import('yaml');
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, logLevel: 'error' });
    const [error] = document.errors;
    if (error !== undefined) {
      const { line } = lines.linePos(error.pos[0]);
      throw new SluiceError(
        'SLUICE_CONFIG_INVALID',
        `${path}:${line}: not valid YAML: ${inWords(error.code)}`,
      );
    }
    const tree: unknown = toTree(document) ?? {};
    if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
      throw new Error('it must hold keys and values');
    }
    removeEmpty(tree as ConfigTree);
    return { tree: tree as ConfigTree, placeOf: (key) => placeIn(document, lines, path, key) };
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new SluiceError('SLUICE_CONFIG_INVALID', `${path}: ${reason}`, { cause: error });
  }
}

/** The parser's own messages quote the line, or the word: it may be a secret. */
function inWords(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

function toTree(document: Document): unknown {
  try {
    return document.toJS();
  } catch {
    throw new Error('not valid YAML: an alias (*) that cannot be followed');
  }
}

/** The line of the deepest part of the path that the file has. */
function placeIn(document: Document, lines: LineCounter, file: string, path: readonly string[]): string {
  for (let length = path.length; length > 0; length--) {
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
function removeEmpty(tree: ConfigTree, outer: readonly ConfigTree[] = []): void {
  if (outer.includes(tree)) throw new Error('an alias stands inside of what it repeats');
  for (const [key, value] of Object.entries(tree)) {
    if (value === null) delete tree[key];
    else if (isTree(value)) removeEmpty(value, [...outer, tree]);
  }
}

/** Dotted keys of everything that is not a group of options; an application is one option. */
function leafKeys(tree: ConfigTree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) && prefix === '' && key !== 'applications' ? leafKeys(value, `${key}.`) : [prefix + key],
  );
}

function setKey(tree: ConfigTree, key: string, value: ConfigTree[string]): void {
  const [first = '', second] = key.split('.');
  if (second === undefined) {
    tree[first] = value;
    return;
  }
  const branch = tree[first];
  if (branch !== undefined && isTree(branch)) branch[second] = value;
  else tree[first] = { [second]: value };
}

function isTree(value: ConfigTree[string]): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueFrom(option: Option, text: string): ConfigTree[string] {
  if (option.list) return text.split(',').map((part) => part.trim());
  if (option.type === 'text' || option.type === 'address') return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}
