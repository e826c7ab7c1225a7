import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorBody } from './errors.ts';
import type { HttpIncidents } from './incidents.ts';

/** What clients do wrong before there is a request; everything else is a 400. */
const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
const MESSAGES: Readonly<Record<number, string>> = {
  400: 'This is not an HTTP request.',
  408: 'The request took too long to arrive.',
  431: 'The headers are too large.',
};

/** What a client that was refused still sends is read and thrown away for this long. */
const LINGER_MS = 1000;
const refused = new WeakSet<Socket>();

/** Answers bytes that do not become an HTTP request, and closes the connection. */
export function refuseClient(
  error: Error & { readonly code?: string },
  socket: Socket,
  incidents: HttpIncidents,
): void {
  // The rest of what was refused is no request either.
  if (refused.has(socket)) return;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS[error.code ?? ''] ?? 400;
  incidents.refused(socket.remoteAddress ?? 'unknown', status);
  const body: ErrorBody = { code: 'SLUICE_HTTP_BAD_REQUEST', message: MESSAGES[status] ?? '' };
  const text = JSON.stringify(body);
  refused.add(socket);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  );
  // A socket that is closed with bytes unread is reset, and the answer is lost on its way (RFC 9112 section 9.6).
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('end', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
}

/**
 * A connection was silent for too long: between two requests players just leave, within an answer or before the first
 * request it is a fault.
 */
export function endSilent(socket: Socket, incidents: HttpIncidents): void {
  const peer = socket.remoteAddress ?? 'unknown';
  if (socket.writableLength > 0) incidents.unread(peer);
  else if (socket.bytesRead === 0) incidents.silent(peer);
  socket.destroy();
}
