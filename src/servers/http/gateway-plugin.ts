import cors from '@fastify/cors';
import type { FastifyError, FastifyPluginAsync } from 'fastify';
import { type ApiRoutesOptions, apiRoutes } from './api-routes.ts';
import { sendError, sendNotFound } from './errors.ts';
import { type HlsRoutesOptions, hlsRoutes } from './hls-routes.ts';
import { pageRoutes } from './page-routes.ts';

export interface GatewayPluginOptions {
  readonly hls: HlsRoutesOptions;
  readonly api: ApiRoutesOptions;
  /** A request failed through no fault of the client. */
  readonly onFault: (error: Error) => void;
}

/** Everything Sluice serves over HTTP, as one Fastify plugin that works under any prefix of any app. */
export function gatewayPlugin({ hls, api, onFault }: GatewayPluginOptions): FastifyPluginAsync {
  return async (app) => {
    // Players on any site may play: media and API carry no credentials.
    await app.register(cors, {
      origin: '*',
      methods: ['GET', 'HEAD', 'OPTIONS'],
      allowedHeaders: ['Range', 'If-None-Match', 'Authorization', 'Content-Type'],
      exposedHeaders: ['Age', 'Date', 'Content-Length', 'Content-Range', 'ETag'],
      maxAge: 86400,
    });
    app.setErrorHandler((error: FastifyError, _request, reply) => sendError(error, reply, onFault));
    app.setNotFoundHandler((_request, reply) =>
      sendNotFound(reply, 'Nothing here. The player page is at the root.'),
    );
    await app.register(async (scope) => {
      scope.addHook('onSend', async (_request, reply) => {
        reply.header('cross-origin-resource-policy', 'cross-origin').header('timing-allow-origin', '*');
        return undefined;
      });
      hlsRoutes(scope, hls);
    });
    await app.register(async (scope) => apiRoutes(scope, api));
    await app.register(async (scope) => pageRoutes(scope));
  };
}
