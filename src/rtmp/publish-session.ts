import { encodeAmf0 } from '../formats/amf/amf0.ts';
import { type AmfValue, stringOf } from '../formats/amf/value.ts';
import { SluiceError } from '../media/errors.ts';
import { ByteWindow } from './byte-window.ts';
import { ChunkReader } from './chunk-reader.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { decodeCommand, type RtmpCommand } from './commands.ts';
import { ClientHandshake } from './handshake.ts';
import {
  acknowledgement,
  command,
  MESSAGE,
  type RtmpMessage,
  setChunkSize,
  USER_EVENT,
  userControl,
} from './message.ts';

const OUT_CHUNK_SIZE = 4096;
const CONNECT_ID = 1;
const CREATE_STREAM_ID = 4;
const PUBLISH_ID = 5;

export interface PublishSessionOptions {
  readonly app: string;
  readonly key: string;
  readonly tcUrl: string;
}

export interface PublishSessionHandlers {
  write(bytes: Buffer): void;
  /** The server accepted: media may be sent. */
  ready(): void;
  /** The server refused; it is about to close. */
  refused(code: string, description: string): void;
}

/** An RTMP publisher without a socket: what OBS does on the wire, for the demo and the tests. */
export class PublishSession {
  readonly #options: PublishSessionOptions;
  readonly #handlers: PublishSessionHandlers;
  readonly #handshake = new ClientHandshake();
  readonly #reader = new ChunkReader((message) => this.#receive(message));
  readonly #writer = new ChunkWriter();
  readonly #window = new ByteWindow();
  #handshakeDone = false;
  #streamId: number | null = null;

  constructor(options: PublishSessionOptions, handlers: PublishSessionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  start(): void {
    this.#handlers.write(this.#handshake.start());
  }

  /** @throws SluiceError when the server breaks the protocol */
  push(bytes: Buffer): void {
    let rest = bytes;
    if (!this.#handshakeDone) {
      const result = this.#handshake.push(bytes);
      if (result.rest === null) return;
      this.#handlers.write(result.response);
      this.#handshakeDone = true;
      this.#connect();
      rest = result.rest;
    }
    if (this.#window.add(rest.length)) this.#send(acknowledgement(this.#window.received));
    this.#reader.push(rest);
  }

  /** One FLV tag body. Only after `ready`. */
  sendMedia(type: typeof MESSAGE.AUDIO | typeof MESSAGE.VIDEO, timestamp: number, body: Buffer): void {
    if (this.#streamId !== null) this.#send({ type, timestamp, streamId: this.#streamId, body });
  }

  /** onMetaData in the wrapping that servers expect. */
  sendMetadata(metadata: AmfValue): void {
    if (this.#streamId === null) return;
    const body = encodeAmf0(['@setDataFrame', 'onMetaData', metadata]);
    this.#send({ type: MESSAGE.DATA_AMF0, timestamp: 0, streamId: this.#streamId, body });
  }

  /** The polite goodbye. */
  stop(): void {
    if (this.#streamId === null) return;
    this.#send(command(0, 'FCUnpublish', 6, null, this.#options.key));
    this.#send(command(0, 'deleteStream', 7, null, this.#streamId));
    this.#streamId = null;
  }

  #send(message: RtmpMessage): void {
    this.#handlers.write(this.#writer.encode(message));
  }

  #connect(): void {
    const { app, tcUrl } = this.#options;
    this.#send(setChunkSize(OUT_CHUNK_SIZE));
    this.#writer.chunkSize = OUT_CHUNK_SIZE;
    this.#send(
      command(0, 'connect', CONNECT_ID, {
        app,
        type: 'nonprivate',
        flashVer: 'FMLE/3.0 (compatible; Sluice)',
        tcUrl,
      }),
    );
  }

  #receive(message: RtmpMessage): void {
    if (message.type === MESSAGE.USER_CONTROL) {
      const { body } = message;
      if (body.length >= 6 && body.readUInt16BE(0) === USER_EVENT.PING_REQUEST) {
        this.#send(userControl(USER_EVENT.PING_RESPONSE, body.readUInt32BE(2)));
      }
      return;
    }
    if (message.type !== MESSAGE.COMMAND_AMF0 && message.type !== MESSAGE.COMMAND_AMF3) return;
    const received = decodeCommand(message);
    if (received !== null) this.#reply(received);
  }

  #reply({ name, transactionId, args }: RtmpCommand): void {
    if (name === '_error' && (transactionId === CONNECT_ID || transactionId === CREATE_STREAM_ID)) {
      this.#handlers.refused(stringOf(args[1], 'code') ?? name, stringOf(args[1], 'description') ?? '');
    } else if (name === '_result' && transactionId === CONNECT_ID) {
      const { key } = this.#options;
      this.#send(command(0, 'releaseStream', 2, null, key));
      this.#send(command(0, 'FCPublish', 3, null, key));
      this.#send(command(0, 'createStream', CREATE_STREAM_ID, null));
    } else if (name === '_result' && transactionId === CREATE_STREAM_ID) {
      if (typeof args[1] !== 'number')
        throw new SluiceError('SLUICE_RTMP_BAD_MESSAGE', 'createStream returned no id');
      this.#streamId = args[1];
      this.#send(command(this.#streamId, 'publish', PUBLISH_ID, null, this.#options.key, 'live'));
    } else if (name === 'onStatus') {
      const code = stringOf(args[1], 'code') ?? '';
      if (code === 'NetStream.Publish.Start') this.#handlers.ready();
      else if (stringOf(args[1], 'level') === 'error') {
        this.#handlers.refused(code, stringOf(args[1], 'description') ?? '');
      }
    }
  }
}
