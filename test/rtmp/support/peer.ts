import { randomBytes } from 'node:crypto';
import { decodeAmf0, encodeAmf0 } from '../../../src/formats/amf/amf0.ts';
import type { AmfValue } from '../../../src/formats/amf/value.ts';
import type { SluiceError } from '../../../src/media/errors.ts';
import { ChunkReader } from '../../../src/rtmp/chunk-reader.ts';
import type { RtmpData } from '../../../src/rtmp/commands.ts';
import type { RtmpMessage } from '../../../src/rtmp/message.ts';
import {
  type PublishReceiver,
  type PublishRequest,
  ServerSession,
} from '../../../src/rtmp/server-session.ts';
import { ChunkEncoder } from './chunk-encoder.ts';

/** What a receiver was told, in order: kind, time and content, or just the end. */
export type Heard = ['audio' | 'video', number, string] | ['data', RtmpData] | ['damaged', string] | ['end'];

/** A receiver that writes everything down. */
export class Recorder implements PublishReceiver {
  readonly heard: Heard[] = [];

  audio(timestamp: number, body: Buffer): void {
    this.heard.push(['audio', timestamp, body.toString('hex')]);
  }

  video(timestamp: number, body: Buffer): void {
    this.heard.push(['video', timestamp, body.toString('hex')]);
  }

  data(data: RtmpData): void {
    this.heard.push(['data', data]);
  }

  damaged(error: SluiceError): void {
    this.heard.push(['damaged', error.code]);
  }

  end(): void {
    this.heard.push(['end']);
  }

  get ends(): number {
    return this.heard.filter(([kind]) => kind === 'end').length;
  }
}

/** What a session answered, in a form that reads well: commands with their stream id and values, the rest as bytes. */
export type Answer = [streamId: number, ...values: AmfValue[]] | [type: string, body: string];

export function commandBytes(...values: AmfValue[]): Buffer {
  return encodeAmf0(values);
}

/** A client that shares memory with the server session under test and writes any bytes it is told to. */
export class Peer {
  readonly encoder = new ChunkEncoder();
  readonly requests: PublishRequest[] = [];
  readonly session: ServerSession;
  /** Everything the session wrote after the handshake. */
  readonly written: Buffer[] = [];
  /** How often the session asked for the close. */
  closes = 0;
  /** When set, publications are accepted as soon as they are asked for. */
  receiver: PublishReceiver | null = null;
  readonly #answers: RtmpMessage[] = [];
  readonly #reader = new ChunkReader((message) => this.#answers.push(message));

  constructor() {
    this.session = new ServerSession({
      congested: () => false,
      write: (bytes) => {
        this.written.push(bytes);
      },
      publish: (request) => {
        this.requests.push(request);
        if (this.receiver !== null) request.accept(this.receiver);
      },
      close: () => {
        this.closes++;
      },
    });
    const handshake = Buffer.concat([Buffer.of(3), Buffer.alloc(8), randomBytes(1528), Buffer.alloc(1536)]);
    for (const half of [handshake.subarray(0, 1000), handshake.subarray(1000)]) {
      this.session.push(half);
      half.fill(0xee);
    }
    this.written.length = 0;
  }

  send(csid: number, message: RtmpMessage): void {
    const bytes = this.encoder.encode(csid, message);
    this.session.push(bytes);
    // As a socket's read buffer is: nothing of it may be kept.
    bytes.fill(0xee);
  }

  control(type: number, body: Buffer): void {
    this.send(2, { type, timestamp: 0, streamId: 0, body });
  }

  command(streamId: number, ...values: AmfValue[]): void {
    this.send(3, { type: 20, timestamp: 0, streamId, body: encodeAmf0(values) });
  }

  media(type: number, timestamp: number, body: Buffer, streamId = 1): void {
    this.send(4, { type, timestamp, streamId, body });
  }

  setChunkSize(size: number): void {
    const body = Buffer.alloc(4);
    body.writeUInt32BE(size);
    this.control(1, body);
    this.encoder.chunkSize = size;
  }

  /** connect and createStream; leaves no answers behind. */
  connect(app = 'live'): void {
    this.command(0, 'connect', 1, { app });
    this.command(0, 'createStream', 2, null);
    this.answers();
  }

  /** connect, createStream and publish, accepted by a recorder; leaves no answers behind. */
  publish(key = 'test'): Recorder {
    this.connect();
    const recorder = new Recorder();
    this.receiver = recorder;
    this.command(1, 'publish', 3, null, key, 'live');
    this.answers();
    return recorder;
  }

  /** What the session answered since the last call. */
  answers(): Answer[] {
    for (const bytes of this.written.splice(0)) this.#reader.push(bytes);
    return this.#answers
      .splice(0)
      .map(({ type, streamId, body }) =>
        type === 20 ? [streamId, ...decodeAmf0(body)] : [NAMES[type] ?? `type ${type}`, body.toString('hex')],
      );
  }
}

const NAMES: { readonly [type: number]: string } = {
  3: 'Acknowledgement',
  4: 'User Control',
  5: 'Window Acknowledgement Size',
  6: 'Set Peer Bandwidth',
};

/** onStatus as encoders expect it. */
export function status(streamId: number, level: string, code: string, description: string): Answer {
  return [streamId, 'onStatus', 0, null, { level, code, description }];
}
