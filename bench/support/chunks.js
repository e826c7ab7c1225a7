import { MESSAGE } from '../../dist/rtmp/message.js';
import { UNIT_MS } from './media.js';

const CHUNK_STREAM = { [MESSAGE.AUDIO]: 4, [MESSAGE.VIDEO]: 6 };

/**
 * Cuts a repeating unit of messages into RTMP chunks, once. Headers are fmt 1 (a delta, no stream id), as OBS and
 * librtmp send them, so the very same bytes can be sent again and again and the timestamps go on.
 *
 * @param {{ type: number, time: number, body: Buffer }[]} messages by time; times in [0, UNIT_MS)
 * @param {number} chunkSize the size that the sender has announced
 * @returns one piece of bytes per video frame, with the audio that follows it, all in one block of memory
 */
export function chunkUnit(messages, chunkSize) {
  const previous = new Map();
  for (const { type, time } of messages) previous.set(type, time - UNIT_MS);
  const pieces = [];
  for (const { type, time, body } of messages) {
    const chunks = chunkMessage(CHUNK_STREAM[type], type, time - previous.get(type), body, chunkSize);
    previous.set(type, time);
    if (type === MESSAGE.VIDEO || pieces.length === 0) pieces.push([chunks]);
    else pieces.at(-1).push(chunks);
  }
  const joined = pieces.map((parts) => Buffer.concat(parts));
  const whole = Buffer.concat(joined);
  let at = 0;
  return {
    whole,
    frames: joined.map((piece) => {
      const frame = whole.subarray(at, at + piece.length);
      at += piece.length;
      return frame;
    }),
  };
}

function chunkMessage(chunkStream, type, delta, body, chunkSize) {
  // fmt(2) csid(6); delta(3) length(3) type(1); then fmt 3 before every further chunk
  const header = Buffer.allocUnsafe(8);
  header[0] = 0x40 | chunkStream;
  header.writeUIntBE(delta, 1, 3);
  header.writeUIntBE(body.length, 4, 3);
  header[7] = type;
  const parts = [header];
  const continuation = Buffer.of(0xc0 | chunkStream);
  for (let start = 0; start < body.length; start += chunkSize) {
    if (start > 0) parts.push(continuation);
    parts.push(body.subarray(start, start + chunkSize));
  }
  return Buffer.concat(parts);
}
