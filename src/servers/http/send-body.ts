import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SegmentBody } from '../../media/segment-body.ts';

/** Sends the bytes from `start` to before `end`, without joining them, and releases the body when they are gone. */
export function sendBody(
  request: FastifyRequest,
  reply: FastifyReply,
  body: SegmentBody,
  start: number,
  end: number,
): FastifyReply {
  reply.header('content-length', end - start);
  // HTTP/2 has queues of its own, and nothing tells when they have let go of memory.
  if (request.raw.httpVersionMajor > 1) return reply.send(body.copyOut().subarray(start, end));
  const stream = new PiecesStream(body.pieces(start, end));
  releaseWhenSent(request, reply, body);
  return reply.send(stream);
}

/** Until the kernel has the last byte, or the socket is closed, the memory is still read from. */
function releaseWhenSent(
  { raw: { socket } }: FastifyRequest,
  { raw }: FastifyReply,
  body: SegmentBody,
): void {
  if (socket.closed) {
    // Left before anything could be sent, and nothing will tell of an end.
    body.release();
    return;
  }
  let held = true;
  const release = () => {
    if (!held) return;
    held = false;
    socket.off('close', release);
    body.release();
  };
  raw.once('finish', release);
  // Not that of the response: one that waits behind others on its connection has none.
  socket.setMaxListeners(0).once('close', release);
}

/** As sockets and responses can be; what else is a stream may not. */
interface Corkable {
  cork?(): void;
  uncork?(): void;
}

/**
 * Bytes that are all there, in pieces. A response gets them at once, with one call into the kernel: they take no more
 * memory when they wait in it. Like any other stream they would go one by one, each with a turn of the event loop.
 */
class PiecesStream extends Readable {
  #pieces: readonly Uint8Array[];

  constructor(pieces: readonly Uint8Array[]) {
    super();
    this.#pieces = pieces;
  }

  override pipe<T extends NodeJS.WritableStream & Corkable>(
    target: T,
    { end = true }: { end?: boolean | undefined } = {},
  ): T {
    target.cork?.();
    for (const piece of this.#pieces) target.write(piece);
    this.#pieces = [];
    if (end) target.end();
    target.uncork?.();
    // Who waits for the end of this stream hears of it.
    this.resume();
    return target;
  }

  override _read(): void {
    for (const piece of this.#pieces) this.push(piece);
    this.#pieces = [];
    this.push(null);
  }
}
