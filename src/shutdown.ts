import type { FastifyInstance } from 'fastify';
import type { Hooks } from './hooks/hooks.ts';
import type { StreamRegistry } from './live/stream-registry.ts';
import type { Clock } from './media/clock.ts';
import type { EpochMs } from './media/time.ts';
import type { HlsOutputs } from './packaging/hls-outputs.ts';
import { stopListening } from './servers/http/http-server.ts';
import type { RtmpServer } from './servers/rtmp/rtmp-server.ts';
import { within } from './servers/within.ts';
import type { Storage } from './storage/open-storage.ts';
import type { Slates } from './transcode/slates.ts';
import type { PictureMaker } from './transcode/thumbnails/picture-maker.ts';
import type { Transcoding } from './transcode/transcoding.ts';

/** Viewers get this long to fetch what is left, when there are any. */
const DRAIN_MS = 2500;
/** Encoders get this long to give out what they have; what hangs is ended without being waited for. */
const ENCODERS_CLOSE_MS = 2000;
/** The same from the beginning of the shutdown, for what goes on in the next process, which waits meanwhile … */
const ENCODED_BY_MS = 3000;
/** … and where segments in memory are still to be written down for it. */
const ENCODED_EARLY_BY_MS = 1500;
/** When all that goes on has to be the next process's. Where that does not work, viewers have to see an end in time. */
const HANDED_OVER_BY_MS = 3000;
/** What viewers and commands of hooks still have to do ends this long after the beginning at the latest. */
const CLOSED_BY_MS = 4000;

/** What a gateway has running that no longer takes anybody in. */
export interface Running {
  readonly clock: Clock;
  readonly registry: StreamRegistry;
  readonly rtmp: RtmpServer;
  readonly transcoding: Transcoding;
  readonly hooks: Hooks;
  readonly slates: Slates;
  readonly pictures: PictureMaker;
  /** Null where the start did not get so far. */
  readonly outputs: HlsOutputs | null;
  readonly storage: Storage | null;
  /** Null in somebody's app, who closes it. */
  readonly http: FastifyInstance | null;
  /** Streams are to go on in the next process. */
  readonly leaves: boolean;
  /** Whether somebody has played something lately. */
  readonly isWatched: () => boolean;
}

/**
 * Ends all streams, or leaves them to the next process, and everything else after them. It takes less than five seconds,
 * whatever hangs.
 *
 * @param beganAt when the process was told to end
 */
export async function shutDown(running: Running, beganAt: EpochMs): Promise<void> {
  const { clock, registry, rtmp, transcoding, outputs, storage, http, leaves } = running;
  const timeUntil = (ms: number) => Math.max(0, beganAt + ms - clock.now());
  const atMost = (ms: number) => Math.min(ms, timeUntil(CLOSED_BY_MS));
  // What the publishers sent becomes the last segments, and the playlists end.
  if (!leaves) closeStreams(registry);
  for (const stream of registry.list()) stream.stopSlate();
  // Where the next process goes on with the playlists they do not end: the streams only lose their publishers.
  const rtmpClosed = rtmp.close();
  if (leaves) {
    for (const stream of registry.list()) stream.stopWaiting();
    // Where a rendition lacks what the source has listed, its playlist would begin anew.
    const encodedBy = storage?.persistent === true ? ENCODED_BY_MS : ENCODED_EARLY_BY_MS;
    await within(timeUntil(encodedBy), transcoding.finished());
    // What comes out later would be written over the playlists of the next process.
    transcoding.stop();
  }
  await outputs?.settled();
  const handedOver = leaves && (await storage?.handOver(timeUntil(HANDED_OVER_BY_MS))) === true;
  if (!handedOver) {
    closeStreams(registry);
    if (outputs !== null) await within(atMost(ENCODERS_CLOSE_MS), outputs.ended());
  }
  await outputs?.handOn(handedOver);
  await storage?.settled();
  // Without a next process viewers still have to get to the end of the playlists.
  if (handedOver && http !== null) await stopListening(http);
  // The next process may begin now. This one still answers the connections that it has.
  await storage?.release();
  // By now there is nothing left that could happen to a stream, but that publishers leave.
  const hooksClosed = rtmpClosed.then(() => running.hooks.close(timeUntil(CLOSED_BY_MS)));
  if (http !== null && running.isWatched())
    await new Promise((resolve) => setTimeout(resolve, atMost(DRAIN_MS)));
  await rtmpClosed;
  await Promise.all([running.slates.close(), running.pictures.close(), hooksClosed]);
  await http?.close();
}

function closeStreams(registry: StreamRegistry): void {
  for (const stream of registry.list()) stream.close();
}
