import { parseArgs } from 'node:util';
import type { Environment } from './config/environment.ts';
import { nearest } from './config/nearest.ts';

/** The commands, with the words that stand behind each. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  start: [],
  config: [],
  key: ['<name>'],
  sign: ['<name>'],
};

const OPTIONS = {
  'rtmp-port': { type: 'string' },
  'http-port': { type: 'string' },
  host: { type: 'string' },
  config: { type: 'string' },
  demo: { type: 'boolean' },
  app: { type: 'string' },
  hours: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

const SEE_HELP = 'see sluice --help';

/** What the command line says. */
export interface Flags {
  readonly help: boolean;
  readonly version: boolean;
  readonly command: string;
  /** Behind the command; empty for commands without one. */
  readonly name: string;
  readonly file: string | null;
  readonly app: string;
  readonly hours: number;
  /** Dotted keys of the configuration, as they were typed. */
  readonly options: Readonly<Record<string, string | boolean>>;
}

/** @throws Error that says what is wrong with the command line, and quotes no value of it */
export function readFlags(args: readonly string[], env: Environment): Flags {
  // Not strict: Node's own texts explain its rules, not ours.
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option')
      checkOption(token.name, token.rawName, token.value, token.inlineValue === true);
  }
  const textOf = (name: keyof typeof OPTIONS) => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const options: Record<string, string | boolean> = {};
  for (const name of ['rtmp-port', 'http-port', 'host'] as const) {
    const text = textOf(name);
    if (text !== undefined) options[name.replace('-', '.')] = text;
  }
  if (values.demo === true) options.demo = true;
  const help = values.help === true;
  const version = values.version === true;
  const [command = 'start', ...words] = positionals;
  if (!help && !version) checkWords(command, words);
  if (textOf('config') === '') throw new Error(`--config needs the path of a file; ${SEE_HELP}`);
  return {
    ...{ help, version, command, options },
    name: words[0] ?? '',
    file: textOf('config') ?? (env.SLUICE_CONFIG || null),
    app: textOf('app') ?? 'live',
    hours: Number(textOf('hours') ?? 6),
  };
}

function checkOption(name: string, typed: string, value: string | undefined, inline: boolean): void {
  const option = Object.entries(OPTIONS).find(([known]) => known === name)?.[1];
  if (option === undefined) {
    const similar = nearest(name, Object.keys(OPTIONS));
    throw new Error(
      `there is no option ${typed}; ${similar === null ? '' : `did you mean --${similar}? Or `}${SEE_HELP}`,
    );
  }
  if (option.type === 'boolean' && value !== undefined)
    throw new Error(`${typed} takes no value; ${SEE_HELP}`);
  // The next option is no value; a number below zero is one, and refused where it is wrong.
  const missing = value === undefined || (!inline && /^--?[a-z]/.test(value));
  if (option.type === 'string' && missing) throw new Error(`${typed} needs a value behind it; ${SEE_HELP}`);
}

function checkWords(command: string, words: readonly string[]): void {
  const wanted = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (wanted === undefined) {
    const similar = nearest(command, Object.keys(COMMANDS));
    throw new Error(
      `there is no command ${command}; ${similar === null ? '' : `did you mean sluice ${similar}? Or `}${SEE_HELP}`,
    );
  }
  const usage = ['sluice', command, ...wanted].join(' ');
  if (words.length < wanted.length) throw new Error(`a name is missing: ${usage}; ${SEE_HELP}`);
  if (words.length > wanted.length) {
    throw new Error(`too many words: it is ${usage}, and options; ${SEE_HELP}`);
  }
}
