import { z } from 'zod';
import { configSchema, type OptionMeta } from './schema.ts';

/** One option, as documentation, environment and reload see it. */
export interface Option {
  /** `rtmp.port`. */
  readonly key: string;
  /** `SLUICE_RTMP_PORT`; null where a variable cannot hold the value. */
  readonly variable: string | null;
  readonly description: string;
  /** In words: `number, 0 … 65535`. */
  readonly type: string;
  /** Undefined when there is none. */
  readonly default: unknown;
  readonly secret: boolean;
  /** A change needs a restart. */
  readonly restart: boolean;
  /** Applications may have it different. */
  readonly perApplication: boolean;
  /** Lists come comma-separated from the environment. */
  readonly list: boolean;
}

interface JsonSchema {
  readonly additionalProperties?: JsonSchema;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}

/** Every option outside `applications`, in the order of the schema. */
export const OPTIONS: readonly Option[] = collect();

function collect(): Option[] {
  const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const groups = schema.properties?.applications?.additionalProperties?.properties;
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
  visit(schema.properties, '');
  return options;
}

function describe(key: string, property: JsonSchema & OptionMeta): Omit<Option, 'perApplication'> {
  const list = property.type === 'array';
  const scalar = property.type !== 'object' && !(list && property.items?.type === 'object');
  return {
    key,
    variable: scalar ? variableOf(key) : null,
    description: property.description ?? '',
    type: typeOf(property),
    default: property.default,
    secret: property.secret === true,
    restart: property.restart === true,
    list,
  };
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map(String).join(' or ');
  if (schema.type === 'array') {
    const { items = {} } = schema;
    if (items.anyOf !== undefined) return 'list of names and objects';
    if (items.properties !== undefined) return `list of { ${Object.keys(items.properties).join(', ')} }`;
    return items.enum === undefined ? 'list' : `list of ${typeOf(items)}`;
  }
  if (schema.type === 'object') return 'by name';
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type !== 'integer' && schema.type !== 'number')
    return schema.format === 'uri' ? 'address' : 'text';
  const noun = schema.type === 'integer' ? 'whole number' : 'number';
  const least = schema.exclusiveMinimum === undefined ? schema.minimum : `above ${schema.exclusiveMinimum}`;
  const { maximum = Number.MAX_SAFE_INTEGER } = schema;
  if (least === undefined || least === Number.MIN_SAFE_INTEGER) return noun;
  if (maximum === Number.MAX_SAFE_INTEGER)
    return `${noun}, ${typeof least === 'number' ? 'from ' : ''}${least}`;
  return `${noun}, ${least} … ${maximum}`;
}

/** `rtmp.maxConnections` → `SLUICE_RTMP_MAX_CONNECTIONS`. */
function variableOf(key: string): string {
  const words = key.replaceAll('.', '_').replace(/[A-Z]/g, (letter) => `_${letter}`);
  return `SLUICE_${words.toUpperCase()}`;
}
