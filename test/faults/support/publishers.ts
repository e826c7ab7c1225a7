import type { Socket } from 'node:net';
import { type FlvTag, TAG_TYPE } from '../../../src/formats/flv/tags.ts';
import { ChunkWriter } from '../../../src/rtmp/chunk-writer.ts';
import { command, MESSAGE } from '../../../src/rtmp/message.ts';
import { PublishSession } from '../../../src/rtmp/publish-session.ts';
import { ChunkEncoder } from '../../rtmp/support/chunk-encoder.ts';
import { nextData, openSocket } from './sockets.ts';

const HANDSHAKE_ANSWER = 1 + 2 * 1536;
const AAC_HEADER = Buffer.from('af001190', 'hex');
const AAC_FRAME = Buffer.from('af01211004608c1c', 'hex');
/** 1024 samples at 48 kHz. */
const AAC_FRAME_MS = 64 / 3;

/** A keyframe of legacy AVC with so many bytes, in which there is no picture. */
export function emptyKeyframe(bytes: number): Buffer {
  const keyframe = Buffer.alloc(bytes, 0x5a);
  keyframe.set(Buffer.from('1701000000', 'hex'));
  keyframe.writeUInt32BE(bytes - 9, 5);
  keyframe.writeUInt8(0x65, 9);
  return keyframe;
}

/** A publisher that was accepted, with its socket for what no encoder does. */
export interface RawPublisher {
  readonly socket: Socket;
  readonly session: PublishSession;
  readonly closed: Promise<void>;
  send(tags: Iterable<FlvTag>): void;
}

/** @param write how bytes get to the socket; as they come when absent */
export async function rawPublisher(
  port: number,
  key: string,
  write: (socket: Socket, bytes: Buffer) => void = (socket, bytes) => socket.write(bytes),
): Promise<RawPublisher> {
  const { socket, closed } = await openSocket(port);
  const session = await new Promise<PublishSession>((resolve, reject) => {
    const created: PublishSession = new PublishSession(
      { app: 'live', key, tcUrl: `rtmp://127.0.0.1:${port}/live` },
      {
        write: (bytes) => {
          if (socket.writable) write(socket, bytes);
        },
        ready: () => resolve(created),
        refused: (code) => reject(new Error(code)),
      },
    );
    socket.on('data', (bytes) => created.push(bytes));
    void closed.then(() => reject(new Error('the gateway closed the connection')));
    created.start();
  });
  return {
    socket,
    session,
    closed,
    send: (tags) => {
      for (const { type, timestamp, body } of tags) {
        if (type === TAG_TYPE.DATA) continue;
        session.sendMedia(type === TAG_TYPE.AUDIO ? MESSAGE.AUDIO : MESSAGE.VIDEO, timestamp, body);
      }
    },
  };
}

/** Publishes several names over one connection, each with some seconds of sound. */
export async function publishNames(port: number, names: readonly string[], seconds: number) {
  const { socket, closed } = await openSocket(port);
  let received = 0;
  socket.on('data', (bytes) => {
    received += bytes.length;
  });
  socket.write(Buffer.concat([Buffer.of(3), Buffer.alloc(1536)]));
  while (received < HANDSHAKE_ANSWER && !socket.destroyed) await nextData(socket);
  socket.write(Buffer.alloc(1536));
  const commands = new ChunkWriter();
  socket.write(commands.encode(command(0, 'connect', 1, { app: 'live' })));
  const media = new ChunkEncoder();
  names.forEach((name, index) => {
    const streamId = index + 1;
    const audio = (timestamp: number, body: Buffer) =>
      media.encode(3 + streamId, { type: MESSAGE.AUDIO, timestamp, streamId, body });
    const frames = Array.from({ length: (seconds * 1000) / AAC_FRAME_MS }, (_, n) =>
      audio(Math.round(n * AAC_FRAME_MS), AAC_FRAME),
    );
    socket.write(commands.encode(command(streamId, 'publish', 2, null, name, 'live')));
    socket.write(Buffer.concat([audio(0, AAC_HEADER), ...frames]));
  });
  return { socket, closed };
}
