import { encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { ChunkWriter } from '../../src/rtmp/chunk-writer.ts';
import { MESSAGE } from '../../src/rtmp/message.ts';
import { parts, pieces } from '../support/pieces.ts';
import { checkHeldBytes, runSession } from '../support/watched-session.ts';

/** The application's answers u8, the pieces u8, then parts: message type u8, message stream u8, time u8, body. */
export const maxLength = 4096;

const CONNECT = { type: MESSAGE.COMMAND_AMF0, timestamp: 0, streamId: 0 };

/** Whole messages in any order behind a good connect: gets deeper into the session than broken chunks do. */
export function fuzz(data: Buffer): void {
  if (data.length >= 2) runSession(data.readUInt8(0), input(data));
}

export function inspect(data: Buffer): void {
  if (data.length >= 2) checkHeldBytes(data.readUInt8(0), input(data));
}

function input(data: Buffer): Buffer[] {
  const writer = new ChunkWriter();
  const chunks = [writer.encode({ ...CONNECT, body: encodeAmf0(['connect', 1, { app: 'live' }]) })];
  for (const part of parts(data.subarray(2))) {
    const [type, streamId, time] = part;
    if (type === undefined || streamId === undefined || time === undefined) continue;
    // The writer would not follow a chunk size of the peer's own.
    if (type === MESSAGE.SET_CHUNK_SIZE) continue;
    chunks.push(writer.encode({ type, streamId, timestamp: time * 20, body: part.subarray(3) }));
  }
  return pieces(Buffer.concat(chunks), data.readUInt8(1));
}
