import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { platform } from 'node:os';

/** Four times what Node reads at once: fewer calls into the kernel, and it still fits into a processor's cache. */
const READ_BUFFER_BYTES = 256 * 1024;

/** Gives an accepted socket that was not read from yet, and begins to read it. */
export type BeginReads = (accepted: Socket) => Socket;

/**
 * Lets all sockets of a listener read into one buffer. Node allocates 64 KiB for each read of an accepted socket and
 * leaves them to the garbage collector; only a socket that was made with the option `onread` reads into memory that
 * is there already, and a listener makes none. So the handle of the accepted socket moves to a new one. That handle
 * has no public name: where it is not found, reads go on as Node does them.
 *
 * What a socket's `data` event carries is overwritten by the next read of any of them.
 *
 * @param take parts a socket from its handle, or returns null and leaves it as it is
 */
export function sharedReads(take: (accepted: Socket) => object | null = takeHandle): BeginReads {
  // Windows reads while JavaScript runs, so there every socket would need a buffer of its own.
  if (platform() === 'win32') return readOnItsOwn;
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  return (accepted) => {
    const handle = take(accepted);
    if (handle === null) return readOnItsOwn(accepted);
    const options: SocketConstructorOpts & ConnectOpts & { readonly handle: object } = {
      handle,
      onread: {
        buffer,
        callback: (bytes) => {
          socket.emit('data', buffer.subarray(0, bytes));
          return true;
        },
      },
    };
    const socket = new Socket(options);
    return socket;
  };
}

function readOnItsOwn(accepted: Socket): Socket {
  // The listener pauses what it accepts.
  return accepted.resume();
}

/** What remains of the accepted socket has nothing to close; the listener no longer counts it. */
function takeHandle(accepted: Socket & { _handle?: unknown }): object | null {
  const handle = accepted._handle;
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return null;
  accepted._handle = null;
  accepted.destroy();
  return handle;
}
