// Sluice beside nginx and its RTMP module: every figure with its target, in one run on one machine.
import { compareFullSpeed } from './compare/full-speed.js';
import { compareListing } from './compare/listing.js';
import { compareOneCore } from './compare/one-core.js';
import { comparePublishers } from './compare/publishers.js';
import { compareRequests } from './compare/requests.js';
import { compareViewers } from './compare/viewers.js';
import { readOptions } from './support/options.js';
import { noProcessStats } from './support/process-stats.js';
import { report, skip } from './support/report.js';
import { noNginx } from './support/servers.js';

const PARTS = {
  publishers: comparePublishers,
  'one-core': compareOneCore,
  'full-speed': compareFullSpeed,
  requests: compareRequests,
  viewers: compareViewers,
  listing: compareListing,
};

const options = readOptions({
  only: '',
  rounds: 3,
  seconds: 20,
  'warm-up': 30,
  publishers: 100,
  'core-publishers': 400,
  mb: 800,
  'wrk-seconds': 5,
  viewers: 200,
  compare: 1,
  'node-args': '',
});

const unable = noProcessStats();
if (unable === null) await main();
else skip('compare', unable);

async function main() {
  const wanted = options.only === '' ? Object.keys(PARTS) : options.only.split(',');
  const unknown = wanted.filter((name) => PARTS[name] === undefined);
  if (unknown.length > 0) throw new Error(`no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}`);
  const withoutNginx = options.compare === 0 ? 'not asked for' : noNginx();
  const notes = withoutNginx === null ? [] : [`No comparison: ${withoutNginx}.`];
  const figures = [];
  const nodeArgs = options['node-args'].split(' ').filter(Boolean);
  for (const name of wanted) {
    console.error(`${name} …`);
    try {
      const part = await PARTS[name]({ ...options, nodeArgs }, withoutNginx === null);
      figures.push(...part.figures);
      notes.push(...part.notes);
    } catch (error) {
      // The other parts are still worth having.
      console.error(error);
      notes.push(`${name} failed: ${error.message}`);
      process.exitCode = 1;
    }
  }
  report('compare', options, figures, notes);
}
