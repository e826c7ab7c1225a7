import { connect, type Socket } from 'node:net';
import type { AmfValue } from '../../formats/amf/value.ts';
import { MESSAGE } from '../../rtmp/message.ts';
import { PublishSession } from '../../rtmp/publish-session.ts';

export interface RtmpPublisherOptions {
  readonly host: string;
  readonly port: number;
  readonly app: string;
  readonly key: string;
  /** Where the connection comes from; the system chooses when absent. */
  readonly localAddress?: string | undefined;
}

/** A connected publisher; used by the demo and by tests. */
export interface RtmpPublisher {
  audio(timestamp: number, body: Buffer): void;
  video(timestamp: number, body: Buffer): void;
  metadata(metadata: AmfValue): void;
  /** Resolves when what was sent so far is out of this process's hands. */
  drained(): Promise<void>;
  /** Says goodbye and closes. */
  stop(): Promise<void>;
  /** Cuts the connection without a word. */
  abort(): void;
  /** Resolves when the connection is closed, by whomever. */
  readonly closed: Promise<void>;
}

/** Connects and publishes; resolves when the server has accepted. @throws Error with the server's reason */
export async function publishRtmp(options: RtmpPublisherOptions): Promise<RtmpPublisher> {
  const { host, port, app, key, localAddress } = options;
  const socket = connect({ host, port, noDelay: true, localAddress });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const session = await new Promise<PublishSession>((resolve, reject) => {
    const created: PublishSession = new PublishSession(
      { app, key, tcUrl: `rtmp://${host}:${port}/${app}` },
      {
        write: (bytes) => socket.writable && socket.write(bytes),
        ready: () => resolve(created),
        refused: (code, description) => reject(new Error(`${code}: ${description}`)),
      },
    );
    socket.once('connect', () => created.start());
    socket.on('data', (bytes) => {
      try {
        created.push(bytes);
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('the server closed the connection')));
  });
  return {
    audio: (timestamp, body) => session.sendMedia(MESSAGE.AUDIO, timestamp, body),
    video: (timestamp, body) => session.sendMedia(MESSAGE.VIDEO, timestamp, body),
    metadata: (metadata) => session.sendMetadata(metadata),
    drained: () => drained(socket),
    stop: async () => {
      session.stop();
      socket.end();
      await closed;
    },
    abort: () => socket.resetAndDestroy(),
    closed,
  };
}

function drained(socket: Socket): Promise<void> {
  if (!socket.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
