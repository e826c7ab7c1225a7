import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ErrorCode } from '../../media/errors.ts';
import { type Kicked, kickQuerySchema, type ServerView, type StreamView } from './api-schemas.ts';
import { type ErrorBody, sendNotFound } from './errors.ts';

export interface ApiRoutesOptions {
  readonly version: string;
  /** Of the app's routes, empty for none. */
  readonly prefix: string;
  readonly server: () => ServerView;
  readonly streams: () => StreamView[];
  /**
   * Ends a stream now and refuses its name to publishers for a time.
   *
   * @returns false when there is no such stream
   */
  readonly kick: (app: string, name: string, blockSeconds: number) => boolean;
}

interface StreamPath {
  Params: { '*': string };
}

/** What operators ask. The scope has to be guarded. */
export function apiRoutes(app: FastifyInstance, options: ApiRoutesOptions): void {
  const { version, prefix, server, streams, kick } = options;
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return undefined;
  });
  app.get('/api/server', async () => server());
  app.get('/api/streams', async () => ({ streams: streams() }));
  app.get<StreamPath>('/api/streams/*', async (request, reply) => {
    const path = request.params['*'];
    const found = streams().find((stream) => `${stream.app}/${stream.name}` === path);
    return found ?? sendNoStream(reply);
  });
  app.delete<StreamPath>('/api/streams/*', async (request, reply) => {
    const query = kickQuerySchema.safeParse(request.query);
    if (!query.success) {
      const problem = query.error.issues
        .map(({ path, message }) => `${path.join('.')}: ${message}`)
        .join('; ');
      return sendApiError(reply, 400, 'SLUICE_HTTP_BAD_REQUEST', problem);
    }
    const path = request.params['*'];
    const slash = path.lastIndexOf('/');
    const [name, application] = [path.slice(slash + 1), path.slice(0, Math.max(0, slash))];
    if (!kick(application, name, query.data.block)) return sendNoStream(reply);
    const kicked: Kicked = { app: application, name, blockedSeconds: query.data.block };
    return reply.code(202).send(kicked);
  });
  let document: Promise<string> | null = null;
  app.get('/api/openapi.json', async (_request, reply) => {
    // Built when somebody wants it: the generator takes time to load, and most gateways are never asked.
    document ??= import('./openapi.ts').then(({ openApiDocument }) => openApiDocument(version, prefix));
    return reply.type('application/json; charset=utf-8').send(await document);
  });
  // Also what is not there is told to operators only.
  for (const url of ['/api', '/api/*']) {
    app.all(url, (_request, reply) =>
      sendNotFound(reply, 'Nothing here. /api/openapi.json describes what there is.'),
    );
  }
}

function sendNoStream(reply: FastifyReply): FastifyReply {
  return sendApiError(reply, 404, 'SLUICE_API_STREAM_NOT_FOUND', 'No such stream. The path is <app>/<name>.');
}

function sendApiError(reply: FastifyReply, status: number, code: ErrorCode, message: string): FastifyReply {
  const body: ErrorBody = { code, message };
  return reply.code(status).send(body);
}
