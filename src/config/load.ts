import { readFileSync } from 'node:fs';
import { SluiceError } from '../media/errors.ts';
import { type Config, type ConfigInput, configSchema } from './schema.ts';

/** @throws SluiceError SLUICE_CONFIG_INVALID that names each wrong key */
export function parseConfig(input: unknown): Config {
  const result = configSchema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const place = issue.path.length === 0 ? 'the configuration' : issue.path.join('.');
    return `${place}: ${issue.message}`;
  });
  throw new SluiceError('SLUICE_CONFIG_INVALID', problems.join('; '));
}

export interface ConfigSources {
  /** Path of a YAML or JSON file, or null. */
  readonly file: string | null;
  /** Environment variables; those that begin with SLUICE_ count. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Dotted keys from the command line. */
  readonly flags: Readonly<Record<string, string | number | boolean>>;
}

/**
 * Reads the file, then the environment over it, then the flags over both.
 *
 * @throws SluiceError SLUICE_CONFIG_INVALID
 */
export async function loadConfig({ file, env, flags }: ConfigSources): Promise<Config> {
  const merged: ConfigTree = file === null ? {} : await readConfigFile(file);
  const keys = optionKeys(parseConfig({}));
  for (const [variable, value] of Object.entries(env)) {
    // Unknown ones are left alone: Kubernetes sets SLUICE_SERVICE_HOST and the like for a service of this name.
    const key = keys.find((candidate) => variableOf(candidate) === variable);
    if (key !== undefined && value !== undefined && value !== '') setKey(merged, key, scalar(value));
  }
  for (const [key, value] of Object.entries(flags)) setKey(merged, key, value);
  for (const [key, value] of Object.entries(merged)) if (value === null) delete merged[key];
  return parseConfig(merged);
}

interface ConfigTree {
  /** A key with nothing behind it reads as null. */
  [key: string]: ConfigTree | string | number | boolean | null;
}

async function readConfigFile(path: string): Promise<ConfigTree> {
  try {
    const text = readFileSync(path, 'utf8');
    // JSON is YAML too; the parser is loaded only when there is a file, to start faster.
    const { parse } = await import('yaml');
    const value: unknown = parse(text);
    if (value === null || value === undefined) return {};
    if (typeof value !== 'object' || Array.isArray(value)) throw new Error('it must hold keys and values');
    return value as ConfigTree;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SluiceError('SLUICE_CONFIG_INVALID', `${path}: ${reason}`, { cause: error });
  }
}

/** Dotted names of all options; `host` has no default and is added by hand. */
function optionKeys(defaults: Config): string[] {
  const keys = ['host'];
  for (const [name, value] of Object.entries(defaults)) {
    if (typeof value === 'object') keys.push(...Object.keys(value).map((inner) => `${name}.${inner}`));
    else keys.push(name);
  }
  return keys;
}

/** `rtmp.maxConnections` → `SLUICE_RTMP_MAX_CONNECTIONS`. */
function variableOf(key: string): string {
  const words = key.replaceAll('.', '_').replace(/[A-Z]/g, (letter) => `_${letter}`);
  return `SLUICE_${words.toUpperCase()}`;
}

function setKey(tree: ConfigTree, key: string, value: string | number | boolean): void {
  const [first = '', second] = key.split('.');
  if (second === undefined) {
    tree[first] = value;
    return;
  }
  const branch = tree[first];
  if (typeof branch === 'object' && branch !== null) branch[second] = value;
  else tree[first] = { [second]: value };
}

function scalar(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

export type { Config, ConfigInput };
