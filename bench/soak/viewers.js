// Thread of the soak: HLS viewers, each of which checks all it gets, and slow ones that take long over each segment.
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { request } from '../support/http.js';
import { watchPlaylist } from './playlist-watch.js';

const TS_PACKET = 188;
const TS_SYNC = 0x47;
/** A stream must have a playlist this long after its publisher began. */
const APPEARS_MS = 15_000;
const POLL_MS = 1000;
/** No player waits longer. */
const SILENCE_MS = 15_000;
/** Bytes per second of a slow viewer: less than the stream has, so that it never catches up. */
const SLOW_RATE = 100_000;
const STATUS_MS = 1000;

const { httpPort, names, viewers, slowViewers } = workerData;
/** Streams without a publisher at the moment. */
const away = new Set();
const watches = new Set();
const agents = [];
const counts = { playlists: 0, segments: 0, bytes: 0 };
let stopping = false;

for (let index = 0; index < viewers; index++) void run(follow, names[index % names.length]);
for (let index = 0; index < slowViewers; index++) void run(crawl, names[index % names.length]);
setInterval(() => parentPort.postMessage({ type: 'status', ...counts }), STATUS_MS);

parentPort.on('message', ({ type, name }) => {
  if (type === 'away') away.add(name);
  if (type === 'back') {
    away.delete(name);
    for (const watch of watches) if (watch.name === name) watch.playlist.restart(performance.now());
  }
  if (type === 'stop') {
    stopping = true;
    for (const agent of agents) agent.destroy();
    parentPort.postMessage({ type: 'left' });
  }
});

async function run(viewer, name) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  const playlist = `http://127.0.0.1:${httpPort}/hls/${name}/media.m3u8`;
  let appeared = false;
  while (!stopping) {
    try {
      if (!appeared) await appearance(playlist, name, agent);
      appeared = true;
      await viewer(name, playlist, agent);
    } catch (error) {
      problem(`${name}: ${error.message}`);
      await sleep(POLL_MS);
    }
  }
}

async function appearance(playlist, name, agent) {
  const until = performance.now() + APPEARS_MS;
  while (!stopping && (await fetchWhole(playlist, agent)).status !== 200) {
    if (performance.now() > until) {
      problem(`${name}: no playlist ${APPEARS_MS / 1000} s after its publisher began`);
      return;
    }
    await sleep(POLL_MS / 4);
  }
}

/** Polls the playlist as a player does and fetches every new segment. */
async function follow(name, address, agent) {
  const watch = { name, playlist: watchPlaylist() };
  watches.add(watch);
  try {
    while (!stopping) {
      const { status, body } = await fetchWhole(address, agent);
      if (status !== 200) throw new Error(`the playlist answers ${status}`);
      counts.playlists++;
      const { problems, fresh } = watch.playlist.look(body.toString(), performance.now(), !away.has(name));
      for (const message of problems) problem(`${name}: ${message}`);
      for (const uri of fresh) {
        const segment = await fetchWhole(new URL(uri, address), agent);
        checkSegment(name, uri, segment);
      }
      await sleep(POLL_MS);
    }
  } finally {
    watches.delete(watch);
  }
}

function checkSegment(name, uri, { status, body }) {
  if (status !== 200) {
    problem(`${name}: ${uri} is listed and answers ${status}`);
    return;
  }
  counts.segments++;
  counts.bytes += body.length;
  let at = 0;
  while (at < body.length && body[at] === TS_SYNC) at += TS_PACKET;
  if (at !== body.length || at === 0) problem(`${name}: ${uri} is not whole TS packets at byte ${at}`);
}

/** Takes the newest segment, slowly, and all of it. */
async function crawl(name, address, agent) {
  const { status, body } = await fetchWhole(address, agent);
  if (status !== 200) throw new Error(`the playlist answers ${status}`);
  const uri = body.toString().trimEnd().split('\n').at(-1);
  checkSegment(name, uri, await fetchWhole(new URL(uri, address), agent, SLOW_RATE));
}

/** @param {number} [rate] bytes per second at which to read */
async function fetchWhole(address, agent, rate = Number.POSITIVE_INFINITY) {
  const response = await request(address, agent, SILENCE_MS);
  const parts = [];
  for await (const part of response) {
    parts.push(part);
    if (rate !== Number.POSITIVE_INFINITY) await sleep((part.length / rate) * 1000);
    if (stopping) break;
  }
  const body = Buffer.concat(parts);
  const promised = Number(response.headers['content-length'] ?? body.length);
  if (!stopping && body.length !== promised)
    throw new Error(`${address} promised ${promised} bytes and gave ${body.length}`);
  return { status: response.statusCode, body };
}

function problem(message) {
  if (!stopping) parentPort.postMessage({ type: 'problem', message });
}
