// Thread of the soak: real-time publishers, one of which reconnects every so often.
import { parentPort, workerData } from 'node:worker_threads';
import { chunkUnit } from '../support/chunks.js';
import { makeUnit, UNIT_MS } from '../support/media.js';
import { startPacer } from '../support/pacer.js';
import { CHUNK_SIZE, openPublisher } from '../support/publisher.js';

/** How long an encoder takes to come back: OBS waits two seconds. */
const AWAY_MS = 2000;
/**
 * Starts are spread over one GOP, so that keyframes do not come all at once. Without it those that come back would, since
 * they are cut off at multiples of it. Steps of the golden ratio leave no gaps, however many they are.
 */
const SPREAD_MS = 2000;
const SPREAD_STEP = (Math.sqrt(5) - 1) / 2;
const STATUS_MS = 1000;

const { rtmpPort, names, bitRate, churnMs } = workerData;
const { frames } = chunkUnit(makeUnit(bitRate), CHUNK_SIZE);
const pacer = startPacer(frames, UNIT_MS);
/** Connected publishers by name. */
const connected = new Map();
const timers = new Set();
let reconnects = 0;
let starts = 0;
let stopping = false;

await Promise.all(names.map(join));
parentPort.postMessage({ type: 'ready' });
every(churnMs, reconnectNext);
every(STATUS_MS, () => parentPort.postMessage({ type: 'status', late: pacer.takeLate(), reconnects }));
parentPort.once('message', leave);

async function join(name) {
  const publisher = await openPublisher(rtmpPort, name);
  connected.set(name, publisher);
  pacer.add(name, publisher.socket, ((starts++ * SPREAD_STEP) % 1) * SPREAD_MS);
  publisher.socket.once('close', () => {
    if (connected.get(name) !== publisher) return;
    problem(`${name}: the gateway closed the publisher's connection`);
    forget(name);
    rejoin(name);
  });
}

/** The names take turns; one says goodbye, the next is cut off. */
function reconnectNext() {
  const name = names[reconnects % names.length];
  const publisher = connected.get(name);
  if (publisher === undefined) return;
  forget(name);
  if (reconnects++ % 2 === 0) publisher.stop();
  else publisher.socket.resetAndDestroy();
  rejoin(name);
}

function forget(name) {
  connected.delete(name);
  pacer.remove(name);
  parentPort.postMessage({ type: 'away', name });
}

function rejoin(name) {
  setTimeout(async () => {
    if (stopping) return;
    try {
      await join(name);
      parentPort.postMessage({ type: 'back', name });
    } catch (error) {
      problem(`${name}: cannot publish again: ${error.message}`);
      rejoin(name);
    }
  }, AWAY_MS);
}

async function leave() {
  stopping = true;
  for (const timer of timers) clearInterval(timer);
  pacer.stop();
  const leaving = [...connected.values()];
  connected.clear();
  await Promise.all(leaving.map((publisher) => publisher.stop()));
  parentPort.postMessage({ type: 'left' });
}

function problem(message) {
  if (!stopping) parentPort.postMessage({ type: 'problem', message });
}

function every(ms, call) {
  timers.add(setInterval(call, ms));
}
