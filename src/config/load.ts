import { SluiceError } from '../media/errors.ts';
import { type Environment, fromEnvironment, valueFrom } from './environment.ts';
import { readConfigFile } from './file.ts';
import { OPTIONS } from './options.ts';
import { type Problem, problemsOf } from './problems.ts';
import { type Config, configSchema } from './schema.ts';
import { type ConfigTree, leafKeys, setKey } from './tree.ts';

export interface ConfigSources {
  /** Path of a YAML or JSON file, or null. */
  readonly file: string | null;
  /** Environment variables; those that begin with SLUICE_ count. */
  readonly env: Environment;
  /** Dotted keys from the command line; text becomes what the option wants. */
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
 * @throws SluiceError SLUICE_CONFIG_INVALID that names the places, SLUICE_CONFIG_UNREADABLE
 */
export async function loadConfig({ file, env, flags, system = {} }: ConfigSources): Promise<LoadedConfig> {
  const fromFile = file === null ? null : await readConfigFile(file);
  const tree: ConfigTree = fromFile?.tree ?? {};
  const origins = new Map<string, string>();
  for (const key of leafKeys(tree)) origins.set(key, fromFile?.placeOf(key.split('.')) ?? String(file));
  for (const option of OPTIONS) {
    const value = fromEnvironment(option, env);
    if (value === null) continue;
    setKey(tree, option.key, value);
    origins.set(option.key, option.variable);
  }
  for (const [key, value] of Object.entries(flags)) {
    const option = OPTIONS.find((candidate) => candidate.key === key);
    setKey(tree, key, option !== undefined && typeof value === 'string' ? valueFrom(option, value) : value);
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

function validate(input: unknown, placeOf: (path: readonly string[]) => string | null): Config {
  const result = configSchema.safeParse(input, { error: () => '' });
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, input));
  throw new SluiceError(
    'SLUICE_CONFIG_INVALID',
    problems.map((problem) => asText(problem, placeOf(problem.path))).join('; '),
  );
}

function asText({ path, message }: Problem, place: string | null): string {
  const name = path.length === 0 ? 'the configuration' : path.join('.');
  return `${place === null ? '' : `${place}: `}${name}: ${message}`;
}
