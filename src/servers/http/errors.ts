import type { FastifyError, FastifyReply } from 'fastify';
import { type ErrorCode, SluiceError } from '../../media/errors.ts';
import type { HttpIncidents } from './incidents.ts';

/** Every error answer has this body. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A short time in caches: a stream may start any moment, and a missing one must not cost a request per viewer. */
export function sendNotFound(reply: FastifyReply, message: string): FastifyReply {
  const body: ErrorBody = { code: 'SLUICE_HTTP_NOT_FOUND', message };
  return reply.code(404).header('cache-control', 'public, max-age=1').send(body);
}

export function sendBadRequest(reply: FastifyReply, message: string): FastifyReply {
  const body: ErrorBody = { code: 'SLUICE_HTTP_BAD_REQUEST', message };
  return reply.code(400).header('cache-control', 'no-store').send(body);
}

/** Of what goes wrong with pictures of streams, which is nobody's fault. */
const PICTURE_STATUS: { readonly [code in ErrorCode]?: 501 | 503 } = {
  SLUICE_FFMPEG_MISSING: 501,
  SLUICE_FFMPEG_UNABLE: 501,
  SLUICE_SHUTTING_DOWN: 503,
  SLUICE_THUMBNAIL_BUSY: 503,
  SLUICE_TRANSCODE_FAILED: 503,
};

/** What the store does with segments that viewers ask for. */
const UNREAD: readonly ErrorCode[] = ['SLUICE_STORE_BUSY', 'SLUICE_STORE_FAILED'];
const DENIED: readonly ErrorCode[] = ['SLUICE_PLAY_DENIED', 'SLUICE_CALLBACK_FAILED'];

/** What a handler or a plugin threw. Only the client's own mistakes are explained to it. */
export function sendError(
  error: FastifyError | SluiceError,
  reply: FastifyReply,
  peer: string,
  incidents: HttpIncidents,
): FastifyReply {
  if (error instanceof SluiceError && DENIED.includes(error.code)) {
    incidents.denied(peer, error.code);
    const denied: ErrorBody = { code: error.code, message: `${error.message}. ${error.advice}` };
    return reply.code(403).header('cache-control', 'no-store').send(denied);
  }
  if (error instanceof SluiceError && UNREAD.includes(error.code)) {
    // Players try a 5xx again. The stream that it belongs to has told the operator.
    const unread: ErrorBody = { code: error.code, message: 'The segment cannot be read now. Try again.' };
    return reply.code(503).header('cache-control', 'no-store').send(unread);
  }
  const picture = error instanceof SluiceError ? PICTURE_STATUS[error.code] : undefined;
  if (error instanceof SluiceError && picture !== undefined) {
    incidents.refused(peer, picture);
    // Not the message: it may name files of this computer.
    const body: ErrorBody = { code: error.code, message: error.advice };
    if (picture === 503) reply.header('retry-after', '2');
    return reply.code(picture).header('cache-control', 'no-store').send(body);
  }
  const status = ('statusCode' in error ? error.statusCode : null) ?? 500;
  if (status >= 500) incidents.fault(error);
  else incidents.refused(peer, status);
  const body: ErrorBody =
    status >= 500
      ? { code: 'SLUICE_INTERNAL', message: 'Something went wrong here. The log says more.' }
      : { code: 'SLUICE_HTTP_BAD_REQUEST', message: error.message };
  return reply.code(status).header('cache-control', 'no-store').send(body);
}
