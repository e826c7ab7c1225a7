import { Server as NetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify';
import { SluiceError } from '../../media/errors.ts';
import type { Logger } from '../stream-reporter.ts';
import { endSilent, refuseClient } from './client-faults.ts';
import { sendBadRequest } from './errors.ts';
import type { HttpIncidents } from './incidents.ts';
import { SUCCESSOR_HEADER } from './public-routes.ts';

/** The next process listens by then: connections that stay open until here do not meet a closed port. */
const HANDOVER_MS = 1000;
/** How long a new process waits for the one that it replaces, and how long that may take to say what it is. */
const TAKEOVER_PATIENCE_MS = 10_000;
const TAKEOVER_RETRY_MS = 20;
const IDENTIFY_MS = 1000;
/** How long after it has announced itself a new process may still be waiting. */
export const SUCCESSOR_LIFE_MS = TAKEOVER_PATIENCE_MS + 2000;

/** Two dots between slashes, or NUL: clients resolve the one and know no other, so somebody is looking for a hole. */
const WANDERS = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?:[/\\]|%2f|%5c|$)|%00/i;

export interface HttpServerOptions {
  readonly plugin: FastifyPluginAsync;
  /** Longest silence of a connection in either direction, and longest time to send a request. */
  readonly idleTimeoutMs: number;
  /** Whether what this address says of the client's own address is believed. */
  readonly trustProxy: (address: string) => boolean;
  readonly incidents: HttpIncidents;
}

/** The HTTP server of a gateway that is not part of somebody's app; not listening yet. */
export async function makeHttpServer(options: HttpServerOptions): Promise<FastifyInstance> {
  const { plugin, idleTimeoutMs, trustProxy, incidents } = options;
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    trustProxy,
    // Viewers that do not read would keep segments alive for ever, and clients that do not write their connections.
    connectionTimeout: idleTimeoutMs,
    requestTimeout: idleTimeoutMs,
    clientErrorHandler: (error, socket) => refuseClient(error, socket, incidents),
    // Fastify's own answer quotes the address, which may have a token in it.
    frameworkErrors: (_error, request, reply) => {
      incidents.refused(request.ip, 400);
      sendBadRequest(reply, 'The address is not valid.');
    },
    // No route has a JSON schema, and loading the compilers for them would take a fifth of the start.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
  app.addHook('onRequest', (request, reply, done) => {
    if (!WANDERS.test(request.raw.url?.split('?', 1)[0] ?? '')) {
      done();
      return;
    }
    incidents.refused(request.ip, 400);
    sendBadRequest(reply, 'The address leaves its folder or has NUL in it.');
  });
  await app.register(plugin);
  app.server.on('timeout', (socket) => endSilent(socket, incidents));
  app.server.on('drop', (dropped) => incidents.crowded(dropped?.remoteAddress ?? 'unknown'));
  await app.ready();
  return app;
}

/**
 * Where the port belongs to another gateway, this one is to replace it, and waits for its end.
 *
 * @param host an address, as Fastify would make servers for each one of localhost that nothing here knows of; undefined for
 *   all addresses
 * @throws SluiceError SLUICE_PORT_UNAVAILABLE
 */
export async function listenHttp(
  app: FastifyInstance,
  port: number,
  host: string | undefined,
  log: Pick<Logger, 'info'>,
): Promise<void> {
  const deadline = performance.now() + TAKEOVER_PATIENCE_MS;
  for (let waiting = false; ; waiting = true) {
    try {
      await listen(app, port, host);
      return;
    } catch (error) {
      const goesOn = isTaken(error) && performance.now() < deadline;
      if (!goesOn || !(waiting || (await isGateway(port, host)))) throw unavailable(port, error);
      if (!waiting) {
        log.info({ port, seconds: TAKEOVER_PATIENCE_MS / 1000 }, 'waiting for the gateway that has the port');
      }
      await delay(TAKEOVER_RETRY_MS);
    }
  }
}

async function listen(app: FastifyInstance, port: number, host: string | undefined): Promise<void> {
  // Fastify listens on localhost unless told otherwise; :: takes IPv4 too where there is IPv6.
  await app.listen({ port, host: host ?? '::' }).catch((error: unknown) => {
    if (host !== undefined || !isNoIpv6(error)) throw error;
    return app.listen({ port, host: '0.0.0.0' });
  });
}

/** Whether a gateway answers there, as it still does while it ends. It learns that this one is to replace it. */
async function isGateway(port: number, host: string | undefined): Promise<boolean> {
  const unspecified = host === undefined || host === '::' || host === '0.0.0.0';
  const name = unspecified ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  try {
    const response = await fetch(`http://${name}:${port}/streams.json`, {
      headers: { [SUCCESSOR_HEADER]: 'waiting' },
      signal: AbortSignal.timeout(IDENTIFY_MS),
    });
    const info: unknown = await response.json();
    return typeof info === 'object' && info !== null && 'defaultApp' in info;
  } catch {
    return false;
  }
}

function unavailable(port: number, error: unknown): SluiceError {
  const reason = error instanceof Error ? error.message : String(error);
  return new SluiceError('SLUICE_PORT_UNAVAILABLE', `cannot open HTTP port ${port}: ${reason}`, {
    cause: error,
  });
}

/** Takes no new connections; those that are open are told with an answer to come back, when somebody listens again. */
export async function stopListening({ server }: FastifyInstance): Promise<void> {
  // Between two looks for new connections: one that is half there would be cut.
  await new Promise((resolve) => setImmediate(resolve));
  setTimeout(() => {
    server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
  }, HANDOVER_MS).unref();
  // The HTTP server's own close would cut connections that a player may be about to use.
  NetServer.prototype.close.call(server);
}

function noSchemas(): never {
  throw new SluiceError('SLUICE_INTERNAL', 'a route declares a JSON schema, but no compiler is loaded');
}

function isNoIpv6(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL';
}

function isTaken(error: unknown): boolean {
  return codeOf(error) === 'EADDRINUSE';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}
