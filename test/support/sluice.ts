import { fileURLToPath } from 'node:url';
import { type Running, start } from './ffmpeg.ts';
import { until } from './until.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** The command as a process of its own, with JSON lines on stderr. */
export interface SluiceProcess extends Running {
  /** Resolves when it takes publishers and viewers. */
  readonly ready: Promise<void>;
  /** The log so far. */
  readonly log: readonly LogEntry[];
}

export interface LogEntry {
  readonly time: number;
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Starts `dist/cli.js`; whoever starts it stops it. */
export function startSluice(args: readonly string[], env: NodeJS.ProcessEnv = {}): SluiceProcess {
  const program = start('node', [CLI, ...args], { env: { ...process.env, ...env } });
  const ready = until(
    'the start screen',
    () => {
      if (!program.isRunning) throw new Error(`it gave up: ${program.stderr}`);
      return program.stdout.includes('Sluice is running.');
    },
    30_000,
  ).then(() => undefined);
  ready.catch(() => {});
  return {
    get stdout() {
      return program.stdout;
    },
    get stderr() {
      return program.stderr;
    },
    get isRunning() {
      return program.isRunning;
    },
    get log() {
      return program.stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
    },
    ready,
    exited: program.exited,
    signal: program.signal,
    stop: program.stop,
  };
}
