import { connect } from 'node:net';
import { MESSAGE } from '../../dist/rtmp/message.js';
import { PublishSession } from '../../dist/rtmp/publish-session.js';
import { sequenceHeaders } from './media.js';

/** Chunk size that the publish session announces. */
export const CHUNK_SIZE = 4096;
const HEADERS = sequenceHeaders();

/**
 * Connects as OBS does and sends metadata and sequence headers; what follows are ready-made chunks through `socket`.
 *
 * @returns {Promise<{ socket: import('node:net').Socket, stop(): Promise<void> }>}
 */
export async function openPublisher(port, key) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const session = await new Promise((resolve, reject) => {
    const created = new PublishSession(
      { app: 'live', key, tcUrl: `rtmp://127.0.0.1:${port}/live` },
      {
        write: (bytes) => socket.writable && socket.write(bytes),
        ready: () => resolve(created),
        refused: (code, description) => reject(new Error(`${code}: ${description}`)),
      },
    );
    socket.once('connect', () => created.start());
    socket.on('data', (bytes) => created.push(bytes));
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('the server closed the connection')));
  });
  session.sendMetadata({ videocodecid: 7, audiocodecid: 10, width: 1280, height: 720, framerate: 30 });
  session.sendMedia(MESSAGE.VIDEO, 0, HEADERS.video);
  // A frame later than video, so that no audio stands before the first picture and every frame is delivered.
  session.sendMedia(MESSAGE.AUDIO, 33, HEADERS.audio);
  return {
    socket,
    /** Resolves when the server has read everything: it closes only then. */
    stop: async () => {
      session.stop();
      socket.end();
      await closed;
    },
  };
}

/** Sends `bytes` again and again, as fast as the server takes them. @returns bytes sent */
export async function sendUnpaced(socket, bytes, total) {
  let wake = () => {};
  const wakeUp = () => wake();
  socket.on('drain', wakeUp).on('close', wakeUp);
  let sent = 0;
  while (sent < total) {
    if (socket.destroyed) throw new Error(`the server closed the connection after ${sent} bytes`);
    sent += bytes.length;
    if (socket.write(bytes)) continue;
    await new Promise((resolve) => {
      wake = resolve;
    });
  }
  return sent;
}
