import { isDeepStrictEqual } from 'node:util';
import { OPTIONS, type Option } from './options.ts';
import type { Config } from './schema.ts';

/** What a new configuration changes, by option: `hls.segmentDuration`, `applications.members.hls.segmentDuration`. */
export interface ConfigChanges {
  /** What holds from now on. */
  readonly live: readonly string[];
  /** What holds for streams and encoders that begin from now on; those there are keep what they have. */
  readonly forNew: readonly string[];
  /** What only holds after a restart. */
  readonly restart: readonly string[];
}

interface Change {
  readonly key: string;
  readonly option: Option;
}

export function changesBetween(before: Config, after: Config): ConfigChanges {
  const changed = OPTIONS.flatMap((option): Change[] => {
    const { key } = option;
    if (isDeepStrictEqual(valueAt(before, key), valueAt(after, key))) return [];
    return key === 'applications' ? changesOfApplications(before, after, option) : [{ key, option }];
  });
  const keys = (of: (option: Option) => boolean) =>
    changed.filter(({ option }) => of(option)).map(({ key }) => key);
  return {
    live: keys(({ restart, forNew }) => !restart && !forNew),
    forNew: keys(({ forNew }) => forNew),
    restart: keys(({ restart }) => restart),
  };
}

function changesOfApplications(before: Config, after: Config, applications: Option): Change[] {
  const apps = new Set([...Object.keys(before.applications), ...Object.keys(after.applications)]);
  const changed = [...apps].flatMap((app) =>
    OPTIONS.filter(({ perApplication }) => perApplication).flatMap((option): Change[] => {
      const values = [before, after].map((config) => valueAt(config.applications[app], option.key));
      return isDeepStrictEqual(values[0], values[1])
        ? []
        : [{ key: `applications.${app}.${option.key}`, option }];
    }),
  );
  // An application without any setting of its own came or went.
  return changed.length > 0 ? changed : [{ key: applications.key, option: applications }];
}

/** The value of a dotted key; undefined when it is not set. */
export function valueAt(config: unknown, key: string): unknown {
  let value: unknown = config;
  for (const part of key.split('.')) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined;
  }
  return value;
}
