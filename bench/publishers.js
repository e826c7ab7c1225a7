// What real-time publishers cost: N of them at 2.5 Mb/s each, paced by frame, into the gateway and into nginx-rtmp.
import { readdirSync } from 'node:fs';
import { MESSAGE } from '../dist/rtmp/message.js';
import { chunkUnit } from './support/chunks.js';
import { frameBytes, makeUnit, UNIT_MS } from './support/media.js';
import { readOptions } from './support/options.js';
import { cpuSeconds, memory, noProcessStats } from './support/process-stats.js';
import { CHUNK_SIZE, openPublisher } from './support/publisher.js';
import { figure, report, skip } from './support/report.js';
import { noNginx, startGateway, startNginx } from './support/servers.js';

/** Sends are due at frame times; looking this often keeps them within a few ms. */
const TICK_MS = 5;
/** Starts are spread over one GOP, so that keyframes do not come all at once. */
const SPREAD_MS = 2000;

const options = readOptions({
  publishers: 100,
  seconds: 20,
  'warm-up': 5,
  rounds: 1,
  compare: 1,
  together: 0,
  'node-args': '',
});
const nodeArgs = options['node-args'].split(' ').filter(Boolean);
const messages = makeUnit();
const { frames } = chunkUnit(messages, CHUNK_SIZE);
/** Payload bytes per piece of `frames`, as the gateway counts them. */
const payloads = payloadPerFrame();

const unable = noProcessStats();
if (unable === null) await main();
else skip('publishers', unable);

async function main() {
  const withoutNginx = options.compare === 0 ? 'not asked for' : noNginx();
  const ours = [];
  const theirs = [];
  for (let round = 0; round < options.rounds; round++) {
    const gateway = () => measure(() => startGateway({ nodeArgs }), lostInGateway);
    const nginx = async () => (withoutNginx === null ? [await measure(startNginx, lostInNginx)] : []);
    if (options.together === 1) {
      const [our, their] = await Promise.all([gateway(), nginx()]);
      ours.push(our);
      theirs.push(...their);
    } else {
      ours.push(await gateway());
      theirs.push(...(await nginx()));
    }
  }
  const of = (rounds, name) => rounds.map((round) => round[name]);
  const count = options.publishers;
  const figures = [
    figure('Sluice', of(ours, 'cpu'), 'CPU ms per stream and second'),
    figure('Sluice, memory', of(ours, 'rss'), 'MB'),
    figure('Sluice, lost', of(ours, 'lost'), `bytes of ${count} streams`, { atMost: 0 }),
    figure('Sluice, streams not whole', of(ours, 'damaged'), 'streams', { atMost: 0 }),
  ];
  if (withoutNginx === null) {
    figures.push(
      figure('nginx-rtmp', of(theirs, 'cpu'), 'CPU ms per stream and second'),
      figure('nginx-rtmp, memory', of(theirs, 'rss'), 'MB'),
      figure(
        'Sluice / nginx-rtmp, CPU',
        ours.map((round, index) => round.cpu / theirs[index].cpu),
        'times',
      ),
    );
  }
  figures.push(figure('sender, latest send', [...of(ours, 'late'), ...of(theirs, 'late')], 'ms behind'));
  report('publishers', options, figures, withoutNginx === null ? [] : [`No comparison: ${withoutNginx}.`]);
}

async function measure(start, countLost) {
  const server = await start();
  try {
    const publishers = await Promise.all(
      Array.from({ length: options.publishers }, (_, index) => openPublisher(server.rtmpPort, `p${index}`)),
    );
    const sender = startSending(publishers);
    await sleep(SPREAD_MS + options['warm-up'] * 1000);
    const before = cpuSeconds(server.pid).total;
    const began = performance.now();
    await sleep(options.seconds * 1000);
    const seconds = (performance.now() - began) / 1000;
    const cpu = ((cpuSeconds(server.pid).total - before) * 1000) / seconds / options.publishers;
    const { rss } = memory(server.pid);
    const sent = sender.stop();
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    return { cpu, rss, late: sender.late(), ...(await countLost(server, sent)) };
  } finally {
    await server.stop();
  }
}

/** Every publisher sends one frame, with the audio that belongs to it, each 33 ms. */
function startSending(publishers) {
  const began = performance.now();
  const frameMs = UNIT_MS / frames.length;
  const next = publishers.map(() => 0);
  const sent = publishers.map(() => 0);
  let late = 0;
  const timer = setInterval(() => {
    const now = performance.now() - began;
    publishers.forEach(({ socket }, index) => {
      const start = (index * SPREAD_MS) / publishers.length;
      for (let due = start + next[index] * frameMs; due <= now; due += frameMs) {
        if (socket.destroyed) return;
        const frame = next[index]++ % frames.length;
        socket.write(frames[frame]);
        sent[index] += payloads[frame];
        late = Math.max(late, now - due);
      }
    });
  }, TICK_MS);
  return {
    late: () => late,
    stop: () => {
      clearInterval(timer);
      return sent;
    },
  };
}

/** Compares what the gateway counted behind its demuxer and timeline with what was sent, stream by stream. */
async function lostInGateway(server, sent) {
  const response = await fetch(`http://127.0.0.1:${server.httpPort}/api/streams`);
  const { streams } = await response.json();
  const counted = new Map(streams.map(({ name, bytes }) => [name, bytes]));
  let lost = 0;
  let damaged = 0;
  sent.forEach((bytes, index) => {
    const missing = bytes - (counted.get(`p${index}`) ?? 0);
    lost += missing;
    if (missing !== 0) damaged++;
  });
  return { lost, damaged };
}

/** nginx-rtmp counts nothing that can be asked for; that it made segments for every stream must do. */
async function lostInNginx(server) {
  const segments = new Set(
    readdirSync(server.folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => name.slice(0, name.lastIndexOf('-'))),
  );
  if (segments.size < options.publishers) {
    throw new Error(`nginx-rtmp made segments of ${segments.size} streams only`);
  }
  return {};
}

function payloadPerFrame() {
  const groups = [];
  for (const message of messages) {
    if (message.type === MESSAGE.VIDEO) groups.push([message]);
    else groups.at(-1).push(message);
  }
  return groups.map(frameBytes);
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
