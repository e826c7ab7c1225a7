import Fastify, { type FastifyInstance } from 'fastify';
import { aacTrack } from '../../src/codecs/aac.ts';
import { ticksFromSamples, ticksFromSeconds } from '../../src/media/time.ts';
import { HlsPackager } from '../../src/packaging/hls-packager.ts';
import { hlsRoutes } from '../../src/servers/http/hls-routes.ts';
import { WaitingRequests } from '../../src/servers/http/waiting-requests.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { OPEN_ACCESS } from '../../test/support/open-access.ts';
import { check } from '../support/tolerate.ts';

/** Lines: a path below /hls/, Range, If-None-Match, Accept-Encoding. */
export const maxLength = 512;

const packager = await packagedStream();
const segments = await Promise.all(
  packager.rendition.window.segments.map(
    async ({ uri }) => (await packager.segment(uri))?.copyOut() ?? Buffer.alloc(0),
  ),
);
const app = await server();

export async function fuzz(data: Buffer): Promise<void> {
  // What the HTTP parser lets through: no control characters, and no spaces in a path.
  const [path = '', range, match, encoding] = data
    .toString('latin1')
    .split('\n')
    .map((line) => line.replace(/[^\x20-\x7e\xa0-\xff]/g, ''));
  const headers: Record<string, string> = {};
  if (range) headers.range = range;
  if (match) headers['if-none-match'] = match;
  if (encoding) headers['accept-encoding'] = encoding;
  const answer = await app.inject({ url: `/hls/${path.replace(/[^\x21-\x7e]|[?#]/g, '')}`, headers });
  const { statusCode } = answer;
  check([200, 206, 304, 400, 404, 416].includes(statusCode), `status ${statusCode}`);
  if (statusCode === 304) check(match !== undefined && answer.body === '', '304 without a condition');
  if (statusCode === 416) check(range !== undefined, '416 without a range');
  if (statusCode !== 206) return;
  const [, first, last, size] =
    /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers['content-range'] ?? '') ?? [];
  const asked = segments.filter(({ length }) => length === Number(size));
  check(asked.length > 0, `range of ${size} bytes`);
  check(
    asked.some((segment) => answer.rawPayload.equals(segment.subarray(Number(first), Number(last) + 1))),
    'other bytes than asked for',
  );
}

async function packagedStream(): Promise<HlsPackager> {
  const hls = new HlsPackager({
    clock: new FakeClock(),
    store: new MemoryStore(),
    storePrefix: '',
    segmentName: (number) => `s-${number}.ts`,
    firstMediaSequence: 1,
    firstDiscontinuitySequence: 0,
    segmentDuration: 2,
    maxSegmentDuration: 10,
    listedSegments: 6,
    maxBytes: 1e6,
    resume: null,
    resumeAligned: [],
    beforeListing: null,
    onListed: () => {},
    onDropped: () => {},
    onStored: () => {},
    onStoreError: (error) => {
      throw error;
    },
  });
  const track = aacTrack('a0', Buffer.from([0x11, 0x90]));
  const start = ticksFromSeconds(10);
  hls.epoch({ reason: 'start', tracks: [track], start, startedAt: 1_700_000_000_000 });
  const step = ticksFromSamples(track.samplesPerFrame, track.sampleRate);
  for (let i = 0; i < 200; i++) {
    const dts = start + Math.round(i * step);
    hls.packet({ track, dts, pts: dts, keyframe: true, data: new Uint8Array(20).fill(i) });
  }
  await hls.settled();
  return hls;
}

async function server(): Promise<FastifyInstance> {
  const fastify = Fastify();
  hlsRoutes(fastify, {
    defaultApp: 'live',
    find: (application, name) => (application === 'live' && name === 'test' ? [packager] : []),
    access: OPEN_ACCESS,
    waiting: new WaitingRequests(),
    onRequest: () => {},
    onWanted: () => false,
  });
  await fastify.ready();
  return fastify;
}
