import { isDeepStrictEqual } from 'node:util';
import { OPTIONS } from './options.ts';
import type { Config } from './schema.ts';

/** What a new configuration changes. */
export interface ConfigChanges {
  /** Keys that hold from now on. */
  readonly live: readonly string[];
  /** Keys that only hold after a restart. */
  readonly restart: readonly string[];
}

export function changesBetween(before: Config, after: Config): ConfigChanges {
  const changed = OPTIONS.filter(({ key }) => !isDeepStrictEqual(valueAt(before, key), valueAt(after, key)));
  return {
    live: changed.filter((option) => !option.restart).map((option) => option.key),
    restart: changed.filter((option) => option.restart).map((option) => option.key),
  };
}

/** The value of a dotted key; undefined when it is not set. */
export function valueAt(config: Config, key: string): unknown {
  let value: unknown = config;
  for (const part of key.split('.')) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined;
  }
  return value;
}
