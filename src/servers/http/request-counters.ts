import type { FastifyInstance } from 'fastify';
import { WaitingRequests } from './waiting-requests.ts';

export const REQUEST_KINDS = ['playlist', 'segment', 'picture', 'page', 'api', 'not_found'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

interface Counts {
  requests: number;
  bytes: number;
}

/** What was answered over HTTP since the start: plain numbers, because every viewer's request passes here. */
export class RequestCounters {
  readonly byKind: Readonly<Record<RequestKind, Counts>> = {
    playlist: { requests: 0, bytes: 0 },
    segment: { requests: 0, bytes: 0 },
    picture: { requests: 0, bytes: 0 },
    page: { requests: 0, bytes: 0 },
    api: { requests: 0, bytes: 0 },
    not_found: { requests: 0, bytes: 0 },
  };
  /** Requests not yet answered in full. */
  open = 0;
  /** Those of them that are held until there is something to answer. */
  readonly waiting = new WaitingRequests();
  /** Requests to the API or the metrics without the right to. */
  denied = 0;
}

/**
 * Counts the requests of a scope, including those whose clients went away. Bytes are those of the bodies that were
 * sent in full.
 *
 * @param kindOf what a request asks for that is not answered with 404
 */
export function countRequests(
  scope: FastifyInstance,
  counters: RequestCounters,
  kindOf: (url: string) => RequestKind,
): void {
  scope.addHook('onRequest', (request, reply, done) => {
    counters.open++;
    let isOpen = true;
    const close = () => {
      if (!isOpen) return;
      isOpen = false;
      counters.open--;
      const counts = counters.byKind[reply.statusCode === 404 ? 'not_found' : kindOf(request.raw.url ?? '')];
      counts.requests++;
      if (reply.raw.writableFinished && request.method !== 'HEAD') {
        counts.bytes += Number(reply.getHeader('content-length') ?? 0);
      }
    };
    // Not onResponse: it is not called for a client that hangs up.
    reply.raw.on('close', close);
    // An answer that waits behind another on its connection is never told that this has ended; its request is.
    request.raw.on('close', () => {
      if (request.raw.socket.destroyed) close();
    });
    done();
  });
}
