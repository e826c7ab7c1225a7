// How long the gateway takes from process start until both ports accept, and what it holds when nobody uses it.
import { readOptions } from './support/options.js';
import { cpuSeconds, memory, noProcessStats } from './support/process-stats.js';
import { figure, report } from './support/report.js';
import { startBareNode, startGateway } from './support/servers.js';

const options = readOptions({ rounds: 7, 'idle-seconds': 5 });
const canSeeProcesses = noProcessStats() === null;

const gateway = await measure(startGateway);
const bare = await measure(startBareNode);

const figures = [
  figure('start to listening', gateway.startMs, 'ms', { below: 400 }),
  figure('bare Node server, same', bare.startMs, 'ms'),
];
if (canSeeProcesses) {
  figures.push(
    figure('CPU time to listening', gateway.cpuMs, 'ms'),
    figure('bare Node server, same', bare.cpuMs, 'ms'),
    figure('idle memory', gateway.rss, 'MB', { below: 90 }),
    figure('bare Node server, same', bare.rss, 'MB'),
  );
}
report('start', options, figures, canSeeProcesses ? [] : [noProcessStats()]);

async function measure(start) {
  const result = { startMs: [], cpuMs: [], rss: [] };
  for (let round = 0; round < options.rounds; round++) {
    const server = await start();
    try {
      result.startMs.push(server.startMs);
      if (!canSeeProcesses) continue;
      result.cpuMs.push(cpuSeconds(server.pid).total * 1000);
      if (round < options.rounds - 1) continue;
      await new Promise((resolve) => setTimeout(resolve, options['idle-seconds'] * 1000));
      result.rss.push(memory(server.pid).rss);
    } finally {
      await server.stop();
    }
  }
  return result;
}
