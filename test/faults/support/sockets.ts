import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** How many files and connections this process may have open. */
export const descriptorLimit = Number(
  /Max open files\s+\S+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0,
);
/** What a thousand connections need in each of the two processes, with room for everything else. */
export const ENOUGH_DESCRIPTORS = 2500;

/** A TCP connection whose errors are nobody's business. */
export interface RawSocket {
  readonly socket: Socket;
  readonly closed: Promise<void>;
}

export async function openSocket(port: number, allowHalfOpen = false): Promise<RawSocket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return { socket, closed };
}

/** Opens many that read whatever comes, a few at a time: the backlog of a listener is finite. */
export async function openSockets(port: number, count: number): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    const some = Math.min(50, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => openSocket(port)))));
  }
  // Who does not read does not see the end either.
  for (const { socket } of sockets) socket.resume();
  return sockets;
}

export async function closeAll(sockets: readonly RawSocket[]): Promise<void> {
  for (const { socket } of sockets) socket.destroy();
  await Promise.all(sockets.map(({ closed }) => closed));
}

/** Resolves when something has come, or nothing will. */
export function nextData(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('data', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('data', done);
    socket.on('close', done);
  });
}
