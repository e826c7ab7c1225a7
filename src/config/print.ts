import { stringify } from 'yaml';
import { valueAt } from './changes.ts';
import type { LoadedConfig } from './load.ts';
import { OPTIONS } from './options.ts';
import type { HookInput } from './schema.ts';

const COMMENT_COLUMN = 44;
const MASK = '********';
const SECRETS = new Set(OPTIONS.filter((option) => option.secret).map((option) => option.key));

/** The effective configuration as YAML, each option with where it comes from. Secrets are masked. */
export function printConfig({ config, origins }: LoadedConfig): string {
  const lines: string[] = [];
  let group: string | null = null;
  for (const { key, secret, variable } of OPTIONS) {
    const [first = '', second] = key.split('.');
    if (second !== undefined && first !== group) lines.push(`${first}:`);
    group = second === undefined ? null : first;
    const indent = second === undefined ? '' : '  ';
    const value = valueAt(config, key);
    const origin = origins.get(key) ?? `default, ${variable}`;
    const name = second ?? first;
    const shown = masked(key, secret, value);
    const [head = '', ...more] =
      shown === undefined
        ? [`# ${name}:`]
        : stringify({ [name]: shown }, { lineWidth: 0 })
            .trimEnd()
            .split('\n');
    lines.push(
      `${(indent + head).padEnd(COMMENT_COLUMN)}  # ${origin}`,
      ...more.map((line) => indent + line),
    );
  }
  return `${lines.join('\n')}\n`;
}

function masked(key: string, secret: boolean, value: unknown): unknown {
  if (secret) return maskAll(value);
  if (key === 'hooks') return maskHooks(value);
  return key === 'applications' ? maskApplications(value) : value;
}

function maskAll(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskAll);
  return value === undefined ? undefined : MASK;
}

/** Arguments of commands may be passwords, or addresses with one in them. The program may be known. */
function maskHooks(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((hook: HookInput) => ({
    ...hook,
    run: hook.run.map((argument, index) => (index === 0 ? argument : MASK)),
  }));
}

/** Applications may have secrets of their own: `<application>.<group>.<name>`. */
function maskApplications(value: unknown, depth = 0, path = ''): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const option = depth < 2 ? key : `${path}.${key}`;
      if (depth === 1 && key === 'hooks') return [key, maskHooks(inner)];
      return [
        key,
        SECRETS.has(option) && depth === 2 ? maskAll(inner) : maskApplications(inner, depth + 1, option),
      ];
    }),
  );
}
