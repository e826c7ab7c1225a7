import { chmod, lstat, mkdir, open, stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { platform } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SluiceError } from '../media/errors.ts';

/** Only one process at a time may write to a directory. */
export interface DirectoryLock {
  release(): Promise<void>;
}

const SOCKET = 'lock.sock';
/** What every system takes for the path of a Unix socket. Of a longer one some would silently cut the end off. */
const MAX_PATH_BYTES = 100;
/** A socket that refused twice, this long apart, is not one that its process is just about to open. */
const STALE_AFTER_MS = 50;

/**
 * Takes the directory, waiting for the process that has it: in a deploy that is the old one, which lets go as soon as
 * everything is written down. The lock is a listening Unix socket, so a process that was killed holds nothing, whatever
 * its number was, and the one that waits hears of the end at once.
 *
 * @param onWait another process has it
 * @throws SluiceError SLUICE_STORE_IN_USE when the other process still has it after `patienceMs`
 * @throws SluiceError SLUICE_STORE_UNUSABLE
 */
export async function lockDirectory(
  directory: string,
  patienceMs: number,
  onWait = () => {},
): Promise<DirectoryLock> {
  const socket = await openSocketPath(directory);
  try {
    return await takeSocket(socket, directory, performance.now() + patienceMs, onWait);
  } catch (error) {
    await socket.close();
    if (error instanceof SluiceError) throw error;
    throw unusable(directory, error);
  }
}

interface SocketPath {
  readonly path: string;
  close(): Promise<void>;
}

/** Linux knows every open directory by a short name too. */
async function openSocketPath(directory: string): Promise<SocketPath> {
  try {
    await mkdir(directory, { recursive: true });
    const path = join(directory, SOCKET);
    if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return { path, close: async () => {} };
    const handle = await open(directory);
    return { path: `/proc/self/fd/${handle.fd}/${SOCKET}`, close: () => handle.close() };
  } catch (error) {
    throw unusable(directory, error);
  }
}

async function takeSocket(
  socket: SocketPath,
  directory: string,
  deadline: number,
  onWait: () => void,
): Promise<DirectoryLock> {
  const { path } = socket;
  for (;;) {
    const server = await tryListen(path);
    if (server !== null) return holdLock(server, socket);
    const holder = await tryConnect(path);
    if (holder !== null) onWait();
    const left = deadline - performance.now();
    if (holder === null && left > 0) await removeStale(path);
    else if (holder === null || !(await closedWithin(holder, left))) {
      throw new SluiceError('SLUICE_STORE_IN_USE', `another process uses ${directory}`);
    }
  }
}

/** Null when the path is taken. */
function tryListen(path: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (codeOf(error) === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(path, () => resolve(server));
  });
}

/** What a connect says of a socket that nobody listens to, any more (reset) or at all. */
const NOBODY: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT']);

/** Null when nobody listens there. */
function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => {
      if (NOBODY.has(codeOf(error))) resolve(null);
      else reject(error);
    });
  });
}

/**
 * Takes away what a killed process left. Several processes may be here at a time, and the first of them may have the
 * lock already while the second still believes it stale: so only one looks at a time.
 */
async function removeStale(path: string): Promise<void> {
  const guard = await tryGuard(path);
  if (guard === null) {
    await delay(STALE_AFTER_MS);
    return;
  }
  try {
    const before = await identityOf(path);
    await delay(STALE_AFTER_MS);
    const holder = await tryConnect(path);
    holder?.destroy();
    if (before === null || holder !== null || (await identityOf(path)) !== before) return;
    await unlink(path).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  } finally {
    await new Promise<void>((resolve) => {
      if (guard === 'none') resolve();
      else guard.close(() => resolve());
    });
  }
}

/** An abstract Unix socket, which leaves nothing behind: Linux has them, elsewhere there is none. Null when taken. */
async function tryGuard(path: string): Promise<Server | 'none' | null> {
  if (platform() !== 'linux') return 'none';
  const { dev, ino } = await stat(dirname(path), { bigint: true });
  return tryListen(`\0sluice-stale-${dev}-${ino}`);
}

/** Numbers of files are used again soon, times are not. */
async function identityOf(path: string): Promise<string | null> {
  const stats = await lstat(path, { bigint: true }).catch(() => null);
  return stats === null ? null : `${stats.ino} ${stats.mtimeNs}`;
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

async function holdLock(server: Server, { path, close }: SocketPath): Promise<DirectoryLock> {
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
      await close();
    },
  };
}

function unusable(directory: string, error: unknown): SluiceError {
  const reason = error instanceof Error ? error.message : String(error);
  return new SluiceError('SLUICE_STORE_UNUSABLE', `${directory}: ${reason}`, { cause: error });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}
