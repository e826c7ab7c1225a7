import type { z } from 'zod';
import { inWords, type JsonSchema, keysOf, schemaAt } from './json-schema.ts';
import { nearest } from './nearest.ts';
import { OPTIONS } from './options.ts';

type Issue = z.core.$ZodIssue;

/** A mistake in the configuration, and what to write instead. Values are never quoted: they may be secrets. */
export interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * What is wrong, from what zod says of it. The texts that the schema has for its own rules are taken as they are; others
 * have to be empty (`error: () => ''`) and are made here, because zod's own do not say what to write instead.
 */
export function problemsOf(issue: Issue, input: unknown, outer: readonly string[] = []): Problem[] {
  const path = [...outer, ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(path, key) }));
  }
  const value = valueAt(input, path);
  if (issue.code === 'invalid_union') {
    // An object is meant for the shape that can be one: what is wrong inside says more than that it is wrong.
    const inside = issue.errors.find((issues) => !issues.some(isAboutAll));
    if (inside !== undefined) return inside.flatMap((inner) => problemsOf(inner, input, path));
  }
  const own = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? '') : issue.message;
  return [{ path, message: own === '' ? wanted(schemaAt(path) ?? {}, value) : own }];
}

function isAboutAll({ code, path }: Issue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');
}

/** What to write in place of a value that does not fit. */
function wanted(schema: JsonSchema, value: unknown): string {
  const words = inWords(schema);
  if (value === undefined) return `is missing: it ${wanted(schema, null)}`;
  if (schema.enum !== undefined || schema.anyOf !== undefined) return `must be ${words}`;
  if (schema.type === 'array') return wantedList(schema, value);
  if (schema.type === 'object') {
    const keys = keysOf(schema);
    return `must be a group of ${keys.length === 0 ? 'names with options below each' : `options: ${keys.join(', ')}`}`;
  }
  if (words === 'text') {
    if (value === '') return 'must not be empty';
    return `must be text${typeof value === 'number' || typeof value === 'boolean' ? ': put it in quotes' : ''}`;
  }
  return schema.type === 'boolean' ? `must be ${words}` : `must be a ${words}`;
}

function wantedList({ minItems = 0, maxItems }: JsonSchema, value: unknown): string {
  if (!Array.isArray(value)) {
    const how =
      typeof value === 'object' && value !== null
        ? 'begin each of its entries with a dash (-), or put square brackets around all'
        : 'write it in square brackets, as in ["first", "second"] or ["first"]';
    return `must be a list: ${how}`;
  }
  if (value.length < minItems)
    return `must have at least ${minItems} ${minItems === 1 ? 'entry' : 'entries'}`;
  return `must have at most ${maxItems} entries`;
}

function unknownKey(group: readonly string[], key: string): string {
  const similar = meant(group, key);
  if (similar.length > 0) return `there is no such option; did you mean ${similar.join(' or ')}?`;
  const keys = keysOf(schemaAt(group));
  return `there is no such option; ${group.length === 0 ? 'see docs/configuration.md' : `there are ${keys.join(', ')}`}`;
}

/** The options that were probably meant, wherever they belong; in an application, those that it may have. */
function meant(group: readonly string[], key: string): string[] {
  const place = group[0] === 'applications' ? group.slice(0, 2) : [];
  const inside = group.slice(place.length);
  if (inside.length > 1) {
    const schema = schemaAt(group);
    // Names of codecs are alike and mean something else: a near one is the wrong advice.
    const similar = schema?.propertyNames === undefined ? nearest(key, keysOf(schema)) : null;
    return similar === null ? [] : [[...group, similar].join('.')];
  }
  const known = OPTIONS.filter((option) => place.length === 0 || option.perApplication).map(
    (option) => option.key,
  );
  const namesakes = known.filter((option) => option.endsWith(`.${key}`));
  const similar = namesakes.length > 0 ? namesakes : (nearest([...inside, key].join('.'), known) ?? []);
  return [similar].flat().map((option) => [...place, option].join('.'));
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  let value = input;
  for (const part of path) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined;
  }
  return value;
}
