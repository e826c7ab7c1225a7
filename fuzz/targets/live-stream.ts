import { isDeepStrictEqual } from 'node:util';
import { renderMediaPlaylist, renderMultivariantPlaylist } from '../../src/formats/m3u8/playlist.ts';
import { createFlvIngest, type FlvIngest } from '../../src/live/flv-ingest.ts';
import { Stream } from '../../src/live/stream.ts';
import { streamFolder } from '../../src/live/stream-name.ts';
import type { Epoch, MediaSink } from '../../src/media/packet.ts';
import type { SegmentBody } from '../../src/media/segment-body.ts';
import { secondsFromTicks } from '../../src/media/time.ts';
import { HlsPackager } from '../../src/packaging/hls-packager.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { decodeState, encodeState } from '../../src/storage/state-schema.ts';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { parts } from '../support/pieces.ts';
import { check } from '../support/tolerate.ts';
import { TransportStreamChecker } from '../support/transport-stream.ts';

/** Parts: what u8, time forward in ms i16 (or the time u32), message body. See KIND. */
export const maxLength = 4096;

const KIND = { AUDIO: 0, VIDEO: 1, RECONNECT: 2, ANNOUNCE: 3 } as const;
const ABSOLUTE_TIME = 0x80;

/** A whole publication, from FLV tag bodies to playlists. */
export async function fuzz(data: Buffer): Promise<void> {
  const clock = new FakeClock();
  const segments: Buffer[] = [];
  const faults: unknown[] = [];
  const stream = new Stream('live', 'test', {
    clock,
    graceMs: () => 60_000,
    onState: () => {},
    onEpoch: () => {},
    onSinkFault: (_stream, error) => faults.push(error),
  });
  const packager = new HlsPackager({
    clock,
    store: new RecordingStore(segments),
    storePrefix: 'live/test/',
    segmentName: (number) => `s-${number}.ts`,
    firstMediaSequence: 100,
    firstDiscontinuitySequence: 0,
    segmentDuration: 2,
    maxSegmentDuration: 10,
    listedSegments: 6,
    maxBytes: 256 * 1024 * 1024,
    resume: null,
    resumeAligned: [],
    beforeListing: null,
    onListed: () => {},
    onDropped: () => {},
    onStored: () => {},
    onStoreError: (error) => faults.push(error),
  });
  stream.addSink(packetChecker());
  stream.addSink(packager);
  await publish(stream, clock, data, () => packager.settled());
  stream.close();
  await packager.settled();
  if (faults.length > 0) throw faults[0];
  const checker = new TransportStreamChecker();
  for (const segment of segments) checker.segment(segment);
  checkPlaylists(packager);
  checkState(stream, packager);
}

async function publish(
  stream: Stream,
  clock: FakeClock,
  data: Buffer,
  settled: () => Promise<void>,
): Promise<void> {
  const publisher = { address: '192.0.2.1', encoder: null, dismiss: () => {} };
  const connect = (): FlvIngest => createFlvIngest(stream.publish(publisher), () => {});
  let ingest = connect();
  let time = 0;
  for (const part of parts(data)) {
    const what = part[0] ?? 0;
    const absolute = (what & ABSOLUTE_TIME) !== 0;
    const header = absolute ? 5 : 3;
    if (part.length < header) continue;
    const forward = absolute ? 0 : part.readInt16BE(1);
    time = absolute ? part.readUInt32BE(1) : (time + forward) >>> 0;
    clock.advance(Math.max(0, forward));
    // Messages own their bodies.
    const body = Buffer.from(part.subarray(header));
    switch (what & 3) {
      case KIND.AUDIO:
        ingest.audio(time, body);
        break;
      case KIND.VIDEO:
        ingest.video(time, body);
        break;
      case KIND.RECONNECT:
        ingest.end();
        if (stream.state === 'closed') return;
        ingest = connect();
        break;
      default:
        ingest.announce({ video: ((body[0] ?? 3) & 1) === 1, audio: ((body[0] ?? 3) & 2) === 2 });
    }
    // A store that never gets its turn would count as one that hangs.
    await settled();
  }
  ingest.end();
}

/** Every packet belongs to the epoch, on times that rise. */
function packetChecker(): MediaSink {
  let epoch: Epoch | null = null;
  const last = new Map<string, number>();
  return {
    epoch: (next) => {
      check(next.tracks.length > 0, 'an epoch without tracks');
      check(Number.isInteger(next.start) && Number.isFinite(next.startedAt), 'an epoch without time');
      epoch = next;
      last.clear();
    },
    packet: ({ track, dts, pts, data }) => {
      check(epoch?.tracks.includes(track) === true, 'a packet of a track that its epoch does not have');
      check(Number.isSafeInteger(dts) && Number.isSafeInteger(pts), `times ${dts} and ${pts}`);
      check(pts >= dts && pts - dts <= 90_000 * 12, `shown ${pts - dts} ticks after decoding`);
      check(
        dts > (last.get(track.id) ?? Number.NEGATIVE_INFINITY),
        `time ${dts} not behind ${last.get(track.id)}`,
      );
      check(data.length > 0, 'an empty packet');
      last.set(track.id, dts);
    },
    end: () => {},
    close: () => {},
  };
}

function checkPlaylists(packager: HlsPackager): void {
  const { window } = packager.rendition;
  if (window.segments.length === 0) return;
  check(window.ended, 'no end of the playlist');
  window.segments.forEach(({ mediaSequence, duration, programDateTime }, index) => {
    check(mediaSequence === (window.segments[0]?.mediaSequence ?? 0) + index, 'a hole in the sequence');
    check(duration > 0, `a segment of ${duration} ticks`);
    check(Math.round(secondsFromTicks(duration)) <= window.targetDuration, 'longer than the target duration');
    check(Number.isFinite(programDateTime), 'no program date time');
  });
  const variant = packager.rendition.variant('test/media.m3u8');
  const text = renderMediaPlaylist(window) + (variant === null ? '' : renderMultivariantPlaylist([variant]));
  check(!/NaN|Infinity|undefined|null|-\d+\.\d+,/.test(text), `a playlist with ${text}`);
}

/** What is written down for a restart can be read again, and what the doctor finds are sentences. */
function checkState(stream: Stream, packager: HlsPackager): void {
  for (const { message } of stream.findings()) check(!/NaN|Infinity|undefined/.test(message), message);
  const { app, name, startedAt, end } = stream;
  if (startedAt === null) return;
  const state = {
    app,
    name,
    savedAt: startedAt,
    startedAt,
    end,
    rendition: packager.rendition.state,
    aligned: [],
    nextMediaSequence: packager.nextMediaSequence,
    nextDiscontinuitySequence: packager.rendition.nextDiscontinuitySequence,
  };
  const again = decodeState(encodeState(state), streamFolder(app, name));
  check(typeof again !== 'string', `the state ${again}`);
  check(isDeepStrictEqual(again, state), 'another state after reading it');
}

class RecordingStore extends MemoryStore {
  readonly #segments: Buffer[];

  constructor(segments: Buffer[]) {
    super();
    this.#segments = segments;
  }

  override async put(name: string, body: SegmentBody): Promise<void> {
    this.#segments.push(body.hold().copyOut());
    return super.put(name, body);
  }
}
