import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SPREAD_MS, startFleet } from '../support/fleet.js';
import { PATIENCE_MS, request } from '../support/http.js';
import { readMetrics } from '../support/metrics.js';
import { figure } from '../support/report.js';
import { startGateway } from '../support/servers.js';

const METRIC = 'sluice_segment_listing_seconds';
const FRAMES_PER_SEGMENT = 60;
/** Streams to watch from outside where the gateway does not tell. More of them would delay each other. */
const WATCHED = 5;
const TARGET_MS = 5;

/** How long after its closing packet a segment is listed. */
export async function compareListing({ publishers, seconds, 'warm-up': warmUp, nodeArgs }) {
  const server = await startGateway({ nodeArgs });
  try {
    if (hasListing(await readMetrics(server.httpPort)))
      return await byMetric(server, publishers, seconds, warmUp);
    return await byPolling(server, publishers, seconds);
  } finally {
    await server.stop();
  }
}

function hasListing(metrics) {
  return (metrics ?? []).some(({ name }) => name === `${METRIC}_bucket`);
}

async function byMetric({ rtmpPort, httpPort }, publishers, seconds, warmUp) {
  const fleet = await startFleet(rtmpPort, publishers);
  // Compilation, and the streams' first segments all at once, are not operation.
  await sleep(SPREAD_MS + warmUp * 1000);
  const before = bucketsOf(await readMetrics(httpPort));
  await sleep(seconds * 1000);
  const after = bucketsOf(await readMetrics(httpPort));
  await fleet.stop();
  const counts = [...after].map(([limit, count]) => [limit, count - (before.get(limit) ?? 0)]);
  return result([quantile(counts, 0.5) * 1000], [quantile(counts, 0.99) * 1000], publishers, [
    `Listing: the gateway's histogram ${METRIC}, ${counts.at(-1)[1]} segments; between its limits by interpolation.`,
  ]);
}

/** Cumulative counts by upper limit in seconds, all labels together. */
function bucketsOf(metrics) {
  const buckets = new Map();
  for (const { name, labels, value } of metrics ?? []) {
    if (name !== `${METRIC}_bucket`) continue;
    const limit = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
    buckets.set(limit, (buckets.get(limit) ?? 0) + value);
  }
  return new Map([...buckets].sort(([a], [b]) => a - b));
}

function quantile(buckets, share) {
  const wanted = (buckets.at(-1)?.[1] ?? 0) * share;
  let below = [0, 0];
  for (const [limit, count] of buckets) {
    if (count >= wanted && count > 0) {
      if (limit === Number.POSITIVE_INFINITY) return below[0];
      return below[0] + ((limit - below[0]) * (wanted - below[1])) / Math.max(1, count - below[1]);
    }
    below = [limit, count];
  }
  return 0;
}

/** From the keyframe's write to the first playlist that shows more: transit, polling and the sender's own delays too. */
async function byPolling({ rtmpPort, httpPort }, publishers, seconds) {
  const delays = [];
  const watched = new Map();
  const fleet = await startFleet(rtmpPort, publishers, {
    onFrame: (name, frame) => {
      if (frame % FRAMES_PER_SEGMENT === 0) watched.get(name)?.(performance.now());
    },
  });
  await sleep(SPREAD_MS * 4);
  for (const name of fleet.names.slice(0, WATCHED)) {
    const address = `http://127.0.0.1:${httpPort}/hls/${name}/media.m3u8`;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let known = await newestOf(address, agent);
    watched.set(name, async (sentAt) => {
      let newest = known;
      while (newest === known && performance.now() - sentAt < SPREAD_MS / 2)
        newest = await newestOf(address, agent);
      delays.push(performance.now() - sentAt);
      known = newest;
    });
  }
  await sleep(seconds * 1000);
  watched.clear();
  await sleep(SPREAD_MS / 2);
  await fleet.stop();
  delays.sort((a, b) => a - b);
  const at = (share) => delays[Math.min(delays.length - 1, Math.ceil(delays.length * share))];
  return result([at(0.5)], [at(0.99)], publishers, [
    `Listing: seen from outside by polling ${WATCHED} streams, ${delays.length} segments; includes the way there and back.`,
  ]);
}

async function newestOf(address, agent) {
  const response = await request(address, agent, PATIENCE_MS);
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return text.trimEnd().split('\n').at(-1);
}

function result(median, worst, publishers, notes) {
  const name = `segment listed after its last packet, ${publishers} streams`;
  return {
    figures: [
      figure(`${name}: p50`, median, 'ms'),
      figure(`${name}: p99`, worst, 'ms', { atMost: TARGET_MS }),
    ],
    notes,
  };
}
