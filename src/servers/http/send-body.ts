import type { OutgoingHttpHeaders } from 'node:http';
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
  // HTTP/2 has queues of its own, and nothing tells when they have let go of memory.
  if (request.raw.httpVersionMajor > 1) return sendBytes(reply, [body.copyOut().subarray(start, end)]);
  const pieces = body.pieces(start, end);
  releaseWhenSent(request, reply, body);
  return sendBytes(reply, pieces);
}

/**
 * Sends bytes that are all there, with one call into the kernel, and as they are: `onSend` hooks of an app do not see them.
 * What Fastify does for those costs CPU time for every viewer (docs/performance.md).
 */
export function sendBytes(reply: FastifyReply, pieces: readonly Uint8Array[]): FastifyReply {
  const { raw } = reply;
  reply.header(
    'content-length',
    pieces.reduce((sum, { length }) => sum + length, 0),
  );
  // Fastify's type allows numbers where Node's does not; none of ours is one but Content-Length.
  raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  // From here on there is no other answer.
  reply.hijack();
  // When all requests that have come by now are read: a write that wakes its reader costs several times one that does not,
  // and answers close together find the others awake (docs/performance.md).
  setImmediate(end, raw, reply.request.method === 'HEAD' ? [] : pieces);
  return reply;
}

function end(raw: FastifyReply['raw'], pieces: readonly Uint8Array[]): void {
  raw.cork?.();
  for (const piece of pieces) raw.write(piece);
  raw.end();
  raw.uncork?.();
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
