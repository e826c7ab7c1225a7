import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startFleet } from '../support/fleet.js';
import { getOnce } from '../support/http.js';
import { cpuSeconds } from '../support/process-stats.js';
import { figure } from '../support/report.js';
import { startGateway, startNginx } from '../support/servers.js';

/** Makes segments of 600 KB, sound and TS headers included. */
const BIT_RATE = 2_170_000;
/** Until the playlist has six segments. */
const FILL_MS = 15_000;
const WARM_UP_SECONDS = 3;

/** wrk on a live playlist and on a segment of it; nginx serves the same bytes from files in memory. */
export async function compareRequests({ rounds, 'wrk-seconds': seconds, nodeArgs }, nginx) {
  if (spawnSync('wrk', ['-v']).error !== undefined)
    return { figures: [], notes: ['No request rates: wrk is not installed.'] };
  const ours = { playlist: [], segment: [] };
  const theirs = { playlist: [], segment: [] };
  let segmentBytes = 0;
  const gateway = await startGateway({ nodeArgs });
  const files = nginx ? await startNginx() : null;
  try {
    const fleet = await startFleet(gateway.rtmpPort, 1, { bitRate: BIT_RATE });
    await sleep(FILL_MS);
    const playlist = `http://127.0.0.1:${gateway.httpPort}/hls/${fleet.names[0]}/media.m3u8`;
    // Compilation is not measured.
    await wrk(gateway.pid, playlist, WARM_UP_SECONDS);
    for (let round = 0; round < rounds; round++) {
      const { text } = await getOnce(playlist);
      // The newest: it stays for two windows, much longer than the measuring takes.
      const segment = new URL(text.trimEnd().split('\n').at(-1), playlist);
      const bytes = Buffer.from(await (await fetch(segment)).arrayBuffer());
      segmentBytes = bytes.length;
      ours.segment.push(await wrk(gateway.pid, segment.href, seconds));
      ours.playlist.push(await wrk(gateway.pid, playlist, seconds));
      if (files === null) continue;
      writeFileSync(join(files.folder, 'same.m3u8'), text);
      writeFileSync(join(files.folder, 'same.ts'), bytes);
      const base = `http://127.0.0.1:${files.httpPort}/same`;
      theirs.segment.push(await wrk(files.pid, `${base}.ts`, seconds));
      theirs.playlist.push(await wrk(files.pid, `${base}.m3u8`, seconds));
    }
    await fleet.stop();
  } finally {
    await gateway.stop();
    await files?.stop();
  }
  const kinds = [
    { name: 'playlist', title: 'playlist requests', unit: 'per', scale: 1, atLeast: 15_000 },
    { name: 'segment', title: 'segments', unit: 'GB per', scale: segmentBytes / 1e9, atLeast: 2 },
  ];
  const figures = kinds.flatMap(({ name, title, unit, scale, atLeast }) => {
    const of = (rates, what) => rates[name].map((rate) => rate[what] * scale);
    const ratio = (what) => of(ours, what).map((value, round) => value / of(theirs, what)[round]);
    const some = [
      figure(`${title}: Sluice`, of(ours, 'perSecond'), `${unit} second`, { atLeast }),
      figure(`${title}: Sluice`, of(ours, 'perCpuSecond'), `${unit} CPU second`),
    ];
    if (nginx) {
      some.push(
        figure(`${title}: nginx, static`, of(theirs, 'perSecond'), `${unit} second`),
        figure(`${title}: nginx, static`, of(theirs, 'perCpuSecond'), `${unit} CPU second`),
        figure(`${title}: Sluice / nginx`, ratio('perSecond'), 'times'),
        figure(`${title}: Sluice / nginx, by CPU time`, ratio('perCpuSecond'), 'times'),
      );
    }
    return some;
  });
  const all = [ours, theirs].flatMap((rates) => [...rates.playlist, ...rates.segment]);
  const timeouts = all.reduce((sum, rate) => sum + rate.timeouts, 0);
  return {
    figures,
    notes: [
      `Requests: wrk -t1 -c64, segments of ${Math.round(segmentBytes / 1000)} KB.`,
      ...(timeouts > 0 ? [`${timeouts} requests took more than 2 s: the machine was busy.`] : []),
    ],
  };
}

/**
 * Requests per second, by the clock and by the CPU time of the server.
 *
 * @throws Error when any of them was refused
 */
async function wrk(pid, address, seconds) {
  const before = cpuSeconds(pid).total;
  const { stdout } = await promisify(execFile)('wrk', ['-t1', '-c64', `-d${seconds}s`, address]);
  const cpu = cpuSeconds(pid).total - before;
  const [, errors = '', timeouts = 0] =
    /Socket errors: (connect \d+, read \d+, write \d+), timeout (\d+)/.exec(stdout) ?? [];
  if (/Non-2xx/.test(stdout) || /[1-9]/.test(errors)) throw new Error(`wrk on ${address}: ${stdout}`);
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]),
    perCpuSecond: Number(/(\d+) requests in/.exec(stdout)[1]) / cpu,
    timeouts: Number(timeouts),
  };
}
