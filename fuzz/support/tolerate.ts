import { type ErrorCode, SluiceError } from '../../src/media/errors.ts';

/**
 * Runs what may fail as documented.
 *
 * @returns the code of the SluiceError it failed with, or null; any other error passes through
 */
export function failure(action: () => unknown): ErrorCode | null {
  try {
    action();
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

/** @throws whatever is no SluiceError */
export function codeOf(error: unknown): ErrorCode {
  if (error instanceof SluiceError) return error.code;
  throw error;
}

/** An invariant of the code under test. */
export function check(holds: boolean, what: string): asserts holds {
  if (holds) return;
  const error = new Error(`broken: ${what}`);
  // The interesting line is the caller's.
  Error.captureStackTrace(error, check);
  throw error;
}
