import { chmod, mkdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { SluiceError } from '../media/errors.ts';

/** Only one process at a time may write to a directory. */
export interface DirectoryLock {
  release(): Promise<void>;
}

const SOCKET = 'lock.sock';

/**
 * Takes the directory, waiting for the process that has it: in a deploy that is the old one, which lets go as soon as
 * everything is written down. The lock is a listening Unix socket, so a process that was killed holds nothing, whatever
 * its number was, and the one that waits hears of the end at once.
 *
 * @throws SluiceError SLUICE_STORE_IN_USE when the other process still has it after `patienceMs`
 */
export async function lockDirectory(directory: string, patienceMs: number): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, SOCKET);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const server = await tryListen(path);
    if (server !== null) return holdLock(server, path);
    const holder = await tryConnect(path);
    if (holder === null) {
      // Nobody listens: what is left of a killed process.
      await unlink(path).catch(() => {});
      continue;
    }
    if (!(await closedWithin(holder, deadline - performance.now()))) {
      throw new SluiceError('SLUICE_STORE_IN_USE', `another process uses ${directory}`);
    }
  }
}

/** @throws SluiceError SLUICE_STORE_UNUSABLE */
function tryListen(path: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(null);
      else reject(new SluiceError('SLUICE_STORE_UNUSABLE', `${path}: ${error.message}`, { cause: error }));
    });
    server.listen(path, () => resolve(server));
  });
}

function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}

/** Waits for the other side to hang up. */
function closedWithin(socket: Socket, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(closed);
    };
    const timer = setTimeout(() => finish(false), Math.max(0, ms));
    socket.once('close', () => finish(true));
    socket.on('error', () => {});
    socket.resume();
  });
}

async function holdLock(server: Server, path: string): Promise<DirectoryLock> {
  const waiting = new Set<Socket>();
  server.on('connection', (socket) => {
    waiting.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => waiting.delete(socket));
  });
  server.unref();
  await chmod(path, 0o600).catch(() => {});
  return {
    release: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of waiting) socket.destroy();
      await closed;
    },
  };
}
