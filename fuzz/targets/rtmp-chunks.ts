import type { ErrorCode } from '../../src/media/errors.ts';
import { ChunkReader } from '../../src/rtmp/chunk-reader.ts';
import { feed, pieces } from '../support/pieces.ts';
import { check, failure } from '../support/tolerate.ts';

/** The pieces u8, then chunks. */
export const maxLength = 4096;

interface Outcome {
  readonly messages: readonly string[];
  readonly code: ErrorCode | null;
}

/** However the bytes are cut, the same messages and the same error come out. */
export function fuzz(data: Buffer): void {
  if (data.length === 0) return;
  const bytes = data.subarray(1);
  const whole = read([bytes]);
  check(
    whole.code === null || whole.code === 'SLUICE_RTMP_BAD_CHUNK' || whole.code === 'SLUICE_RTMP_LIMIT',
    `${whole.code} from the chunk reader`,
  );
  const cut = read(pieces(bytes, data.readUInt8(0)));
  check(whole.code === cut.code, `${whole.code} in one piece, ${cut.code} in several`);
  check(whole.messages.join() === cut.messages.join(), 'other messages in several pieces');
}

function read(input: readonly Buffer[]): Outcome {
  const messages: string[] = [];
  const bodies: Buffer[] = [];
  const reader = new ChunkReader(({ type, timestamp, streamId, body }) => {
    messages.push(`${type} ${timestamp} ${streamId} ${body.toString('latin1')}`);
    bodies.push(body);
  });
  const code = failure(() => feed(input, (piece) => reader.push(piece)));
  const kept = bodies.every((body, index) => messages[index]?.endsWith(body.toString('latin1')));
  check(kept, 'a message that changed after it was delivered');
  return { messages, code };
}
