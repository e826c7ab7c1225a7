import { chunkUnit } from './chunks.js';
import { getOnce } from './http.js';
import { makeUnit, payloadPerFrame, UNIT_MS } from './media.js';
import { startPacer } from './pacer.js';
import { CHUNK_SIZE, openPublisher } from './publisher.js';

/** Starts are spread over one GOP, so that keyframes do not come all at once. */
export const SPREAD_MS = 2000;

/**
 * Many publishers in real time, named p0, p1 …
 *
 * @param {number} rtmpPort
 * @param {number} count
 * @param {object} [options]
 * @param {number} [options.bitRate] of the video
 * @param {(name: string, frame: number) => void} [options.onFrame] called right after a frame was handed to its socket
 */
export async function startFleet(rtmpPort, count, { bitRate, onFrame } = {}) {
  const messages = makeUnit(bitRate);
  const { frames } = chunkUnit(messages, CHUNK_SIZE);
  const payloads = payloadPerFrame(messages);
  const publishers = new Map();
  for (let index = 0; index < count; index++)
    publishers.set(`p${index}`, await openPublisher(rtmpPort, `p${index}`));
  const pacer = startPacer(frames, UNIT_MS, onFrame);
  [...publishers].forEach(([name, { socket }], index) => {
    pacer.add(name, socket, (index * SPREAD_MS) / count);
  });
  return {
    names: [...publishers.keys()],
    /** ms that the latest send since the last call was behind. */
    takeLate: pacer.takeLate,
    /** Bytes that the server has not taken yet. */
    unsent: () => [...publishers.values()].reduce((sum, { socket }) => sum + socket.writableLength, 0),
    /** Says goodbye everywhere; resolves when the server has read everything. @returns media bytes sent, by name */
    stop: async () => {
      pacer.stop();
      const sent = new Map(
        [...publishers.keys()].map((name) => [name, payloadOf(pacer.sent(name), payloads)]),
      );
      await Promise.all([...publishers.values()].map((publisher) => publisher.stop()));
      return sent;
    },
  };
}

function payloadOf(frames, payloads) {
  const sum = (some) => some.reduce((total, bytes) => total + bytes, 0);
  return (
    Math.floor(frames / payloads.length) * sum(payloads) + sum(payloads.slice(0, frames % payloads.length))
  );
}

/** Media bytes that the gateway did not count behind its demuxer and timeline, of all streams together. */
export async function lostInGateway(httpPort, sent) {
  const { streams } = JSON.parse((await getOnce(`http://127.0.0.1:${httpPort}/api/streams`)).text);
  const counted = new Map(streams.map(({ name, bytes }) => [name, bytes]));
  return [...sent].reduce((lost, [name, bytes]) => lost + Math.abs(bytes - (counted.get(name) ?? 0)), 0);
}
