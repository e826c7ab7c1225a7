/** What a command may know of a stream and its publisher: the variables of nginx-rtmp's `exec`. */
export const HOOK_VARIABLES = [
  'app',
  'name',
  'args',
  'addr',
  'flashver',
  'swfurl',
  'tcurl',
  'pageurl',
  'clientid',
] as const;

export type HookVariable = (typeof HOOK_VARIABLES)[number];
/** By variable; empty where nothing is known. */
export type HookValues = Readonly<Record<HookVariable, string>>;

/** `$$`, `$name`, `${name}`, or a dollar that is none of these. */
const REFERENCE = /\$(?:(\$)|\{(\w*)\}|(\w*))/g;
/** Longer ones no publisher needs, and systems have a limit for the whole command. */
const MAX_VALUE_LENGTH = 4096;

/** What is wrong with an argument of the configuration, or null. */
export function faultOfArgument(argument: string): string | null {
  for (const [text, dollar, braced, plain = ''] of argument.matchAll(REFERENCE)) {
    if (dollar !== undefined || isVariable(braced ?? plain)) continue;
    return `${text} is not known: there are ${HOOK_VARIABLES.map((name) => `$${name}`).join(', ')}, and $$ for a dollar`;
  }
  return null;
}

/** Whether an argument is the same for every stream. */
export function isFixed(argument: string): boolean {
  return [...argument.matchAll(REFERENCE)].every(([, dollar]) => dollar !== undefined);
}

/** Puts the values in. An argument stays one argument, whatever they are. */
export function expandArgument(argument: string, values: HookValues): string {
  return argument.replaceAll(REFERENCE, (text, dollar?: string, braced?: string, plain?: string) => {
    if (dollar !== undefined) return '$';
    const name = braced ?? plain ?? '';
    return isVariable(name) ? values[name] : text;
  });
}

/** The same for scripts: SLUICE_NAME and so on. */
export function environmentOf(event: string, values: HookValues): Record<string, string> {
  const variables = HOOK_VARIABLES.map((name) => [`SLUICE_${name.toUpperCase()}`, values[name]] as const);
  return { SLUICE_EVENT: event, ...Object.fromEntries(variables) };
}

/** What a publisher has sent, as one line: no system takes NUL, and scripts read line by line. */
export function cleanValue(value: string | null | undefined): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return (value ?? '').replaceAll(/[\u0000-\u001f\u007f]/g, '').slice(0, MAX_VALUE_LENGTH);
}

function isVariable(name: string): name is HookVariable {
  return (HOOK_VARIABLES as readonly string[]).includes(name);
}
