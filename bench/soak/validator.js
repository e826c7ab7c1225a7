// Thread of the soak: the tests' own HLS validator on some of the streams, from beginning to end.
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { getOnce } from '../support/http.js';

const POLL_MS = 500;
/** Added to the time within which a playlist must gain a segment, for busy machines. */
const SLACK_MS = 1000;
const APPEARS_MS = 15_000;

const { httpPort, names, file } = workerData;
const { HlsValidator, formatFinding } = await import(pathToFileURL(file).href);
const validators = new Map();
const polls = [];
let stopping = false;

parentPort.on('message', ({ type, name }) => {
  if (type === 'away') validators.get(name)?.publisherAway(true);
  if (type === 'back') validators.get(name)?.publisherAway(false);
  if (type === 'stop') void stop();
});
for (const name of names) polls.push(watch(name));

async function watch(name) {
  const url = `http://127.0.0.1:${httpPort}/hls/${name}.m3u8`;
  const until = performance.now() + APPEARS_MS;
  // Whether the stream appears at all is for the viewers to say.
  while (!stopping && performance.now() < until && (await getOnce(url)).status !== 200) await sleep(POLL_MS);
  const validator = new HlsValidator(url, { updateSlackMilliseconds: SLACK_MS });
  validators.set(name, validator);
  while (!stopping) {
    const findings = await validator.poll();
    for (const finding of stopping ? [] : findings) {
      const { severity } = finding;
      parentPort.postMessage({
        type: severity === 'error' ? 'problem' : 'warning',
        message: formatFinding(finding),
      });
    }
    await sleep(POLL_MS);
  }
}

async function stop() {
  stopping = true;
  await Promise.all(polls);
  const segments = [...validators.values()].flatMap((validator) => validator.summary().variants);
  parentPort.postMessage({ type: 'left', segments: segments.reduce((sum, one) => sum + one.segments, 0) });
}
