import { environmentOf, expandArgument, type HookValues } from './variables.ts';

/** What happens to a stream, and `live`: all the time that it has a publisher. */
export const HOOK_EVENTS = ['publish', 'publish-done', 'ready', 'ended', 'live'] as const;
export type HookEvent = (typeof HOOK_EVENTS)[number];

/** One entry of `hooks` in the configuration. */
export interface HookSettings {
  readonly on: HookEvent;
  /** The program, then its arguments with variables. */
  readonly run: readonly string[];
  /** Seconds. */
  readonly timeout?: number | undefined;
}

/** A command that can be started. */
export interface HookCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Puts a stream's values into a command.
 *
 * @returns a text instead when it must not be run: a value would be taken for an option of the program
 */
export function hookCommand({ on, run }: HookSettings, values: HookValues): HookCommand | string {
  const [program = '', ...templates] = run.map((argument) => expandArgument(argument, values));
  const args: string[] = [];
  for (const [index, argument] of templates.entries()) {
    const template = run[index + 1] ?? '';
    // A publisher chooses most of the values. Only the configuration says what is an option.
    if (argument.startsWith('-') && !template.startsWith('-')) {
      return `the value of ${template} begins with a dash, so the program would take it for an option`;
    }
    args.push(argument);
  }
  return { program, args, env: environmentOf(on, values) };
}
