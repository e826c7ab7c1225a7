import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { lostInGateway, SPREAD_MS, startFleet } from '../support/fleet.js';
import { UNIT_BYTES_PER_SECOND } from '../support/media.js';
import { cpuSeconds } from '../support/process-stats.js';
import { figure } from '../support/report.js';
import { startGateway } from '../support/servers.js';

const GATEWAY_CORE = 0;
const LOAD_CORE = 1;
/** Fewer are tried in these steps until the gateway keeps up. */
const STEPS = [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25];
/** Media in the sender's queues, in seconds, from which the gateway does not keep up. */
const MAX_BEHIND = 1;

/** As many real-time publishers as one core carries, the gateway alone on it and the sender on another. */
export async function compareOneCore({ 'core-publishers': wanted, seconds, 'warm-up': warmUp, nodeArgs }) {
  const unable = noPinning();
  if (unable !== null) return { figures: [], notes: [`No one-core figure: ${unable}.`] };
  const notes = [];
  pin(String(LOAD_CORE));
  try {
    for (const step of STEPS) {
      const count = Math.round(wanted * step);
      const result = await measure(count);
      const { lost, behind, busy, late } = result;
      if (lost > 0 || behind > MAX_BEHIND) {
        notes.push(
          `${count} publishers on one core: ${lost} bytes lost, ${behind.toFixed(1)} s behind, ` +
            `core ${busy.toFixed(0)} % busy with the gateway, sender ${late.toFixed(0)} ms late.`,
        );
        continue;
      }
      const figures = [
        figure('one core: publishers carried', [count], 'publishers', { atLeast: wanted }),
        figure('one core: lost', [lost], 'bytes', { atMost: 0 }),
        figure('one core: CPU of the gateway', [busy], '% of the core'),
        figure('one core: per stream', [(busy * 10) / count], 'CPU ms per stream and second'),
        figure('one core: latest send', [late], 'ms behind'),
      ];
      return { figures, notes };
    }
    return {
      figures: [figure('one core: publishers carried', [0], 'publishers', { atLeast: wanted })],
      notes,
    };
  } finally {
    pin(`0-${cpus().length - 1}`);
  }

  async function measure(count) {
    const server = await startGateway({ nodeArgs, core: GATEWAY_CORE });
    try {
      const fleet = await startFleet(server.rtmpPort, count);
      await sleep(SPREAD_MS + warmUp * 1000);
      fleet.takeLate();
      const before = cpuSeconds(server.pid).total;
      const began = performance.now();
      await sleep(seconds * 1000);
      const busy = ((cpuSeconds(server.pid).total - before) / ((performance.now() - began) / 1000)) * 100;
      const behind = fleet.unsent() / count / UNIT_BYTES_PER_SECOND;
      const late = fleet.takeLate();
      const lost = await lostInGateway(server.httpPort, await fleet.stop());
      return { lost, behind, busy, late };
    } finally {
      await server.stop();
    }
  }
}

function noPinning() {
  if (spawnSync('taskset', ['--version']).error !== undefined) return 'taskset is not installed';
  return cpus().length < 2 ? 'the sender needs a core of its own' : null;
}

function pin(cores) {
  spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(process.pid)]);
}
