import type { FastifyReply } from 'fastify';
import type { ErrorCode } from '../../media/errors.ts';

/** Every error answer has this body. */
export interface ErrorBody {
  readonly code: ErrorCode | 'SLUICE_HTTP_BAD_REQUEST';
  readonly message: string;
}

/** A short time in caches: a stream may start any moment, and a missing one must not cost a request per viewer. */
export function sendNotFound(reply: FastifyReply, message: string): FastifyReply {
  const body: ErrorBody = { code: 'SLUICE_HTTP_NOT_FOUND', message };
  return reply.code(404).header('cache-control', 'public, max-age=1').send(body);
}
