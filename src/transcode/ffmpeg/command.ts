import createCommand from 'fluent-ffmpeg';

/** What ffmpeg is to read: its standard input. */
export interface CommandInput {
  /** Before `-i`, one argument each. */
  readonly options: readonly string[];
  /** Also a source of libavfilter, together with `-f lavfi`. */
  readonly source: string;
}

export interface CommandOutput {
  readonly options: readonly string[];
  /** `pipe:1`, `pipe:3` … or `-`. */
  readonly target: string;
}

export interface Command {
  readonly input: CommandInput;
  /** A filter graph whose ends are mapped by the options of the outputs. */
  readonly filters: string | null;
  readonly outputs: readonly CommandOutput[];
}

/** What every run needs: no reading of the terminal, no banner, and lines that tell how bad they are. */
const GLOBAL = ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+warning'];

/**
 * The arguments of an ffmpeg run, in the right order.
 *
 * fluent-ffmpeg knows where each option belongs, and does that here. It does not start the program: it can neither open
 * pipes beyond stdin and stdout nor make a process group (`startChild` can), and what it knows about the encoders of an
 * ffmpeg is cached for the whole process whichever ffmpeg is asked.
 */
export function commandArguments({ input, filters, outputs }: Command): string[] {
  const command = createCommand(input.source);
  command.inputOptions(...exact([...GLOBAL, ...input.options]));
  if (filters !== null) command.complexFilter(filters);
  for (const { target, options } of outputs) command.output(target).outputOptions(...exact(options));
  return command._getArguments().map(String);
}

/** A single string would be split at its space, of several none is. */
function exact(options: readonly string[]): [string, string, ...string[]] {
  const [first, second, ...rest] = options;
  if (first === undefined || second === undefined) throw new TypeError('options come in pairs');
  return [first, second, ...rest];
}
