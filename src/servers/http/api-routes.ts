import type { FastifyInstance } from 'fastify';
import type { PublicStreamView } from './stream-view.ts';

export interface ApiRoutesOptions {
  readonly version: string;
  readonly defaultApp: string;
  /** Null while RTMP is not listening. */
  readonly rtmpPort: () => number | null;
  readonly streams: () => PublicStreamView[];
  /** False while starting or draining. */
  readonly ready: () => boolean;
}

export function apiRoutes(app: FastifyInstance, options: ApiRoutesOptions): void {
  const { version, defaultApp, rtmpPort, streams, ready } = options;
  app.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    return undefined;
  });
  app.get('/api/server', async () => ({ version, rtmpPort: rtmpPort(), defaultApp }));
  app.get('/api/streams', async () => ({ streams: streams() }));
  /** The process answers. */
  app.get('/healthz', async () => ({ status: 'ok' }));
  /** It takes publishers and viewers: a load balancer may send them here. */
  app.get('/readyz', async (_request, reply) => {
    if (!ready()) reply.code(503);
    return { status: ready() ? 'ready' : 'not ready' };
  });
}
