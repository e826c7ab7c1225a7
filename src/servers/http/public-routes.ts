import type { FastifyInstance } from 'fastify';
import type { PublicInfo, PublicStreamView } from './api-schemas.ts';

export interface PublicRoutesOptions {
  readonly version: string;
  readonly defaultApp: string;
  /** Null while RTMP is not listening. */
  readonly rtmpPort: () => number | null;
  /** The streams that everybody may know of. */
  readonly publicStreams: () => PublicStreamView[];
  /** A gateway on this computer waits for the port of this one. */
  readonly onSuccessor: () => void;
  /** False while starting or draining. */
  readonly ready: () => boolean;
}

/** In the question of a gateway that finds its port taken. */
export const SUCCESSOR_HEADER = 'sluice-successor';
/** However many ask, the streams are looked at this often. */
const LIST_LIFE_MS = 500;

/** What the player page and load balancers ask, open to everybody. */
export function publicRoutes(app: FastifyInstance, options: PublicRoutesOptions): void {
  const { version, defaultApp, rtmpPort, publicStreams, onSuccessor, ready } = options;
  let list: { readonly info: PublicInfo; readonly at: number } | null = null;
  app.get('/streams.json', async ({ headers, socket }, reply): Promise<PublicInfo> => {
    // Nobody else is to keep playlists from ending, also not through a proxy on this computer.
    const isLocal = socket.remoteAddress === socket.localAddress && headers['x-forwarded-for'] === undefined;
    if (headers[SUCCESSOR_HEADER] !== undefined && isLocal) onSuccessor();
    // However many pages are open, an edge asks once a second.
    reply.header('cache-control', 'public, max-age=1');
    const now = performance.now();
    if (list === null || now - list.at > LIST_LIFE_MS) {
      list = { info: { version, rtmpPort: rtmpPort(), defaultApp, streams: publicStreams() }, at: now };
    }
    return list.info;
  });
  /** The process answers. */
  app.get('/healthz', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });
  /** It takes publishers and viewers: a load balancer may send them here. */
  app.get('/readyz', async (_request, reply) => {
    reply.code(ready() ? 200 : 503).header('cache-control', 'no-store');
    return { status: ready() ? 'ready' : 'not ready' };
  });
}
