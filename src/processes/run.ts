import type { Clock } from '../media/clock.ts';
import { type ChildExit, startChild } from './child.ts';

export interface RunOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** What it may write to stdout before it is ended. */
  readonly maxBytes: number;
  /** Passed on to `startChild`. */
  readonly niceness?: number;
}

export interface RunResult extends ChildExit {
  readonly stdout: Buffer;
  /** The end of it. */
  readonly stderr: string;
  /** Why it was ended before its time. */
  readonly ended: 'timeout' | 'too-much-output' | null;
}

/** Runs a program to its end, without input. Never rejects; a run that is not `ended` and has the code 0 is a good one. */
export async function runProgram(options: RunOptions): Promise<RunResult> {
  const child = startChild(options);
  const chunks: Buffer[] = [];
  let bytes = 0;
  let ended: RunResult['ended'] = null;
  const end = (reason: 'timeout' | 'too-much-output') => {
    if (ended !== null) return;
    ended = reason;
    // It has had its time: nothing of it is wanted any more.
    void child.kill();
  };
  child.stdin.end();
  child.outputs[0]?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > options.maxBytes) end('too-much-output');
    else chunks.push(chunk);
  });
  const cancel = options.clock.after(options.timeoutMs, () => end('timeout'));
  const exit = await child.exited;
  cancel();
  return { ...exit, stdout: Buffer.concat(chunks), stderr: child.stderr, ended };
}
