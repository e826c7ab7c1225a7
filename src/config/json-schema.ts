import { z } from 'zod';
import { configSchema } from './schema.ts';

/** What JSON Schema says of a value, as far as the configuration uses it. */
export interface JsonSchema {
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Of the whole configuration, as users write it. */
export const CONFIG_JSON_SCHEMA = z.toJSONSchema(configSchema, {
  io: 'input',
  unrepresentable: 'any',
}) as JsonSchema;

/** What may stand at a place of the configuration; of several shapes the object. Undefined where nothing may. */
export function schemaAt(path: readonly string[]): JsonSchema | undefined {
  let schema: JsonSchema | undefined = CONFIG_JSON_SCHEMA;
  for (const part of path) schema = below(schema, part);
  return schema;
}

function below(schema: JsonSchema | undefined, part: string): JsonSchema | undefined {
  const group = objectIn(schema);
  if (group?.type === 'array') return group.items;
  if (group?.properties !== undefined) return ownValue(group.properties, part);
  return typeof group?.additionalProperties === 'object' ? group.additionalProperties : undefined;
}

/** Of several shapes the object. */
export function objectIn(schema: JsonSchema | undefined): JsonSchema | undefined {
  return schema?.anyOf?.find(({ properties }) => properties !== undefined) ?? schema;
}

/** The keys that an object may have; none when it may have any, or is no object. */
export function keysOf(schema: JsonSchema | undefined): string[] {
  const group = objectIn(schema);
  return Object.keys(group?.properties ?? {}).concat((group?.propertyNames?.enum ?? []).map(String));
}

/** What a value has to be: `whole number from 0 to 65535`. */
export function inWords(schema: JsonSchema): string {
  if (schema.enum !== undefined) return either(schema.enum.map(String));
  if (schema.anyOf !== undefined) return schema.anyOf.map(inWords).join(', or ');
  if (schema.type === 'array') return listInWords(schema.items ?? {});
  if (schema.properties !== undefined) return `{ ${Object.keys(schema.properties).join(', ')} }`;
  if (schema.type === 'object') return 'by name';
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'integer' || schema.type === 'number') return numberInWords(schema);
  return schema.format === 'uri' ? 'address' : 'text';
}

function listInWords(items: JsonSchema): string {
  if (items.anyOf !== undefined) return 'list of names and objects';
  return items.enum === undefined && items.properties === undefined ? 'list' : `list of ${inWords(items)}`;
}

function numberInWords({ type, minimum, exclusiveMinimum, maximum }: JsonSchema): string {
  const noun = type === 'integer' ? 'whole number' : 'number';
  // JSON Schema gives every whole number the limits of what JavaScript can count.
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (exclusiveMinimum !== undefined) {
    return `${noun} above ${exclusiveMinimum}${most === undefined ? '' : `, ${most} at most`}`;
  }
  if (minimum === undefined || minimum === Number.MIN_SAFE_INTEGER) return noun;
  return most === undefined ? `${noun} from ${minimum}` : `${noun} from ${minimum} to ${most}`;
}

function either(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Names such as `constructor` are nobody's. */
function ownValue<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
