import { setTimeout as sleep } from 'node:timers/promises';
import { lostInGateway, SPREAD_MS, startFleet } from '../support/fleet.js';
import { cpuSeconds, memory } from '../support/process-stats.js';
import { figure } from '../support/report.js';
import { startGateway, startNginx } from '../support/servers.js';
import { retainedMedia } from './retained-media.js';

const IDLE_MB = 90;
const MEDIA_FACTOR = 1.2;

/** Real-time publishers: CPU time against nginx-rtmp, memory against the media held. */
export async function comparePublishers({ rounds, publishers, seconds, 'warm-up': warmUp, nodeArgs }, nginx) {
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await measure(() => startGateway({ nodeArgs }), true));
    if (nginx) theirs.push(await measure(startNginx, false));
  }
  const of = (all, name) => all.map((one) => one[name]);
  const name = `${publishers} publishers`;
  const figures = [
    figure(`${name}: Sluice`, of(ours, 'cpu'), 'CPU ms per stream and second'),
    figure(`${name}: Sluice, lost`, of(ours, 'lost'), 'bytes', { atMost: 0 }),
    figure(`${name}: Sluice, memory`, of(ours, 'rss'), 'MB'),
    figure(`${name}: Sluice, media held`, of(ours, 'retained'), 'MB'),
    figure(
      `${name}: Sluice, memory / (${IDLE_MB} MB + ${MEDIA_FACTOR} × media)`,
      of(ours, 'share'),
      'times',
      {
        atMost: 1,
      },
    ),
  ];
  if (nginx) {
    const ratios = ours.map(({ cpu }, round) => cpu / theirs[round].cpu);
    figures.push(
      figure(`${name}: nginx-rtmp`, of(theirs, 'cpu'), 'CPU ms per stream and second'),
      figure(`${name}: nginx-rtmp, memory without its files`, of(theirs, 'rss'), 'MB'),
      figure(`${name}: Sluice / nginx-rtmp, CPU`, ratios, 'times', { atMost: 1 }),
    );
  }
  figures.push(figure(`${name}: latest send`, [...of(ours, 'late'), ...of(theirs, 'late')], 'ms behind'));
  return { figures, notes: [...new Set(ours.map(({ how }) => `Media held: ${how}.`))] };

  async function measure(start, isGateway) {
    const server = await start();
    try {
      const fleet = await startFleet(server.rtmpPort, publishers);
      await sleep(SPREAD_MS + warmUp * 1000);
      const before = cpuSeconds(server.pid).total;
      const began = performance.now();
      await sleep(seconds * 1000);
      const wall = (performance.now() - began) / 1000;
      const cpu = ((cpuSeconds(server.pid).total - before) * 1000) / wall / publishers;
      const { rss } = memory(server.pid);
      const media = isGateway ? await retainedMedia(server.httpPort, fleet.names) : null;
      const late = fleet.takeLate();
      const sent = await fleet.stop();
      if (media === null) return { cpu, rss, late };
      return {
        cpu,
        rss,
        late,
        retained: media.megabytes,
        how: media.how,
        share: rss / (IDLE_MB + MEDIA_FACTOR * media.megabytes),
        lost: await lostInGateway(server.httpPort, sent),
      };
    } finally {
      await server.stop();
    }
  }
}
