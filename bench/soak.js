// Whether the gateway stays as it is for an hour: publishers with churn, viewers, and what they and /proc see.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { compileValidator } from './soak/compile-validator.js';
import { renderReport } from './soak/html-report.js';
import { judge } from './soak/verdict.js';
import { readMetrics, sumOf } from './support/metrics.js';
import { readOptions } from './support/options.js';
import { cpuSeconds, descriptors, memory, noProcessStats } from './support/process-stats.js';
import { report, skip } from './support/report.js';
import { SHIPPED_MALLOC, startGateway } from './support/servers.js';

const SAMPLE_MS = 1000;
const PROGRESS_SECONDS = 30;
/** How long the gateway may take to close the descriptors of peers that have left. */
const SETTLE_MS = 15_000;
/** More of the same helps nobody; all are counted. */
const MAX_KEPT_PROBLEMS = 200;

const options = readOptions({
  minutes: 80,
  publishers: 50,
  mbps: 2.5,
  viewers: 20,
  slow: 4,
  validated: 4,
  churn: 10,
  'warm-up': 20,
  storage: 'memory',
  malloc: 'shipped',
  report: 'soak-report.html',
});

const unable = noProcessStats();
if (unable === null) await main();
else skip('soak', unable);

async function main() {
  const state = {
    began: performance.now(),
    samples: [],
    problems: [],
    counts: { viewers: 0, validator: 0, publishers: 0, gateway: 0, warnings: 0 },
    load: { late: 0, reconnects: 0, segments: 0, bytes: 0 },
    idle: null,
    after: null,
    validated: 0,
  };
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      if (interrupted.signal.aborted) process.exit(130);
      console.log('\nending early; the report follows');
      interrupted.abort();
    });
  }
  const validator = compileValidator();
  // Of its own process group: Ctrl-C is to end the load first.
  const settings = {
    SLUICE_STORAGE_TYPE: options.storage,
    ...(options.malloc === 'shipped' && SHIPPED_MALLOC),
  };
  const gateway = await startGateway({ detached: true, settings });
  try {
    state.idle = await settled(gateway, 0);
    const threads = await startLoad(gateway, validator.file, state);
    await watchOver(gateway, state, interrupted.signal);
    await stopLoad(threads, state);
    state.after = await settled(gateway, state.idle.fds).catch(() => null);
  } finally {
    await gateway.stop();
    validator.remove();
  }
  finish(state, gateway.log());
}

async function startLoad({ rtmpPort, httpPort }, file, state) {
  const names = Array.from({ length: options.publishers }, (_, index) => `soak${index}`);
  const threads = [];
  const publishers = startThread('publishers', {
    rtmpPort,
    names,
    bitRate: options.mbps * 1e6,
    churnMs: options.churn * 1000,
  });
  await heard(publishers, 'ready');
  threads.push(publishers);
  // Viewers and validators that share a stream would see the same: spread them.
  const validated = spread(names, options.validated);
  const viewed = { httpPort, names, viewers: options.viewers, slowViewers: options.slow };
  threads.push(
    startThread('viewers', viewed),
    startThread('validator', { httpPort, names: validated, file }),
  );
  for (const thread of threads) {
    thread.worker.on('message', (message) => receive(thread.name, message, threads, state));
    thread.worker.on('error', (error) => complain(state, thread.name, `the thread ended: ${error.stack}`));
  }
  return threads;
}

function receive(from, message, threads, state) {
  switch (message.type) {
    case 'problem':
      complain(state, from, message.message);
      break;
    case 'warning':
      state.counts.warnings++;
      break;
    case 'status':
      Object.assign(state.load, message);
      break;
    case 'away':
    case 'back':
      for (const { name, worker } of threads) if (name !== 'publishers') worker.postMessage(message);
      break;
  }
}

function complain(state, from, message) {
  const seconds = (performance.now() - state.began) / 1000;
  state.counts[from]++;
  if (state.problems.length >= MAX_KEPT_PROBLEMS) return;
  state.problems.push({ seconds, from, message });
  console.log(`${clock(seconds)}  ${from}: ${message}`);
}

/** Samples once a second until the time is over, somebody interrupts or the gateway is gone. */
async function watchOver(gateway, state, signal) {
  state.began = performance.now();
  const until = state.began + options.minutes * 60_000;
  let last = { at: state.began, cpu: cpuSeconds(gateway.pid).total };
  for (let tick = 1; performance.now() < until && !signal.aborted; tick++) {
    await sleep(Math.max(0, state.began + tick * SAMPLE_MS - performance.now()), undefined, { signal }).catch(
      () => {},
    );
    try {
      const at = performance.now();
      const cpu = cpuSeconds(gateway.pid).total;
      const { counts, load } = state;
      state.samples.push({
        seconds: (at - state.began) / 1000,
        rss: memory(gateway.pid).rss,
        fds: descriptors(gateway.pid),
        cpu: ((cpu - last.cpu) / ((at - last.at) / 1000)) * 100,
        ...(await mediaMb(gateway.httpPort)),
        problems: counts.viewers + counts.validator + counts.publishers + counts.gateway,
        late: load.late,
        reconnects: load.reconnects,
      });
      last = { at, cpu };
    } catch (error) {
      complain(state, 'gateway', `is gone: ${error.message}\n${gateway.log()}`);
      return;
    }
    if (tick % PROGRESS_SECONDS === 0) printProgress(state);
  }
}

/** What the gateway says of its media in MB: segments that are kept, and memory in use for them and for those in the making. */
async function mediaMb(httpPort) {
  const metrics = await readMetrics(httpPort);
  const inUse = metrics?.filter(({ labels }) => labels.state === 'used');
  return {
    retained: inMb(sumOf(metrics, 'sluice_store_bytes')),
    media: inMb(sumOf(inUse, 'sluice_media_memory_bytes')),
  };
}

function inMb(bytes) {
  return bytes === null ? null : bytes / 1e6;
}

function printProgress({ samples, load }) {
  const { seconds, rss, fds, cpu, problems, late } = samples.at(-1);
  console.log(
    `${clock(seconds)}  RSS ${rss.toFixed(0)} MB  descriptors ${fds}  CPU ${cpu.toFixed(0)} %  ` +
      `segments ${load.segments}  reconnects ${load.reconnects}  problems ${problems}  sender ${late.toFixed(0)} ms late`,
  );
}

/** Viewers first: none of them is to see its publisher leave. */
async function stopLoad(threads, state) {
  for (const { name, worker } of threads.toReversed()) {
    worker.removeAllListeners('message');
    const left = heard({ worker }, 'left');
    worker.postMessage({ type: 'stop' });
    const message = await Promise.race([left, sleep(SETTLE_MS, null)]);
    if (name === 'validator') state.validated = message?.segments ?? 0;
    await worker.terminate();
  }
}

/** Waits until no more descriptors are open than `wanted`, and tells what there is. */
async function settled({ pid }, wanted) {
  const until = performance.now() + (wanted === 0 ? SAMPLE_MS : SETTLE_MS);
  while (descriptors(pid) > wanted && performance.now() < until) await sleep(100);
  return { fds: descriptors(pid), rss: memory(pid).rss };
}

function finish(state, log) {
  const result = judge(state, options);
  report('soak', options, result.figures, result.notes);
  writeFileSync(options.report, renderReport(state, result, options, log));
  console.log(`${result.failures.length === 0 ? 'clean' : `NOT clean: ${result.failures.join('; ')}`}`);
  console.log(`report: ${options.report}`);
  process.exitCode = result.failures.length === 0 ? 0 : 1;
}

function startThread(name, workerData) {
  return { name, worker: new Worker(new URL(`./soak/${name}.js`, import.meta.url), { workerData }) };
}

function heard({ worker }, type) {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.on('message', (message) => message.type === type && resolve(message));
  });
}

function spread(names, count) {
  return Array.from({ length: Math.min(count, names.length) }, (_, index) =>
    names.at(Math.floor((index * names.length) / count)),
  );
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return [whole / 3600, (whole / 60) % 60, whole % 60]
    .map((part) => String(Math.floor(part)).padStart(2, '0'))
    .join(':');
}
