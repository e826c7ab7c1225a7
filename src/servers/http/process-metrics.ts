import { setTimeout } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * How often the event loop's delay is sampled: each sample wakes the process, 10 ms cost 0.6 % of a core. Node's
 * figures have it in them; docs/metrics.md says so.
 */
const SAMPLE_MS = 20;
/** Those figures are over the time since the last reading and need some samples. */
const MEASURE_MS = 100;

/** What an event loop that was blocked all the time gives: means of nothing, and the least of nothing. */
const UNMEASURED = /^nodejs_eventloop_lag_\w+ (?:Nan|9223372036\S*)\n/gm;

let registry: Registry | null = null;
let reading: Promise<string> | null = null;

/**
 * CPU time, memory, garbage collection and event-loop delay as text. There is one process however many gateways run in
 * it, and its observers cannot be stopped again: they start with the first reading, so that nobody pays for figures
 * that are not asked for. Readings at the same time share one.
 */
export function processMetrics(): Promise<string> {
  reading ??= read().finally(() => {
    reading = null;
  });
  return reading;
}

async function read(): Promise<string> {
  if (registry === null) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: SAMPLE_MS });
  }
  await setTimeout(MEASURE_MS);
  return (await registry.metrics()).replaceAll(UNMEASURED, '');
}
