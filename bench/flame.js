// Where the gateway's time goes: perf looks at all of its threads while publishers send in real time, and the stacks
// become a flame graph.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { renderFlameGraph, shareOf } from './flame/graph.js';
import { foldStacks } from './flame/stacks.js';
import { readOptions } from './support/options.js';
import { skip } from './support/report.js';
import { startGateway } from './support/servers.js';

const SAMPLES_PER_SECOND = 999;

const options = readOptions({ publishers: 100, 'warm-up': 30, seconds: 20, report: 'flame.svg' });

if (spawnSync('perf', ['--version']).status === 0) await main();
else skip('flame', 'perf is missing (apt-get install linux-perf), and only Linux has it');

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-flame-'));
  const data = join(folder, 'perf.data');
  // Writes the names of compiled functions where perf looks for them.
  const gateway = await startGateway({ nodeArgs: ['--perf-basic-prof'] });
  const { publishers, seconds } = options;
  try {
    console.error(`${publishers} publishers, ${options['warm-up']} s of warm-up, ${seconds} s …`);
    const load = await startLoad(gateway.rtmpPort, publishers);
    await sleep(options['warm-up'] * 1000);
    await record(gateway.pid, data, seconds);
    await load.terminate();
    const tree = foldStacks(script(data));
    writeFileSync(options.report, renderFlameGraph(tree, `${publishers} publishers in real time`));
    for (const [kind, share] of shareOf(tree))
      console.log(`${(share * 100).toFixed(0).padStart(4)} %  ${kind}`);
    console.log(`flame graph: ${options.report}`);
  } finally {
    await gateway.stop();
    rmSync(`/tmp/perf-${gateway.pid}.map`, { force: true });
    rmSync(folder, { recursive: true });
  }
}

/** In a thread, so that nothing here makes the senders late. */
function startLoad(rtmpPort, publishers) {
  const worker = new Worker(new URL('./flame/load.js', import.meta.url), {
    workerData: { rtmpPort, publishers },
  });
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', () => resolve(worker));
  });
}

async function record(pid, file, seconds) {
  const args = ['record', '-q', '-F', String(SAMPLES_PER_SECOND), '-g', '-p', String(pid), '-o', file];
  const perf = spawn('perf', [...args, '--', 'sleep', String(seconds)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await new Promise((resolve, reject) => {
    perf.once('error', reject);
    perf.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`perf record ended with ${code}`)),
    );
  });
}

function script(file) {
  const { status, stdout, stderr } = spawnSync('perf', ['script', '-i', file, '-F', 'comm,tid,ip,sym,dso'], {
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
  });
  if (status !== 0) throw new Error(`perf script: ${stderr}`);
  return stdout;
}
