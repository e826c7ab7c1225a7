import cors, { type FastifyCorsOptions } from '@fastify/cors';
import type { FastifyError, FastifyPluginAsync } from 'fastify';
import { type ApiRoutesOptions, apiRoutes } from './api-routes.ts';
import { sendError, sendNotFound } from './errors.ts';
import { type HlsRoutesOptions, hlsRoutes } from './hls-routes.ts';
import { pageRoutes } from './page-routes.ts';

export interface GatewayPluginOptions {
  /** The app is ours alone: what is not found is ours to say. */
  readonly standalone: boolean;
  readonly hls: HlsRoutesOptions;
  readonly api: ApiRoutesOptions;
  /** A request failed through no fault of the client. */
  readonly onFault: (error: Error) => void;
}

const CORS: FastifyCorsOptions = {
  origin: '*',
  methods: ['GET', 'HEAD', 'OPTIONS'],
  allowedHeaders: ['Range', 'If-None-Match', 'Authorization', 'Content-Type'],
  exposedHeaders: ['Age', 'Date', 'Content-Length', 'Content-Range', 'ETag'],
  maxAge: 86400,
};

/** Everything Sluice serves over HTTP, as one Fastify plugin that works under any prefix of any app. */
export function gatewayPlugin({ standalone, hls, api, onFault }: GatewayPluginOptions): FastifyPluginAsync {
  return async (app) => {
    // Players on any site may play: media and API carry no credentials. An app that has the plugin decides itself.
    if (!app.hasRequestDecorator('corsPreflightEnabled')) await app.register(cors, CORS);
    app.setErrorHandler((error: FastifyError, _request, reply) => sendError(error, reply, onFault));
    // Without a prefix an app's own handler for what is not found stays its own.
    if (standalone || app.prefix !== '') {
      app.setNotFoundHandler((_request, reply) =>
        sendNotFound(reply, 'Nothing here. The player page is at the root.'),
      );
    }
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
