import { SluiceError } from '../media/errors.ts';
import { SLAB_BYTES, slabs } from '../media/slab-pool.ts';
import { rtmpTimestampDelta } from '../media/time.ts';
import { RTMP_LIMITS } from './limits.ts';
import { MESSAGE, type RtmpMessage } from './message.ts';

const DEFAULT_CHUNK_SIZE = 128;
const EXTENDED = 0xffffff;
/** Bytes after the basic header by fmt: 0 full, 1 no stream id, 2 only a delta, 3 nothing. */
const MESSAGE_HEADER_SIZE = [11, 7, 3, 0] as const;
/** An extended timestamp on a delta header this close to the last timestamp was meant absolutely. */
const ABSOLUTE_RANGE_MS = 60_000;
/** A message that waits for others keeps its slab: sixteen times its size at most. */
const SMALLEST_IN_SLAB = SLAB_BYTES / 16;
/** Smaller ones share this much: Node's own pool is eight times as large from version 24 on, and everybody's. */
const SMALL_ROOM_BYTES = 8 * 1024;
/** A fmt 3 header may begin a message with a new extended timestamp; further away it is payload. */
const NEXT_MESSAGE_RANGE_MS = 10_000;

const NOTHING = Buffer.alloc(0);
/** Of a view that is made for it: a third of what Buffer.copy takes, which looks at both sides first. */
const { set } = Uint8Array.prototype;

interface ChunkStream {
  /** False until a header with a message length has come. */
  known: boolean;
  timestamp: number;
  delta: number;
  length: number;
  type: number;
  streamId: number;
  /** The last header used the extended timestamp field, with this value. */
  extended: number | null;
  /** The unfinished message, its bytes so far. */
  body: Buffer | null;
  received: number;
  /** What the body lies in; null when it has memory of its own. */
  slab: Buffer | null;
}

/**
 * Reassembles messages from the chunks of one connection (RTMP 1.0 section 5.3), in any split of the bytes. Set Chunk
 * Size and Abort take effect here, between two chunks, and are not delivered. Each payload byte is copied once, out
 * of the socket's buffer into the message's own.
 *
 * The body of a message is to be used during its delivery; who needs it longer tells `slabs`.
 */
export class ChunkReader {
  readonly #streams = new Map<number, ChunkStream>();
  readonly #deliver: (message: RtmpMessage) => void;
  #chunkSize = DEFAULT_CHUNK_SIZE;
  /** Beginning of a chunk header whose rest has not come yet. */
  #fragment: Buffer | null = null;
  /** The chunk whose payload is being read. */
  #current: ChunkStream | null = null;
  #chunkLeft = 0;
  #partialBytes = 0;
  #partialLimit: number = RTMP_LIMITS.partialBytes;
  /** The rest of it is room for the next messages. */
  #slab: Buffer = NOTHING;
  #slabUsed = 0;
  #smallRoom: Buffer = NOTHING;
  #smallUsed = 0;

  constructor(deliver: (message: RtmpMessage) => void) {
    this.#deliver = deliver;
  }

  /** Bytes that may wait in unfinished messages. */
  set partialLimit(bytes: number) {
    this.#partialLimit = bytes;
  }

  /**
   * @param input may be overwritten after the call
   * @throws SluiceError SLUICE_RTMP_BAD_CHUNK, SLUICE_RTMP_LIMIT; the connection is useless afterwards
   */
  push(input: Buffer): void {
    let bytes = input;
    if (this.#fragment !== null) {
      bytes = Buffer.concat([this.#fragment, input]);
      this.#fragment = null;
    }
    const { buffer, byteOffset } = bytes;
    let position = 0;
    while (position < bytes.length) {
      if (this.#current === null) {
        const headerSize = this.#readHeader(bytes, position);
        if (headerSize === 0) {
          this.#fragment = Buffer.from(bytes.subarray(position));
          return;
        }
        position += headerSize;
      }
      position += this.#readPayload(buffer, byteOffset + position, bytes.length - position);
    }
  }

  /** @returns bytes of the header at `start`, or 0 when it is not all there yet */
  #readHeader(bytes: Buffer, start: number): number {
    const first = bytes[start] as number;
    const format = first >> 6;
    let chunkStreamId = first & 0x3f;
    let position = start + 1;
    // Basic header: ids 2…63 in one byte, 0 announces one more byte (64…319), 1 two more, low byte first (64…65599).
    if (chunkStreamId < 2) {
      const extra = chunkStreamId + 1;
      if (position + extra > bytes.length) return 0;
      chunkStreamId = 64 + bytes.readUIntLE(position, extra);
      position += extra;
    }
    const headerSize = MESSAGE_HEADER_SIZE[format] ?? 0;
    if (position + headerSize > bytes.length) return 0;
    let stream = this.#streams.get(chunkStreamId);
    if (format === 3) {
      if (stream === undefined) throw badChunk(`fmt 3 on the unused chunk stream ${chunkStreamId}`);
      const size = this.#readContinuation(stream, bytes, position);
      if (size < 0) return 0;
      position += size;
    } else {
      const field = readUInt24(bytes, position);
      let extended: number | null = null;
      if (field === EXTENDED) {
        if (position + headerSize + 4 > bytes.length) return 0;
        extended = bytes.readUInt32BE(position + headerSize);
      }
      stream ??= this.#open(chunkStreamId, format);
      this.#readMessageHeader(stream, format, bytes, position, field, extended);
      position += headerSize + (extended === null ? 0 : 4);
    }
    this.#beginChunk(stream);
    return position - start;
  }

  #open(chunkStreamId: number, format: number): ChunkStream {
    // fmt 1 is tolerated on a fresh chunk stream: librtmp sends its pings so.
    if (format === 2) throw badChunk(`fmt 2 on the unused chunk stream ${chunkStreamId}`);
    if (this.#streams.size >= RTMP_LIMITS.chunkStreams) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', `more than ${RTMP_LIMITS.chunkStreams} chunk streams`);
    }
    const stream: ChunkStream = {
      known: false,
      timestamp: 0,
      delta: 0,
      length: 0,
      type: 0,
      streamId: 0,
      extended: null,
      body: null,
      received: 0,
      slab: null,
    };
    this.#streams.set(chunkStreamId, stream);
    return stream;
  }

  /** fmt 0: timestamp(3) length(3) type(1) stream id(4, LE); fmt 1: delta(3) length(3) type(1); fmt 2: delta(3). */
  #readMessageHeader(
    stream: ChunkStream,
    format: number,
    bytes: Buffer,
    at: number,
    field: number,
    extended: number | null,
  ): void {
    // A new header inside a message means the peer gave that message up.
    if (stream.body !== null) this.#discard(stream);
    const value = extended ?? field;
    if (format === 0) {
      stream.timestamp = value;
      // The specification makes a following fmt 3 repeat the timestamp itself as the delta; FMLE relies on it. Nobody
      // means that of an extended one, which would double the clock.
      stream.delta = extended === null ? value : 0;
    } else if (
      extended !== null &&
      Math.abs(rtmpTimestampDelta(stream.timestamp, value)) < ABSOLUTE_RANGE_MS
    ) {
      // A delta of over four hours does not exist; encoders that send one mean the absolute time.
      stream.delta = rtmpTimestampDelta(stream.timestamp, value);
      stream.timestamp = value;
    } else {
      stream.delta = value;
      stream.timestamp = (stream.timestamp + value) >>> 0;
    }
    stream.extended = extended;
    if (format <= 1) {
      stream.length = readUInt24(bytes, at + 3);
      stream.type = bytes[at + 6] as number;
      stream.known = true;
    }
    if (format === 0) stream.streamId = bytes.readUInt32LE(at + 7);
    const limit = isMedia(stream.type) ? RTMP_LIMITS.mediaMessageBytes : RTMP_LIMITS.otherMessageBytes;
    if (stream.length > limit) {
      throw new SluiceError(
        'SLUICE_RTMP_LIMIT',
        `a message of ${stream.length} bytes, at most ${limit} are allowed`,
      );
    }
  }

  /**
   * fmt 3: continues the message, or repeats the last header for a new one. Where that header had an extended
   * timestamp the specification wants it repeated here, but old librtmp and some hardware leave it out, so it is
   * only taken for one when it looks like one.
   *
   * @returns bytes of the extended timestamp taken, or -1 when more input is needed to tell
   */
  #readContinuation(stream: ChunkStream, bytes: Buffer, at: number): number {
    if (!stream.known) throw badChunk('fmt 3 before any full header');
    const continues = stream.body !== null;
    let size = 0;
    let next: number | null = null;
    if (stream.extended !== null) {
      if (at + 4 > bytes.length) return -1;
      const value = bytes.readUInt32BE(at);
      if (value === stream.extended) {
        size = 4;
      } else if (!continues && isNear(stream.timestamp, value)) {
        size = 4;
        next = value;
      }
    }
    if (continues) return size;
    if (next !== null) {
      // From here on the field is an absolute time: the same again means the same time.
      stream.delta = 0;
      stream.timestamp = next;
      stream.extended = next;
    } else {
      stream.timestamp = (stream.timestamp + stream.delta) >>> 0;
    }
    return size;
  }

  #beginChunk(stream: ChunkStream): void {
    if (stream.body === null) {
      // Its length may be a lie: beyond this chunk stream's share, room is taken only as bytes arrive.
      const trusted = this.#partialLimit / RTMP_LIMITS.chunkStreams;
      this.#allocate(stream, Math.min(stream.length, trusted));
      stream.received = 0;
    }
    this.#current = stream;
    this.#chunkLeft = Math.min(stream.length - stream.received, this.#chunkSize);
    if (stream.length === 0) this.#finish(stream);
  }

  /**
   * Slabs are for media, which is gone soon. Strangers share nothing: memory lives as long as one message in it, so a peer
   * that leaves some unfinished would have more than it sends.
   */
  #allocate(stream: ChunkStream, size: number): void {
    if (size === 0) stream.body = NOTHING;
    else if (this.#partialLimit < RTMP_LIMITS.partialBytes) stream.body = Buffer.allocUnsafeSlow(size);
    else if (size < SMALLEST_IN_SLAB) stream.body = this.#takeSmall(size);
    else if (size <= SLAB_BYTES && isMedia(stream.type)) this.#takeFromSlab(stream, size);
    else stream.body = Buffer.allocUnsafeSlow(size);
  }

  #takeSmall(size: number): Buffer {
    if (this.#smallUsed + size > this.#smallRoom.length) {
      this.#smallRoom = Buffer.allocUnsafeSlow(SMALL_ROOM_BYTES);
      this.#smallUsed = 0;
    }
    const start = this.#smallUsed;
    this.#smallUsed += size;
    return this.#smallRoom.subarray(start, start + size);
  }

  #takeFromSlab(stream: ChunkStream, size: number): void {
    if (this.#slabUsed + size > this.#slab.length) {
      slabs.release(this.#slab);
      this.#slab = slabs.take();
      this.#slabUsed = 0;
    }
    slabs.hold(this.#slab);
    stream.slab = this.#slab;
    stream.body = this.#slab.subarray(this.#slabUsed, this.#slabUsed + size);
    this.#slabUsed += size;
  }

  /** @returns payload bytes consumed, of those that are `available` in `memory` from `at` on */
  #readPayload(memory: ArrayBufferLike, at: number, available: number): number {
    const stream = this.#current;
    if (stream === null) return 0;
    const size = Math.min(this.#chunkLeft, available);
    if (size === 0) return 0;
    this.#partialBytes += size;
    if (this.#partialBytes > this.#partialLimit) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', 'too many bytes in unfinished messages');
    }
    const body = roomFor(stream, size);
    set.call(body, new Uint8Array(memory, at, size), stream.received);
    stream.received += size;
    this.#chunkLeft -= size;
    if (stream.received === stream.length) this.#finish(stream);
    else if (this.#chunkLeft === 0) this.#current = null;
    return size;
  }

  #finish(stream: ChunkStream): void {
    const { type, timestamp, streamId, received, slab } = stream;
    const room = stream.body ?? NOTHING;
    stream.slab = null;
    this.#discard(stream);
    this.#current = null;
    const body = room.length === received ? room : room.subarray(0, received);
    const message = { type, timestamp, streamId, body };
    if (type === MESSAGE.SET_CHUNK_SIZE) this.#setChunkSize(message.body);
    else if (type === MESSAGE.ABORT) this.#abort(message.body);
    else this.#deliver(message);
    if (slab !== null) slabs.release(slab);
  }

  #discard(stream: ChunkStream): void {
    this.#partialBytes -= stream.received;
    stream.body = null;
    stream.received = 0;
    if (stream.slab === null) return;
    slabs.release(stream.slab);
    stream.slab = null;
  }

  #setChunkSize(body: Buffer): void {
    if (body.length < 4) throw badChunk('Set Chunk Size is cut short');
    const size = body.readUInt32BE(0) & 0x7fffffff;
    if (size < RTMP_LIMITS.minChunkSize) {
      throw new SluiceError(
        'SLUICE_RTMP_LIMIT',
        `a chunk size of ${size}, at least ${RTMP_LIMITS.minChunkSize} is needed`,
      );
    }
    this.#chunkSize = Math.min(size, RTMP_LIMITS.maxChunkSize);
  }

  #abort(body: Buffer): void {
    if (body.length < 4) throw badChunk('Abort is cut short');
    const stream = this.#streams.get(body.readUInt32BE(0));
    if (stream !== undefined && stream.body !== null) this.#discard(stream);
  }
}

function badChunk(message: string): SluiceError {
  return new SluiceError('SLUICE_RTMP_BAD_CHUNK', message);
}

function isMedia(type: number): boolean {
  return type === MESSAGE.AUDIO || type === MESSAGE.VIDEO || type === MESSAGE.AGGREGATE;
}

/** Node's readers check what the caller has checked already. */
function readUInt24(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

function isNear(timestamp: number, value: number): boolean {
  return Math.abs(rtmpTimestampDelta(timestamp, value)) <= NEXT_MESSAGE_RANGE_MS;
}

/** The message's buffer with room for `size` more bytes; grows by doubling once what was trusted is used up. */
function roomFor(stream: ChunkStream, size: number): Buffer {
  const body = stream.body ?? NOTHING;
  if (stream.received + size <= body.length) return body;
  const grown = Buffer.allocUnsafeSlow(
    Math.min(stream.length, Math.max(body.length * 2, stream.received + size)),
  );
  body.copy(grown, 0, 0, stream.received);
  stream.body = grown;
  return grown;
}
