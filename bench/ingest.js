// What one publisher costs per byte: unpaced RTMP over a loopback socket into the gateway, and into nginx-rtmp.
import { chunkUnit } from './support/chunks.js';
import { makeUnit } from './support/media.js';
import { readOptions } from './support/options.js';
import { cpuSeconds, memory, noProcessStats } from './support/process-stats.js';
import { CHUNK_SIZE, openPublisher, sendUnpaced } from './support/publisher.js';
import { figure, report, skip } from './support/report.js';
import { noNginx, startGateway, startNginx } from './support/servers.js';

/**
 * Each of so many publishers: code compiled while there is one does not fit the second, nor that of two the third, and
 * so on. From about the fifteenth on it does.
 */
const WARM_UP_MB = 60;
const WARM_UPS = 20;

const options = readOptions({ rounds: 3, mb: 800, compare: 1, 'node-args': '' });
const nodeArgs = options['node-args'].split(' ').filter(Boolean);
const unit = chunkUnit(makeUnit(), CHUNK_SIZE).whole;

const unable = noProcessStats();
if (unable === null) await main();
else skip('ingest', unable);

async function main() {
  const withoutNginx = options.compare === 0 ? 'not asked for' : noNginx();
  const ours = [];
  const theirs = [];
  // In turns, so that a slow spell of the machine meets both.
  for (let round = 0; round < options.rounds; round++) {
    ours.push(await measure(() => startGateway({ nodeArgs })));
    if (withoutNginx === null) theirs.push(await measure(startNginx));
  }
  const of = (rounds, name) => rounds.map((round) => round[name]);
  const figures = [
    figure('Sluice', of(ours, 'speed'), 'MB per CPU second', { atLeast: 600 }),
    figure('Sluice, first publisher after the start', of(ours, 'first'), 'MB per CPU second'),
    figure('Sluice, CPU time in the kernel', of(ours, 'kernel'), '%'),
    figure('Sluice, peak memory', of(ours, 'peak'), 'MB'),
  ];
  if (withoutNginx === null) {
    figures.push(
      figure('nginx-rtmp', of(theirs, 'speed'), 'MB per CPU second'),
      figure('nginx-rtmp, CPU time in the kernel', of(theirs, 'kernel'), '%'),
      figure('nginx-rtmp, peak memory', of(theirs, 'peak'), 'MB'),
      figure(
        'Sluice / nginx-rtmp',
        ours.map((round, index) => round.speed / theirs[index].speed),
        'times',
      ),
    );
  }
  report('ingest', options, figures, withoutNginx === null ? [] : [`No comparison: ${withoutNginx}.`]);
}

async function measure(start) {
  const server = await start();
  try {
    const first = await publish(server, 'first', WARM_UP_MB * 1e6);
    // A gateway runs for days: its first seconds say little about it.
    for (let turn = 1; turn < WARM_UPS; turn++) await publish(server, `warm-up-${turn}`, WARM_UP_MB * 1e6);
    const { speed, kernel } = await publish(server, 'measured', options.mb * 1e6);
    return { speed, kernel, first: first.speed, peak: memory(server.pid).peak };
  } finally {
    await server.stop();
  }
}

/** @returns MB per CPU second, and the part of it that the kernel took in % */
async function publish(server, key, bytes) {
  const publisher = await openPublisher(server.rtmpPort, key);
  const before = cpuSeconds(server.pid);
  const sent = await sendUnpaced(publisher.socket, unit, bytes);
  await publisher.stop();
  const after = cpuSeconds(server.pid);
  const seconds = after.total - before.total;
  return { speed: sent / 1e6 / seconds, kernel: ((after.kernel - before.kernel) / seconds) * 100 };
}
