import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import { type ChildExit, startChild } from '../../processes/child.ts';

/** What is quoted of ffmpeg's own words. */
const QUOTED = 300;

export interface OnceOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly input: Uint8Array;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** More output than this is a failure. */
  readonly maxBytes: number;
  readonly niceness: number;
}

/** A program that gets its input at once and answers once. */
export interface Once {
  /** What it wrote to stdout. Rejects with SLUICE_TRANSCODE_FAILED; then the program may not be gone yet. */
  readonly output: Promise<Buffer>;
  /** Resolves when the program is gone. Never rejects. */
  readonly gone: Promise<void>;
  stop(): void;
}

/** Runs ffmpeg from stdin to stdout. Never throws: what goes wrong is in `output`. */
export function runOnce(options: OnceOptions): Once {
  const { command, args, input, clock, timeoutMs, maxBytes, niceness } = options;
  const child = startChild({ command, args, niceness });
  const chunks: Buffer[] = [];
  let bytes = 0;
  let refuse: (error: SluiceError) => void = () => {};
  const given = new Promise<never>((_resolve, reject) => {
    refuse = reject;
  });
  const giveUp = (reason: string) => {
    refuse(failure(reason));
    void child.stop();
  };
  const cancelTimeout = clock.after(timeoutMs, () => giveUp(`took longer than ${timeoutMs} ms`));
  for (const output of child.outputs) {
    output.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else giveUp(`wrote more than ${maxBytes} bytes`);
    });
  }
  child.stdin.end(input);
  const exited = child.exited.then((exit) => {
    cancelTimeout();
    return exit;
  });
  const finished = exited.then((exit) => {
    const problem = problemOf(exit, bytes);
    if (problem !== null) throw failure(quote(problem, child.stderr), exit.error);
    return Buffer.concat(chunks);
  });
  return {
    output: Promise.race([finished, given]),
    gone: exited.then(() => undefined),
    stop: () => giveUp('was stopped'),
  };
}

function problemOf({ code, signal, error }: ChildExit, bytes: number): string | null {
  if (error !== null) return `cannot be started (${error.message})`;
  if (code !== 0) return `ended with ${code ?? signal}`;
  return bytes === 0 ? 'made nothing' : null;
}

function quote(problem: string, stderr: string): string {
  const words = stderr.trim().slice(-QUOTED).replace(/\s+/g, ' ');
  return words === '' ? problem : `${problem}: ${words}`;
}

function failure(reason: string, cause: unknown = null): SluiceError {
  return new SluiceError('SLUICE_TRANSCODE_FAILED', `ffmpeg ${reason}`, cause === null ? {} : { cause });
}
