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

/** Answers bytes that do not become an HTTP request, and closes the connection. */
export function refuseClient(
  error: Error & { readonly code?: string },
  socket: Socket,
  incidents: HttpIncidents,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS[error.code ?? ''] ?? 400;
  incidents.refused(socket.remoteAddress ?? 'unknown', status);
  const body: ErrorBody = { code: 'SLUICE_HTTP_BAD_REQUEST', message: MESSAGES[status] ?? '' };
  const text = JSON.stringify(body);
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  );
  socket.destroySoon();
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
