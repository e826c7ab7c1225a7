import { readFileSync } from 'node:fs';

/**
 * What is neither an RTMP nor an HTTP connection: Node's own files and the log (30), the store (5), pipes of ffmpeg and
 * hooks (some 8 a process), callbacks (100), and connections that are accepted only to be closed.
 */
const RESERVE = 256;

/** How many connections there may be of each kind. */
export interface ConnectionShares {
  readonly rtmp: number;
  readonly http: number;
}

/**
 * How many files and connections the process may have open, by the soft limit that Node has raised to the hard one;
 * Infinity where the system does not tell it.
 */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * Divides the descriptors, so that no crowd of viewers takes those that segments are written with. The reserve comes
 * first, up to half of all; then RTMP gets what is configured, up to half of the rest, and HTTP what is left.
 *
 * @param maxRtmp rtmp.maxConnections
 */
export function shareDescriptors(limit: number, maxRtmp: number): ConnectionShares {
  const rest = limit - Math.min(RESERVE, Math.ceil(limit / 2));
  const rtmp = Math.min(maxRtmp, Math.floor(rest / 2));
  return { rtmp, http: rest - rtmp };
}

/** Whether this failed because the process, or the whole computer, has as many files open as it may. */
export function lacksDescriptors(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}
