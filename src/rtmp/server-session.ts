import { type AmfValue, isAmfObject, numberOf, stringOf } from '../formats/amf/value.ts';
import { readTags } from '../formats/flv/tags.ts';
import { ERRORS, type ErrorCode, SluiceError } from '../media/errors.ts';
import { slabs } from '../media/slab-pool.ts';
import { ByteWindow, WINDOW_ACK_SIZE } from './byte-window.ts';
import { ChunkReader } from './chunk-reader.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { decodeCommand, decodeData, type RtmpCommand, type RtmpData } from './commands.ts';
import { ServerHandshake } from './handshake.ts';
import { RTMP_LIMITS } from './limits.ts';
import {
  acknowledgement,
  command,
  MESSAGE,
  type RtmpMessage,
  setChunkSize,
  setPeerBandwidth,
  USER_EVENT,
  userControl,
  windowAckSize,
} from './message.ts';

/** ffmpeg sends with the chunk size we announce; larger chunks are fewer headers for both. */
const OUT_CHUNK_SIZE = 60_000;

/** What holding a message takes besides its body, roughly: messages may be empty. */
const HELD_MESSAGE_BYTES = 256;

/** Kept as long as the connection is there. */
const MAX_URL_LENGTH = 1024;

/** FourCC capability flag "can forward" of Enhanced RTMP v2. */
const CAN_FORWARD = 4;
const VIDEO_FOUR_CCS = ['avc1', 'hvc1', 'vvc1', 'av01', 'vp09', 'vp08'];
const AUDIO_FOUR_CCS = ['mp4a', '.mp3', 'Opus', 'fLaC', 'ac-3', 'ec-3'];
/** Multitrack 2, ModEx 4, nanosecond offsets 8. */
const CAPS_EX = 2 | 4 | 8;

/** What the encoder said about itself when it connected. */
export interface ConnectInfo {
  readonly app: string;
  /** `flashVer`, for example "FMLE/3.0 (compatible; Lavf59.27.100)"; null when absent. */
  readonly encoder: string | null;
  readonly tcUrl: string | null;
  readonly swfUrl: string | null;
  readonly pageUrl: string | null;
}

/** Somebody wants to publish; answer with `accept` or `reject`, now or later. */
export interface PublishRequest extends ConnectInfo {
  readonly key: string;
  /** Starts delivering to `receiver`, beginning with what arrived meanwhile. */
  accept(receiver: PublishReceiver): void;
  /** Tells the encoder why and asks for the connection to be closed. */
  reject(error: SluiceError): void;
}

/** Gets one publication's messages, whose bodies it may use during the call; see {@link ChunkReader} for longer. */
export interface PublishReceiver {
  audio(timestamp: number, body: Buffer): void;
  video(timestamp: number, body: Buffer): void;
  data(data: RtmpData): void;
  /** A data message could not be decoded and was dropped. */
  damaged(error: SluiceError): void;
  /** The encoder said goodbye, or the session ended. Called once. */
  end(): void;
}

export interface ServerSessionHandlers {
  write(bytes: Buffer): void;
  /** True while earlier writes wait for a peer that does not read: what can be left out is. */
  congested(): boolean;
  publish(request: PublishRequest): void;
  /** The session is over by our decision; the bytes written so far should still reach the peer. */
  close(): void;
}

type NetStream =
  | { readonly state: 'created' }
  | { readonly state: 'pending'; readonly key: string; readonly held: RtmpMessage[]; heldBytes: number }
  | { readonly state: 'publishing'; readonly key: string; readonly receiver: PublishReceiver };

/**
 * One RTMP connection as a server sees it, without sockets, timers or permissions: bytes go in with `push`, everything
 * else comes out of the handlers, synchronously. Errors that `push` throws mean a broken peer.
 */
export class ServerSession {
  readonly #handlers: ServerSessionHandlers;
  readonly #writer = new ChunkWriter();
  readonly #reader = new ChunkReader((message) => this.#receive(message));
  readonly #window = new ByteWindow();
  readonly #netStreams = new Map<number, NetStream>();
  #handshake: ServerHandshake | null = new ServerHandshake();
  #connected: ConnectInfo | null = null;
  #nextStreamId = 1;
  #mediaMessages = 0;
  #publishes = 0;
  #closed = false;

  constructor(handlers: ServerSessionHandlers) {
    this.#handlers = handlers;
    this.#reader.partialLimit = RTMP_LIMITS.partialBytesOfStrangers;
  }

  get handshakeDone(): boolean {
    return this.#handshake === null;
  }

  /** Audio, video and data messages of publications so far: the sign of life of a publisher. */
  get mediaMessages(): number {
    return this.#mediaMessages;
  }

  get publishing(): boolean {
    for (const netStream of this.#netStreams.values()) if (netStream.state === 'publishing') return true;
    return false;
  }

  /**
   * @param bytes may be overwritten after the call
   * @throws SluiceError of a broken or hostile peer; the session must be ended then
   */
  push(bytes: Buffer): void {
    if (this.#closed) return;
    let rest: Buffer | null = bytes;
    if (this.#handshake !== null) {
      const result = this.#handshake.push(bytes);
      if (result.response.length > 0) this.#handlers.write(result.response);
      rest = result.rest;
      if (rest === null) return;
      this.#handshake = null;
    }
    const due = this.#window.add(rest.length);
    this.#reader.push(rest);
    if (due && !this.#closed && !this.#handlers.congested())
      this.#send(acknowledgement(this.#window.received));
  }

  /** Asks the peer for a sign of life. @param time any number, comes back in the answer */
  ping(time: number): void {
    if (this.#handshake !== null || this.#closed || this.#handlers.congested()) return;
    this.#send(userControl(USER_EVENT.PING_REQUEST, time));
  }

  /** The transport is gone, or is about to be: ends every publication. Idempotent. */
  end(): void {
    this.#closed = true;
    for (const streamId of [...this.#netStreams.keys()]) this.#endNetStream(streamId);
  }

  /** Tells publishers why they are cut off, then closes. */
  dismiss(reason: ErrorCode): void {
    if (this.#closed) return;
    for (const [streamId, netStream] of this.#netStreams) {
      if (netStream.state !== 'created') this.#status(streamId, 'error', statusCode(reason), ERRORS[reason]);
    }
    this.#close();
  }

  #send(message: RtmpMessage): void {
    this.#handlers.write(this.#writer.encode(message));
  }

  #close(): void {
    this.end();
    this.#handlers.close();
  }

  #receive(message: RtmpMessage): void {
    if (this.#closed) return;
    switch (message.type) {
      case MESSAGE.AUDIO:
      case MESSAGE.VIDEO:
      case MESSAGE.DATA_AMF0:
      case MESSAGE.DATA_AMF3:
        this.#media(message);
        return;
      case MESSAGE.AGGREGATE:
        this.#aggregate(message);
        return;
      case MESSAGE.COMMAND_AMF0:
      case MESSAGE.COMMAND_AMF3:
        this.#command(message);
        return;
      case MESSAGE.WINDOW_ACK_SIZE:
        if (message.body.length >= 4) this.#window.window = message.body.readUInt32BE(0);
        return;
      case MESSAGE.SET_PEER_BANDWIDTH:
        if (message.body.length >= 4) this.#send(windowAckSize(message.body.readUInt32BE(0)));
        return;
      case MESSAGE.USER_CONTROL:
        this.#userControl(message.body);
        return;
      default:
      // Acknowledgements only matter to a sender of media, shared objects have no home here yet, and types that the
      // specification does not know are to be ignored (section 7.1).
    }
  }

  #userControl(body: Buffer): void {
    if (body.length < 6) return;
    if (body.readUInt16BE(0) === USER_EVENT.PING_REQUEST) {
      this.#send(userControl(USER_EVENT.PING_RESPONSE, body.readUInt32BE(2)));
    }
  }

  #media(message: RtmpMessage): void {
    const netStream = this.#netStreams.get(message.streamId);
    if (netStream === undefined || netStream.state === 'created') return;
    this.#mediaMessages++;
    if (netStream.state === 'publishing') {
      deliver(netStream.receiver, message);
    } else if (netStream.heldBytes < RTMP_LIMITS.pendingBytes) {
      // Encoders do not wait for our answer, and the first messages are the sequence headers.
      slabs.keep(message.body);
      netStream.held.push(message);
      netStream.heldBytes += message.body.length + HELD_MESSAGE_BYTES;
    }
  }

  /** Times inside count from the first sub-message; their stream ids are usually 0 and mean the aggregate's. */
  #aggregate({ body, timestamp, streamId }: RtmpMessage): void {
    let base: number | null = null;
    try {
      for (const tag of readTags(body)) {
        base ??= tag.timestamp;
        // Nothing but media belongs into an aggregate.
        if (!isMedia(tag.type)) continue;
        const time = (timestamp + tag.timestamp - base) >>> 0;
        this.#media({ type: tag.type, timestamp: time, streamId, body: Buffer.from(tag.body) });
      }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const netStream = this.#netStreams.get(streamId);
      if (netStream?.state === 'publishing') netStream.receiver.damaged(error);
    }
  }

  #command(message: RtmpMessage): void {
    const received = decodeCommand(message);
    if (received === null) return;
    const { name, transactionId, args } = received;
    switch (name) {
      case 'connect':
        this.#connect(received);
        return;
      case 'createStream':
        this.#createStream(transactionId);
        return;
      case 'publish':
        this.#publish(message.streamId, typeof args[1] === 'string' ? args[1] : '');
        return;
      case 'play':
        // Live playback is HLS here; a clear answer beats a player that waits for ever.
        this.#status(
          message.streamId,
          'error',
          'NetStream.Play.StreamNotFound',
          'This gateway plays over HLS, not RTMP.',
        );
        return;
      case 'closeStream':
        if (this.#endNetStream(message.streamId)) {
          this.#netStreams.set(message.streamId, { state: 'created' });
        }
        return;
      case 'deleteStream':
        this.#deleteStream(args[1]);
        return;
      case 'getStreamLength':
        this.#result(transactionId, null, 0); // live
        return;
      case 'releaseStream':
      case 'FCPublish':
      case 'FCUnpublish':
      case 'FCSubscribe':
      case 'FCUnsubscribe':
      case '_checkbw':
      case 'checkBandwidth':
        this.#result(transactionId, null, undefined);
        return;
      case '_result':
      case '_error':
      case 'onStatus':
        return;
      default:
        this.#unknownCommand(name, transactionId);
    }
  }

  #unknownCommand(name: string, transactionId: number): void {
    if (transactionId === 0) return;
    this.#send(
      command(0, '_error', transactionId, null, {
        level: 'error',
        code: 'NetConnection.Call.Failed',
        description: `Method not found (${name.slice(0, 64)}).`,
      }),
    );
  }

  /** The order of the answers is what all known clients accept (the union of what other servers send). */
  #connect({ transactionId, args }: RtmpCommand): void {
    const object = args[0];
    const app = stringOf(object, 'app') ?? '';
    const textOf = (name: string, longest: number) => stringOf(object, name)?.slice(0, longest) ?? null;
    this.#connected = {
      app,
      encoder: textOf('flashVer', 128),
      tcUrl: textOf('tcUrl', MAX_URL_LENGTH),
      swfUrl: textOf('swfUrl', MAX_URL_LENGTH),
      pageUrl: textOf('pageUrl', MAX_URL_LENGTH),
    };
    this.#send(windowAckSize(WINDOW_ACK_SIZE));
    this.#send(setPeerBandwidth(WINDOW_ACK_SIZE));
    this.#send(setChunkSize(OUT_CHUNK_SIZE));
    this.#writer.chunkSize = OUT_CHUNK_SIZE;
    const canForward = (names: readonly string[]) =>
      Object.fromEntries(names.map((name) => [name, CAN_FORWARD]));
    // Enhanced RTMP does not say which of the two objects carries its answer, so both do.
    const enhanced = () => ({
      capsEx: CAPS_EX,
      fourCcList: [...VIDEO_FOUR_CCS, ...AUDIO_FOUR_CCS],
      videoFourCcInfoMap: canForward(VIDEO_FOUR_CCS),
      audioFourCcInfoMap: canForward(AUDIO_FOUR_CCS),
    });
    this.#result(
      transactionId,
      { fmsVer: 'FMS/3,0,1,123', capabilities: 31, mode: 1, ...enhanced() },
      {
        level: 'status',
        code: 'NetConnection.Connect.Success',
        description: 'Connection succeeded.',
        objectEncoding: isAmfObject(object) && numberOf(object, 'objectEncoding') === 3 ? 3 : 0,
        ...enhanced(),
      },
    );
  }

  #createStream(transactionId: number): void {
    if (this.#netStreams.size >= RTMP_LIMITS.messageStreams) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', `more than ${RTMP_LIMITS.messageStreams} message streams`);
    }
    // Some ids may be in use without having been created.
    while (this.#netStreams.has(this.#nextStreamId)) this.#nextStreamId++;
    const streamId = this.#nextStreamId++;
    this.#netStreams.set(streamId, { state: 'created' });
    this.#result(transactionId, null, streamId);
  }

  #publish(streamId: number, key: string): void {
    if (++this.#publishes > RTMP_LIMITS.publishes) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', `more than ${RTMP_LIMITS.publishes} publish commands`);
    }
    if (this.#connected === null) throw new SluiceError('SLUICE_RTMP_BAD_MESSAGE', 'publish before connect');
    // Publishing on a stream that was never created, or again on one in use, starts it over.
    this.#endNetStream(streamId);
    if (this.#netStreams.size >= RTMP_LIMITS.messageStreams) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', `more than ${RTMP_LIMITS.messageStreams} message streams`);
    }
    const pending: NetStream = { state: 'pending', key, held: [], heldBytes: 0 };
    this.#netStreams.set(streamId, pending);
    const stillPending = () => this.#netStreams.get(streamId) === pending;
    this.#handlers.publish({
      ...this.#connected,
      key,
      accept: (receiver) => {
        if (!stillPending()) {
          receiver.end();
          return;
        }
        const publishing: NetStream = { state: 'publishing', key, receiver };
        this.#netStreams.set(streamId, publishing);
        this.#reader.partialLimit = RTMP_LIMITS.partialBytes;
        this.#send(userControl(USER_EVENT.STREAM_BEGIN, streamId));
        this.#status(streamId, 'status', 'NetStream.Publish.Start', 'Publishing started.');
        for (const message of pending.held) {
          // The receiver, or the answer that could not be written, may have ended the session.
          if (this.#netStreams.get(streamId) === publishing) deliver(receiver, message);
        }
      },
      reject: (error) => {
        if (!stillPending()) return;
        this.#status(streamId, 'error', statusCode(error.code), `${error.message}. ${error.advice}`);
        this.#close();
      },
    });
  }

  /** By id; GStreamer sends the stream's name instead. */
  #deleteStream(which: AmfValue): void {
    for (const [streamId, netStream] of [...this.#netStreams]) {
      const byName = typeof which === 'string' && netStream.state !== 'created' && netStream.key === which;
      if (streamId !== which && !byName) continue;
      this.#endNetStream(streamId);
    }
  }

  /** @returns whether there was one */
  #endNetStream(streamId: number): boolean {
    const netStream = this.#netStreams.get(streamId);
    this.#netStreams.delete(streamId);
    if (netStream?.state === 'publishing') {
      netStream.receiver.end();
      if (!this.#closed) {
        this.#status(streamId, 'status', 'NetStream.Unpublish.Success', 'Publishing stopped.');
      }
    }
    return netStream !== undefined;
  }

  #result(transactionId: number, ...values: AmfValue[]): void {
    if (transactionId !== 0) this.#send(command(0, '_result', transactionId, ...values));
  }

  /** ffmpeg reads onStatus at fixed offsets: exactly a transaction id and null before the object. */
  #status(streamId: number, level: 'status' | 'error', code: string, description: string): void {
    this.#send(command(streamId, 'onStatus', 0, null, { level, code, description }));
  }
}

function isMedia(type: number): boolean {
  return (
    type === MESSAGE.AUDIO ||
    type === MESSAGE.VIDEO ||
    type === MESSAGE.DATA_AMF0 ||
    type === MESSAGE.DATA_AMF3
  );
}

function deliver(receiver: PublishReceiver, message: RtmpMessage): void {
  if (message.type === MESSAGE.AUDIO) receiver.audio(message.timestamp, message.body);
  else if (message.type === MESSAGE.VIDEO) receiver.video(message.timestamp, message.body);
  else {
    deliverData(receiver, message);
  }
}

/** Metadata is only a hint: when it is broken the pictures still count. */
function deliverData(receiver: PublishReceiver, message: RtmpMessage): void {
  let data: RtmpData | null;
  try {
    data = decodeData(message);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    receiver.damaged(error);
    return;
  }
  if (data !== null) receiver.data(data);
}

/** The status codes that encoders treat as final; OBS and GStreamer show different texts for each. */
function statusCode(code: ErrorCode): string {
  switch (code) {
    case 'SLUICE_RTMP_NAME_IN_USE':
    case 'SLUICE_RTMP_REPLACED':
      return 'NetStream.Publish.BadName';
    case 'SLUICE_SHUTTING_DOWN':
      return 'NetConnection.Connect.AppShutdown';
    default:
      return 'NetStream.Publish.Denied';
  }
}
