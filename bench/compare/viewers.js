import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SPREAD_MS, startFleet } from '../support/fleet.js';
import { PATIENCE_MS, request } from '../support/http.js';
import { cpuSeconds } from '../support/process-stats.js';
import { figure } from '../support/report.js';
import { startGateway, startNginx } from '../support/servers.js';

const STREAMS = 10;
/** Until every playlist has a segment. */
const FILL_MS = 10_000;
/** Players reload a playlist once per target duration. */
const RELOAD_MS = 2000;

/** HLS viewers on ten streams: what they cost beyond the publishers alone. */
export async function compareViewers(
  { rounds, viewers, seconds: wanted, 'warm-up': warmUp, nodeArgs },
  nginx,
) {
  // Whole reloads, so that each viewer fetches the same.
  const seconds = Math.ceil((wanted * 1000) / RELOAD_MS) * (RELOAD_MS / 1000);
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(
      await measure(
        () => startGateway({ nodeArgs }),
        (name) => `hls/${name}/media.m3u8`,
      ),
    );
    if (nginx) theirs.push(await measure(startNginx, (name) => `${name}.m3u8`));
  }
  const of = (all, name) => all.map((one) => one[name]);
  const name = `${viewers} viewers`;
  const unit = 'CPU ms per viewer and second';
  const figures = [
    figure(`${name}: Sluice`, of(ours, 'cpu'), unit, { atMost: 0.4 }),
    figure(`${name}: Sluice, segments fetched`, of(ours, 'segments'), 'per viewer and second'),
  ];
  if (nginx) {
    figures.push(
      figure(`${name}: nginx, HLS of nginx-rtmp`, of(theirs, 'cpu'), unit),
      figure(`${name}: nginx, segments fetched`, of(theirs, 'segments'), 'per viewer and second'),
      figure(
        `${name}: Sluice / nginx, CPU`,
        ours.map(({ cpu }, round) => cpu / theirs[round].cpu),
        'times',
      ),
    );
  }
  return { figures, notes: [] };

  async function measure(start, pathOf) {
    const server = await start();
    try {
      const fleet = await startFleet(server.rtmpPort, STREAMS);
      // Compilation is not operation: at two hundred requests a second it goes on for half a minute.
      await sleep(SPREAD_MS + Math.max(FILL_MS, warmUp * 1000));
      const alone = await cpuOver(server.pid, seconds);
      const audience = startAudience(
        fleet.names.map((one) => `http://127.0.0.1:${server.httpPort}/${pathOf(one)}`),
        viewers,
      );
      await sleep(RELOAD_MS * 2 + warmUp * 1000);
      const segmentsBefore = audience.segments();
      const watched = await cpuOver(server.pid, seconds);
      const segments = (audience.segments() - segmentsBefore) / viewers / seconds;
      await audience.stop();
      await fleet.stop();
      return { cpu: ((watched - alone) * 1000) / viewers, segments };
    } finally {
      await server.stop();
    }
  }
}

/** CPU seconds per second. */
async function cpuOver(pid, seconds) {
  const before = cpuSeconds(pid).total;
  const began = performance.now();
  await sleep(seconds * 1000);
  return (cpuSeconds(pid).total - before) / ((performance.now() - began) / 1000);
}

/** Viewers, each with a connection of its own, spread over the streams and over the reload time. */
function startAudience(playlists, count) {
  let segments = 0;
  let stopped = false;
  const watching = Array.from({ length: count }, (_, index) =>
    watch(playlists[index % playlists.length], (index * RELOAD_MS) / count),
  );
  return {
    segments: () => segments,
    stop: async () => {
      stopped = true;
      await Promise.all(watching);
    },
  };

  async function watch(playlist, delayMs) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let due = performance.now() + delayMs;
    let newest = null;
    while (!stopped) {
      await sleep(Math.max(0, due - performance.now()));
      due += RELOAD_MS;
      const uris = (await fetchText(playlist, agent))
        .split('\n')
        .filter((line) => line !== '' && line[0] !== '#');
      // Begins at the end of the list, then takes all that is new.
      const fresh = uris.slice(newest === null ? -1 : uris.indexOf(newest) + 1);
      for (const uri of fresh) {
        await fetchAway(new URL(uri, playlist), agent);
        segments++;
      }
      newest = uris.at(-1) ?? null;
    }
    agent.destroy();
  }
}

async function fetchText(address, agent) {
  const response = await accepted(address, agent);
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return text;
}

/** Reads and forgets. */
async function fetchAway(address, agent) {
  const response = await accepted(address, agent);
  await new Promise((resolve, reject) => response.resume().once('end', resolve).once('error', reject));
}

async function accepted(address, agent) {
  const response = await request(address, agent, PATIENCE_MS);
  if (response.statusCode !== 200) throw new Error(`${address} answers ${response.statusCode}`);
  return response;
}
