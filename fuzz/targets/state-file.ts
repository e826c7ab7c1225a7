import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { streamFolder } from '../../src/live/stream-name.ts';
import { decodeState, encodeState } from '../../src/storage/state-schema.ts';
import { check } from '../support/tolerate.ts';

/** The state in a state file. It is tried with a checksum, as a file that somebody else wrote, and as a whole file. */
export const maxLength = 3072;

export function fuzz(data: Buffer): void {
  const text = data.toString('utf8');
  const folder = streamFolder('live', 'test');
  decodeState(text, folder);
  const sha256 = createHash('sha256').update(text).digest('hex');
  const state = decodeState(`{"version":1,"sha256":"${sha256}","state":${text}}\n`, folder);
  if (typeof state === 'string') return;
  check(streamFolder(state.app, state.name) === folder, 'the state of another stream');
  check(isDeepStrictEqual(decodeState(encodeState(state), folder), state), 'another state after writing it');
}
