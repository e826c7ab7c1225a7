// What the ladder costs: the gateway and its ffmpeg beside a plain ffmpeg that encodes the same to files, at the same time,
// for a usual ladder and for one so small that the gateway's own work weighs more; how soon its
// first segments are there; and whether anything is left behind by a thousand encoders.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFlvFile, TAG_TYPE } from '../dist/formats/flv/tags.js';
import { publishRtmp } from '../dist/servers/rtmp/rtmp-publisher.js';
import { getOnce } from './support/http.js';
import { readOptions } from './support/options.js';
import { cpuSeconds, descendants, descriptors, memory, noProcessStats } from './support/process-stats.js';
import { figure, report, skip } from './support/report.js';
import { freePort, startGateway } from './support/servers.js';

const SMALL = { name: '480p', size: '854x480', rungs: ['360p', '240p', '160p'] };
const USUAL = { name: '720p', size: '1280x720', rungs: ['480p', '360p', '160p'] };
const CLIP_SECONDS = 10;
const GOP_SECONDS = 2;
const FRAME_RATE = 25;
const POLL_MS = 20;
/** A stream that ended stays for a while; figures are taken when nothing is left of it. */
const AFTERLIFE_MS = 25_000;
const LIMIT_MS = 60_000;

const options = readOptions({ rounds: 3, seconds: 30, 'warm-up': 60, starts: 5, cycles: 1000, parallel: 4 });
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-ladder-'));
const children = new Set();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const unable = noProcessStats() ?? noFfmpeg();
if (unable === null) await main();
else skip('ladder', unable);

async function main() {
  const clip = makeClip(SMALL);
  const figures = [];
  if (options.rounds > 0) {
    figures.push(...(await compareCpu(makeClip(USUAL), USUAL)), ...(await compareCpu(clip, SMALL)));
  }
  if (options.starts > 0) figures.push(...(await measureStart(clip)));
  if (options.cycles > 0) figures.push(...(await countLeftovers(clip)));
  report('ladder', options, figures);
}

/** The same seconds of media for both, from a file whose encoding costs nobody anything. */
function makeClip({ name, size }) {
  const path = join(folder, `${name}.flv`);
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${FRAME_RATE}`],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', String(CLIP_SECONDS)],
    ...[
      '-c:v',
      'libx264',
      '-preset',
      'veryfast',
      '-pix_fmt',
      'yuv420p',
      '-b:v',
      '1M',
      '-g',
      String(GOP_SECONDS * FRAME_RATE),
      '-sc_threshold',
      '0',
    ],
    ...['-c:a', 'aac', '-b:a', '128k', '-f', 'flv', path],
  ]);
  return path;
}

/** Both at the same time, as a machine is not equally fast from one minute to the next. */
async function compareCpu(clip, { name, rungs }) {
  const rounds = [];
  for (let round = 0; round < options.rounds; round++) {
    await withGateway({ SLUICE_LADDER: [...rungs, 'audio'].join(',') }, async (gateway) => {
      const publishers = [publish(clip, `rtmp://127.0.0.1:${gateway.rtmpPort}/live/bench`)];
      for (const rung of rungs) await listed(gateway, `media-${rung}`);
      const [child] = descendants(gateway.pid);
      const encoderArguments = readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0').slice(0, -1);
      const address = `rtmp://127.0.0.1:${await freePort()}/live/bench`;
      const plain = start('ffmpeg', plainArguments(encoderArguments, address));
      // It listens some time after it was started, and takes one connection only: none may be wasted on asking.
      await sleep(1000);
      publishers.push(publish(clip, address));
      const [ours, encoding, files] = await cpuPerSecond(gateway.pid, child, plain.pid);
      rounds.push({ ours, encoding, files });
      await Promise.all([...publishers, plain].map(stop));
    });
  }
  const each = (value) => rounds.map(value);
  return [
    figure(
      `${name}: the gateway alone`,
      each(({ ours, encoding }) => ours - encoding),
      'CPU ms per second',
    ),
    figure(
      `${name}: its ffmpeg`,
      each(({ encoding }) => encoding),
      'CPU ms per second',
    ),
    figure(
      `${name}: plain ffmpeg to files`,
      each(({ files }) => files),
      'CPU ms per second',
    ),
    figure(
      `${name}: gateway with its ffmpeg / plain ffmpeg`,
      each(({ ours, files }) => ours / files),
      'times',
      { atMost: 1.05 },
    ),
  ];
}

/** What the gateway tells ffmpeg, from a connection of its own into files: renditions with sound, and the source. */
function plainArguments([, ...args], address) {
  const scratch = join(folder, 'plain');
  mkdirSync(scratch, { recursive: true });
  const input = args.indexOf('-i');
  const before = args
    .slice(0, input)
    .filter((argument, index, all) => argument !== '-f' && all[index - 1] !== '-f');
  const after = args.slice(input + 2).flatMap((argument, index, all) => {
    // The gateway marks keyframes in the timestamps that it gives, here they come at the same times by themselves.
    if (all[index - 1] === '-force_key_frames') return `expr:gte(t,n_forced*${GOP_SECONDS})`;
    const pipe = /^pipe:(\d+)$/.exec(argument)?.[1];
    return pipe === undefined
      ? argument
      : ['-map', '0:a', '-c:a', 'copy', '-y', join(scratch, `${pipe}.flv`)];
  });
  const source = ['-map', '0', '-c', 'copy', '-f', 'mpegts', '-y', join(scratch, 'source.ts')];
  return [...before, '-listen', '1', '-f', 'flv', '-i', address, ...after, ...source];
}

async function cpuPerSecond(...pids) {
  await sleep(options['warm-up'] * 1000);
  const before = pids.map((pid) => cpuSeconds(pid).total);
  const began = performance.now();
  await sleep(options.seconds * 1000);
  const seconds = (performance.now() - began) / 1000;
  return pids.map((pid, index) => ((cpuSeconds(pid).total - before[index]) / seconds) * 1000);
}

async function measureStart(clip) {
  const delays = [];
  await withGateway({ SLUICE_PUBLISH_GRACE_WINDOW: '1' }, async (gateway) => {
    for (let round = 0; round < options.starts; round++) {
      const name = `start${round}`;
      const publisher = publish(clip, `rtmp://127.0.0.1:${gateway.rtmpPort}/live/${name}`);
      const source = await listed(gateway, 'media', name);
      const rungs = await Promise.all(SMALL.rungs.map((rung) => listed(gateway, `media-${rung}`, name)));
      delays.push((Math.max(...rungs) - source) / 1000);
      await stop(publisher);
    }
  });
  return [figure('First segment after that of the source', delays, 's', { atMost: 1.5 })];
}

/** Short streams one after the other, each of which starts an encoder; what is left of them when all are over. */
async function countLeftovers(clip) {
  const tags = [...readFlvFile(readFileSync(clip))].filter(({ timestamp }) => timestamp < 1500);
  const scratch = join(folder, 'gateway-tmp');
  mkdirSync(scratch);
  const settings = { SLUICE_PUBLISH_GRACE_WINDOW: '1', TMPDIR: scratch };
  return withGateway(settings, async (gateway) => {
    const level = async () => {
      await sleep(AFTERLIFE_MS);
      return {
        descriptors: descriptors(gateway.pid),
        processes: descendants(gateway.pid).length,
        files: readdirSync(scratch, { recursive: true }).length,
        rss: memory(gateway.pid).rss,
      };
    };
    // Until the first of them have expired, so that what a gateway keeps of streams for a while is there from the start.
    await cycle(gateway, tags, Math.ceil(options.cycles / 2));
    const before = await level();
    const starts = await startsOf(gateway);
    // A stream may be over before an encoder of its own has begun.
    while ((await startsOf(gateway)) - starts < options.cycles) await cycle(gateway, tags, 50);
    const after = await level();
    const growth = (name, unit, target) => figure(`More ${name}`, [after[name] - before[name]], unit, target);
    return [
      figure('Encoders started', [(await startsOf(gateway)) - starts], 'times', { atLeast: options.cycles }),
      growth('descriptors', 'open', { atMost: 0 }),
      growth('processes', 'running', { atMost: 0 }),
      growth('files', 'temporary', { atMost: 0 }),
      growth('rss', 'MB', { atMost: 25 }),
    ];
  });
}

async function cycle(gateway, tags, count) {
  let left = count;
  await Promise.all(
    Array.from({ length: options.parallel }, async (_, lane) => {
      while (left-- > 0) await oneStream(gateway, tags, `lane${lane}`, left);
    }),
  );
}

async function oneStream({ rtmpPort, pid }, tags, lane, number) {
  const publisher = await publishRtmp({
    host: '127.0.0.1',
    port: rtmpPort,
    app: 'live',
    key: `${lane}x${number}`,
  });
  const before = new Set(descendants(pid));
  for (const { type, timestamp, body } of tags) {
    if (type === TAG_TYPE.VIDEO) publisher.video(timestamp, body);
    else if (type === TAG_TYPE.AUDIO) publisher.audio(timestamp, body);
  }
  await waitFor('an encoder', () => descendants(pid).some((one) => !before.has(one)));
  await publisher.drained();
  await publisher.stop();
}

async function startsOf({ httpPort }) {
  const { text } = await getOnce(`http://127.0.0.1:${httpPort}/metrics`);
  return Number(/^sluice_transcode_starts_total (\d+)/m.exec(text)?.[1]);
}

async function withGateway(settings, use) {
  const gateway = await startGateway({
    settings: {
      SLUICE_LADDER: [...SMALL.rungs, 'audio'].join(','),
      SLUICE_TRANSCODE_WHEN: 'always',
      ...settings,
    },
  });
  try {
    return await use(gateway);
  } finally {
    await gateway.stop();
  }
}

/** When the first segment is in this playlist. */
async function listed({ httpPort }, playlist, name = 'bench') {
  const url = `http://127.0.0.1:${httpPort}/hls/${name}/${playlist}.m3u8`;
  await waitFor(url, async () => (await getOnce(url)).text.includes('#EXTINF'));
  return performance.now();
}

async function waitFor(what, look) {
  const until = performance.now() + LIMIT_MS;
  while (!(await look())) {
    if (performance.now() > until) throw new Error(`waited in vain for ${what}`);
    await sleep(POLL_MS);
  }
}

function publish(clip, address) {
  return start('ffmpeg', [
    '-v',
    'error',
    '-re',
    '-stream_loop',
    '-1',
    '-i',
    clip,
    '-c',
    'copy',
    '-f',
    'flv',
    address,
  ]);
}

function start(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

function noFfmpeg() {
  try {
    execFileSync('ffmpeg', ['-version']);
    return null;
  } catch {
    return 'there is no ffmpeg';
  }
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
