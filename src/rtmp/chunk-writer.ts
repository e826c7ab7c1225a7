import { chunkStreamOf, type RtmpMessage } from './message.ts';

const DEFAULT_CHUNK_SIZE = 128;
const EXTENDED = 0xffffff;

/** Cuts messages into chunks (RTMP 1.0 section 5.3): a full header first, fmt 3 for the rest of the message. */
export class ChunkWriter {
  #chunkSize = DEFAULT_CHUNK_SIZE;

  /** Takes effect with the next message; the caller has sent the Set Chunk Size message that says so. */
  set chunkSize(size: number) {
    this.#chunkSize = size;
  }

  encode(message: RtmpMessage): Buffer {
    const { body, type, timestamp, streamId } = message;
    const chunkStream = chunkStreamOf(message);
    const extended = timestamp >= EXTENDED;
    const extendedSize = extended ? 4 : 0;
    const chunks = Math.max(1, Math.ceil(body.length / this.#chunkSize));
    const out = Buffer.allocUnsafe(12 + body.length + (chunks - 1) + chunks * extendedSize);
    // fmt(2) csid(6); timestamp(3) length(3) type(1) message stream id(4, little-endian); extended timestamp(4)
    out.writeUInt8(chunkStream, 0);
    out.writeUIntBE(extended ? EXTENDED : timestamp, 1, 3);
    out.writeUIntBE(body.length, 4, 3);
    out.writeUInt8(type, 7);
    out.writeUInt32LE(streamId, 8);
    let at = 12;
    for (let start = 0, first = true; first || start < body.length; start += this.#chunkSize, first = false) {
      if (!first) out.writeUInt8(0xc0 | chunkStream, at++);
      if (extended) at = out.writeUInt32BE(timestamp, at);
      at += body.copy(out, at, start, start + this.#chunkSize);
    }
    return out;
  }
}
