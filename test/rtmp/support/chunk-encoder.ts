import type { RtmpMessage } from '../../../src/rtmp/message.ts';

export type Format = 0 | 1 | 2 | 3;
/** Bytes of the basic header. */
export type BasicSize = 1 | 2 | 3;

export interface Choice {
  readonly format: Format;
  /** Falls back to the next size that can hold the id. */
  readonly basic?: BasicSize;
  /** Whether fmt 3 repeats the extended timestamp, where leaving it out is not ambiguous. Default true. */
  readonly repeat?: boolean;
}

interface Last {
  timestamp: number;
  delta: number;
  length: number;
  type: number;
  streamId: number;
  /** Value of the extended timestamp field, if the last header had one. */
  extended: number | null;
}

const EXTENDED = 0xffffff;

/** The fields of a chunk header as bytes, for tests that need one by one. */
export function basicHeader(format: Format, chunkStreamId: number, size: BasicSize = 1): Buffer {
  if (chunkStreamId < 64) return Buffer.of((format << 6) | chunkStreamId);
  const rest = chunkStreamId - 64;
  if (size <= 2 && rest <= 0xff) return Buffer.of(format << 6, rest);
  return Buffer.of((format << 6) | 1, rest & 0xff, rest >> 8);
}

/** Distance the short way round a circle of `modulus`. */
function distance(a: number, b: number, modulus: number): number {
  const forward = (((b - a) % modulus) + modulus) % modulus;
  return Math.min(forward, modulus - forward);
}

/**
 * The reference: writes chunks in every way the specification (RTMP 1.0, section 5.3) and known encoders allow. It
 * shares no code with the reader it tests.
 */
export class ChunkEncoder {
  chunkSize = 128;
  readonly #last = new Map<number, Last>();

  /** Formats in which `message` can begin on this chunk stream. `fresh` forbids fmt 3, which would continue another. */
  formats(chunkStreamId: number, message: RtmpMessage, fresh = false): Format[] {
    const last = this.#last.get(chunkStreamId);
    // librtmp begins chunk streams with fmt 1: stream id and previous time are then 0.
    if (last === undefined) return message.streamId === 0 ? [0, 1] : [0];
    if (message.streamId !== last.streamId) return [0];
    const formats: Format[] = [0];
    const delta = (message.timestamp - last.timestamp) >>> 0;
    const sameShape = message.body.length === last.length && message.type === last.type;
    // Receivers take an extended delta near the last time for an absolute time, as some encoders mean it.
    const plainDelta =
      delta < EXTENDED || (delta < 2 ** 31 && distance(delta, last.timestamp, 2 ** 32) > 60_000);
    if (plainDelta) formats.push(1);
    if (plainDelta && sameShape) formats.push(2);
    if (!fresh && sameShape && message.timestamp === (last.timestamp + last.delta) >>> 0) formats.push(3);
    return formats;
  }

  /** Begins a message; its first chunk has to be taken before anything else is begun on the chunk stream. */
  open(chunkStreamId: number, message: RtmpMessage, choice: Choice): OpenMessage {
    const { format } = choice;
    const last = this.#last.get(chunkStreamId) ?? {
      timestamp: 0,
      delta: 0,
      length: 0,
      type: 0,
      streamId: 0,
      extended: null,
    };
    this.#last.set(chunkStreamId, last);
    const { timestamp, type, streamId, body } = message;
    let header = Buffer.alloc(0);
    if (format !== 3) {
      const value = format === 0 ? timestamp : (timestamp - last.timestamp) >>> 0;
      last.extended = value >= EXTENDED ? value : null;
      // The time of a full header is the delta of what follows without one, except that nobody doubles an extended one.
      last.delta = format === 0 && last.extended !== null ? 0 : value;
      header = Buffer.alloc([11, 7, 3][format] ?? 0);
      header.writeUIntBE(Math.min(value, EXTENDED), 0, 3);
      if (format <= 1) {
        header.writeUIntBE(body.length, 3, 3);
        header.writeUInt8(type, 6);
      }
      if (format === 0) header.writeUInt32LE(streamId, 7);
    }
    const previous = last.timestamp;
    Object.assign(last, { timestamp, type, length: body.length });
    if (format === 0) last.streamId = streamId;
    return new OpenMessage(this, chunkStreamId, message, choice, header, last.extended, previous);
  }

  /** The whole message at once. */
  encode(chunkStreamId: number, message: RtmpMessage, choice: Choice = { format: 0 }): Buffer {
    const open = this.open(chunkStreamId, message, choice);
    const chunks = [open.next()];
    while (!open.done) chunks.push(open.next());
    return Buffer.concat(chunks);
  }
}

/** A message of which some chunks are written. */
export class OpenMessage {
  readonly chunkStreamId: number;
  readonly message: RtmpMessage;
  readonly #encoder: ChunkEncoder;
  readonly #choice: Choice;
  readonly #header: Buffer;
  readonly #extended: number | null;
  readonly #previous: number;
  #written = 0;
  #first = true;

  constructor(
    encoder: ChunkEncoder,
    chunkStreamId: number,
    message: RtmpMessage,
    choice: Choice,
    header: Buffer,
    extended: number | null,
    previous: number,
  ) {
    this.#encoder = encoder;
    this.chunkStreamId = chunkStreamId;
    this.message = message;
    this.#choice = choice;
    this.#header = header;
    this.#extended = extended;
    this.#previous = previous;
  }

  get done(): boolean {
    return !this.#first && this.#written === this.message.body.length;
  }

  /** One chunk, of the size that is in force now. */
  next(): Buffer {
    const format = this.#first ? this.#choice.format : 3;
    const parts = [basicHeader(format, this.chunkStreamId, this.#choice.basic)];
    if (this.#first) parts.push(this.#header);
    if (this.#extended !== null && (format !== 3 || this.#repeats())) {
      const field = Buffer.alloc(4);
      field.writeUInt32BE(this.#extended);
      parts.push(field);
    }
    const { body } = this.message;
    const end = Math.min(body.length, this.#written + this.#encoder.chunkSize);
    parts.push(body.subarray(this.#written, end));
    this.#written = end;
    this.#first = false;
    return Buffer.concat(parts);
  }

  /** Left out only where no receiver could take the payload for it. */
  #repeats(): boolean {
    const rest = this.message.body.subarray(this.#written);
    if (this.#choice.repeat !== false || rest.length < 4) return true;
    const looksLike = rest.readUInt32BE(0);
    if (looksLike === this.#extended) return true;
    const near = [2 ** 31, 2 ** 32].some((modulus) => distance(looksLike, this.#previous, modulus) <= 10_000);
    return this.#first && near;
  }
}

/** Cuts `bytes` into pieces of the given sizes, over and over. */
export function split(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % Math.max(1, sizes.length)] ?? bytes.length;
    // Copies, so that nothing can rely on what follows a piece in memory.
    pieces.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return pieces;
}

/** A body whose bytes differ from place to place and from seed to seed. */
export function filled(length: number, seed = 1): Buffer {
  const body = Buffer.allocUnsafeSlow(length);
  for (let i = 0; i < length; i++) body[i] = (i * 31 + (i >> 8) * 7 + seed * 101) & 0xff;
  return body;
}

/** Messages with their bodies as text, which compares much faster and reads better than buffers do. */
export function readable(messages: readonly RtmpMessage[]): object[] {
  return messages.map((each) => ({ ...each, body: each.body.toString('hex') }));
}
