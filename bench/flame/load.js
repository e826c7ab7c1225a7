// Thread of the flame graph: publishers in real time until it is ended.
import { parentPort, workerData } from 'node:worker_threads';
import { startFleet } from '../support/fleet.js';

const { rtmpPort, publishers } = workerData;
await startFleet(rtmpPort, publishers);
parentPort.postMessage('ready');
