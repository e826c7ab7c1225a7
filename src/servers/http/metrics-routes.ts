import type { FastifyInstance } from 'fastify';
import { sendNotFound } from './errors.ts';
import type { MetricsSources } from './metrics.ts';

export type { MetricsSources };

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** `/metrics` for Prometheus. The scope has to be guarded. */
export function metricsRoutes(app: FastifyInstance, sources: MetricsSources): void {
  let metrics: Promise<() => Promise<string>> | null = null;
  app.get('/metrics', async (_request, reply) => {
    // Loaded by the first scrape: the start is quicker, and nothing is lost, because all counting is done elsewhere.
    metrics ??= import('./metrics.ts').then(({ createMetrics }) => createMetrics(sources));
    const text = await (await metrics)();
    return reply.type(METRICS_TYPE).header('cache-control', 'no-store').send(text);
  });
  // Or else other sites' browsers would be told that they may ask.
  app.options('/metrics', (_request, reply) => sendNotFound(reply, 'Only GET is answered here.'));
}
