import { CONFIG_JSON_SCHEMA, inWords, type JsonSchema, objectIn } from './json-schema.ts';
import type { OptionMeta } from './schema.ts';

/** One option, as documentation, environment and reload see it. */
export interface Option {
  /** `rtmp.port`. */
  readonly key: string;
  /** `SLUICE_RTMP_PORT`. */
  readonly variable: string;
  /** How the variable has what is more than one value; JSON of a list that may have commas begins with a bracket. */
  readonly notation: 'JSON' | 'commas or JSON' | null;
  /** What JSON in the variable looks like. */
  readonly example: string;
  readonly description: string;
  /** In words: `whole number from 0 to 65535`. */
  readonly type: string;
  /** Undefined when there is none. */
  readonly default: unknown;
  readonly secret: boolean;
  /** A change needs a restart. */
  readonly restart: boolean;
  /** A change holds for streams and encoders that begin after it. */
  readonly forNew: boolean;
  /** Applications may have it different. */
  readonly perApplication: boolean;
  readonly list: boolean;
  /** What an entry has, where the option is a list of objects. */
  readonly fields: readonly Field[];
}

/** One key of an entry. */
export interface Field {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly required: boolean;
}

/** Every option outside `applications`, in the order of the schema. */
export const OPTIONS: readonly Option[] = collect();

function collect(): Option[] {
  const application = CONFIG_JSON_SCHEMA.properties?.applications?.additionalProperties;
  const groups = typeof application === 'object' ? application.properties : undefined;
  const options: Option[] = [];
  const visit = (properties: JsonSchema['properties'], prefix: string) => {
    for (const [name, property] of Object.entries(properties ?? {})) {
      const key = prefix + name;
      if (property.properties !== undefined) visit(property.properties, `${key}.`);
      else {
        const perApplication =
          prefix === ''
            ? groups?.[name] !== undefined
            : groups?.[prefix.slice(0, -1)]?.properties?.[name] !== undefined;
        options.push({ ...describe(key, property), perApplication });
      }
    }
  };
  visit(CONFIG_JSON_SCHEMA.properties, '');
  return options;
}

function describe(key: string, property: JsonSchema & OptionMeta): Omit<Option, 'perApplication'> {
  const list = property.type === 'array';
  const objects = property.type === 'object' || property.items?.type === 'object';
  return {
    key,
    variable: variableOf(key),
    notation: objects ? 'JSON' : list ? 'commas or JSON' : null,
    example: JSON.stringify(property.example ?? ['first', 'second']),
    description: property.description ?? '',
    type: inWords(property),
    default: property.default,
    secret: property.secret === true,
    restart: property.restart === true,
    forNew: property.forNew === true,
    list,
    fields: list ? fieldsOf(objectIn(property.items)) : [],
  };
}

function fieldsOf(entry: JsonSchema | undefined): Field[] {
  return Object.entries(entry?.properties ?? {}).map(([name, property]) => ({
    name,
    type: inWords(property),
    description: property.description ?? '',
    required: entry?.required?.includes(name) === true,
  }));
}

/** `rtmp.maxConnections` → `SLUICE_RTMP_MAX_CONNECTIONS`. */
export function variableOf(key: string): string {
  const words = key.replaceAll('.', '_').replace(/[A-Z]/g, (letter) => `_${letter}`);
  return `SLUICE_${words.toUpperCase()}`;
}
