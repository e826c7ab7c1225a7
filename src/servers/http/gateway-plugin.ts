import cors, { type FastifyCorsOptions } from '@fastify/cors';
import type { FastifyError, FastifyPluginAsync } from 'fastify';
import { guardApi } from './api-access.ts';
import { type ApiRoutesOptions, apiRoutes } from './api-routes.ts';
import { sendError, sendNotFound } from './errors.ts';
import { type HlsRoutesOptions, hlsRoutes } from './hls-routes.ts';
import type { HttpIncidents } from './incidents.ts';
import { type MetricsSources, metricsRoutes } from './metrics-routes.ts';
import { pageRoutes } from './page-routes.ts';
import { type PublicRoutesOptions, publicRoutes } from './public-routes.ts';
import { countRequests, type RequestCounters } from './request-counters.ts';
import { type ThumbnailFilesOptions, thumbnailFiles } from './thumbnail-routes.ts';
import { followSockets } from './unsent-bytes.ts';

export interface GatewayPluginOptions {
  readonly version: string;
  /** Application whose streams are at `/hls/<name>.m3u8`. */
  readonly defaultApp: string;
  /** The app is ours alone: what is not found is ours to say. */
  readonly standalone: boolean;
  readonly hls: Omit<HlsRoutesOptions, 'defaultApp' | 'waiting' | 'files'>;
  /** Resolves when the streams of an earlier process are there again, or cannot be; null when nothing is awaited. */
  readonly restoring: () => Promise<void> | null;
  /** Pictures of streams; without it there are none. */
  readonly thumbnails?: Omit<ThumbnailFilesOptions, 'access' | 'waiting'>;
  readonly open: Omit<PublicRoutesOptions, 'version' | 'defaultApp'>;
  readonly api: Omit<ApiRoutesOptions, 'version' | 'prefix'> & {
    /** What operators have to show for the API and the metrics; null lets in this computer only. */
    readonly token: () => string | null;
  };
  readonly metrics: Omit<MetricsSources, 'version' | 'http' | 'unsentBytes'>;
  readonly counters: RequestCounters;
  readonly incidents: HttpIncidents;
}

const CORS: FastifyCorsOptions = {
  origin: '*',
  methods: ['GET', 'HEAD', 'OPTIONS'],
  allowedHeaders: ['Range', 'If-None-Match', 'Authorization', 'Content-Type'],
  exposedHeaders: ['Age', 'Date', 'Content-Length', 'Content-Range', 'ETag'],
  maxAge: 86400,
};

/** Everything Sluice serves over HTTP, as one Fastify plugin that works under any prefix of any app. */
export function gatewayPlugin(options: GatewayPluginOptions): FastifyPluginAsync {
  const { version, defaultApp, standalone, hls, restoring, thumbnails, open, api } = options;
  const { metrics, counters, incidents } = options;
  const { waiting } = counters;
  const files = thumbnails && thumbnailFiles({ ...thumbnails, access: hls.access, waiting });
  return async (app) => {
    const unsentBytes = followSockets(app.server);
    app.setErrorHandler((error: FastifyError, request, reply) =>
      sendError(error, reply, request.ip, incidents),
    );
    await app.register(async (everybody) => {
      // Players on any site may play: nothing here carries credentials. An app that has the plugin decides itself.
      if (!everybody.hasRequestDecorator('corsPreflightEnabled')) await everybody.register(cors, CORS);
      await everybody.register(async (scope) => {
        countRequests(scope, counters, (url) =>
          PLAYLIST.test(url) ? 'playlist' : PICTURE.test(url) ? 'picture' : 'segment',
        );
        scope.addHook('onRequest', (request, reply, done) => {
          reply.header('cross-origin-resource-policy', 'cross-origin').header('timing-allow-origin', '*');
          const restored = restoring();
          if (restored === null) done();
          else void waiting.hold(request, 'restart', restored).then(() => done());
        });
        scope.addHook('onSend', (request, reply, _payload, done) => {
          if (reply.statusCode === 404) incidents.missing(request.ip);
          done();
        });
        hlsRoutes(scope, { ...hls, defaultApp, waiting, ...(files && { files }) });
      });
      await everybody.register(async (scope) => {
        countRequests(scope, counters, () => 'page');
        publicRoutes(scope, { ...open, version, defaultApp });
        // Without a prefix an app's own handler for what is not found stays its own.
        if (standalone || app.prefix !== '') {
          scope.setNotFoundHandler((request, reply) => {
            incidents.missing(request.ip);
            return sendNotFound(reply, 'Nothing here. The player page is at the root.');
          });
        }
        await scope.register(async (page) => pageRoutes(page));
      });
    });
    await app.register(async (operators) => {
      countRequests(operators, counters, () => 'api');
      guardApi(operators, {
        token: api.token,
        onDenied: (peer, code) => {
          counters.denied++;
          incidents.denied(peer, code);
        },
      });
      apiRoutes(operators, { ...api, version, prefix: app.prefix });
      metricsRoutes(operators, { ...metrics, version, http: counters, unsentBytes });
    });
  };
}

const PLAYLIST = /^[^?]*\.m3u8(?:\?|$)/;
const PICTURE = /^[^?]*\.(?:jpg|webp|vtt)(?:\?|$)/;
