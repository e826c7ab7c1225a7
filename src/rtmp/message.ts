import { encodeAmf0 } from '../formats/amf/amf0.ts';
import type { AmfValue } from '../formats/amf/value.ts';

/** Message type ids (RTMP 1.0 section 5.4 and 7.1). */
export const MESSAGE = {
  SET_CHUNK_SIZE: 1,
  ABORT: 2,
  ACKNOWLEDGEMENT: 3,
  USER_CONTROL: 4,
  WINDOW_ACK_SIZE: 5,
  SET_PEER_BANDWIDTH: 6,
  AUDIO: 8,
  VIDEO: 9,
  DATA_AMF3: 15,
  SHARED_OBJECT_AMF3: 16,
  COMMAND_AMF3: 17,
  DATA_AMF0: 18,
  SHARED_OBJECT_AMF0: 19,
  COMMAND_AMF0: 20,
  AGGREGATE: 22,
} as const;

/** User control event types (RTMP 1.0 section 7.1.7). */
export const USER_EVENT = { STREAM_BEGIN: 0, STREAM_EOF: 1, PING_REQUEST: 6, PING_RESPONSE: 7 } as const;

/** Chunk stream ids we send on; any would do, these are what other servers use. */
export const CHUNK_STREAM = { CONTROL: 2, COMMAND: 3, AUDIO: 4, STATUS: 5, VIDEO: 6, DATA: 7 } as const;

/** A whole message: what the chunk layer delivers and takes. */
export interface RtmpMessage {
  readonly type: number;
  /** Unsigned 32-bit milliseconds. */
  readonly timestamp: number;
  /** Message stream id; 0 is the connection itself. */
  readonly streamId: number;
  /** Exact size. One that was received may be used during its delivery; see {@link ChunkReader} for longer. */
  readonly body: Buffer;
}

function control(type: number, body: Buffer): RtmpMessage {
  return { type, timestamp: 0, streamId: 0, body };
}

function uint32(value: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(value >>> 0);
  return body;
}

export function setChunkSize(size: number): RtmpMessage {
  return control(MESSAGE.SET_CHUNK_SIZE, uint32(size));
}

/** @param total bytes received so far, modulo 2^32 (not since the last acknowledgement) */
export function acknowledgement(total: number): RtmpMessage {
  return control(MESSAGE.ACKNOWLEDGEMENT, uint32(total));
}

export function windowAckSize(bytes: number): RtmpMessage {
  return control(MESSAGE.WINDOW_ACK_SIZE, uint32(bytes));
}

/** Limit type 2, dynamic. The window equals the acknowledgement window, or peers answer with another one. */
export function setPeerBandwidth(bytes: number): RtmpMessage {
  return control(MESSAGE.SET_PEER_BANDWIDTH, Buffer.concat([uint32(bytes), Buffer.from([2])]));
}

export function userControl(event: number, value: number): RtmpMessage {
  return control(MESSAGE.USER_CONTROL, Buffer.concat([Buffer.from([0, event]), uint32(value)]));
}

/** An AMF0 command: name, transaction id, then command object and arguments. */
export function command(
  streamId: number,
  name: string,
  transactionId: number,
  ...args: AmfValue[]
): RtmpMessage {
  return {
    type: MESSAGE.COMMAND_AMF0,
    timestamp: 0,
    streamId,
    body: encodeAmf0([name, transactionId, ...args]),
  };
}

/** Chunk stream a message is sent on: audio and video apart, so that neither waits for the other's long messages. */
export function chunkStreamOf(message: RtmpMessage): number {
  switch (message.type) {
    case MESSAGE.AUDIO:
      return CHUNK_STREAM.AUDIO;
    case MESSAGE.VIDEO:
      return CHUNK_STREAM.VIDEO;
    case MESSAGE.DATA_AMF0:
    case MESSAGE.DATA_AMF3:
      return CHUNK_STREAM.DATA;
    case MESSAGE.COMMAND_AMF0:
    case MESSAGE.COMMAND_AMF3:
      return message.streamId === 0 ? CHUNK_STREAM.COMMAND : CHUNK_STREAM.STATUS;
    default:
      return CHUNK_STREAM.CONTROL;
  }
}
