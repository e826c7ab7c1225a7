import type { Server, Socket } from 'node:net';

/**
 * Follows the connections of a server.
 *
 * @returns what waits in their sockets, in bytes: what was written and the kernel has not taken, because the other side
 *   does not read. The socket lets go of an answer as a whole, and so it counts as a whole. An answer that waits behind
 *   another on its connection is not in the socket yet.
 */
export function followSockets(server: Server): () => number {
  const sockets = new Set<Socket>();
  const follow = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  // With TLS there are two for each connection, and only the outer one has something to write.
  server.on('connection', follow).on('secureConnection', follow);
  return () => {
    let bytes = 0;
    for (const { writableLength } of sockets) bytes += writableLength;
    return bytes;
  };
}
