import { readFileSync } from 'node:fs';
import { type FlvTag, readFlvFile, TAG_TYPE } from '../../src/formats/flv/tags.ts';
import type { MediaWindow, SegmentInfo } from '../../src/formats/m3u8/playlist.ts';
import { createFlvIngest, type FlvIngest } from '../../src/live/flv-ingest.ts';
import type { SlateChoice } from '../../src/live/slate.ts';
import { Stream, type StreamState } from '../../src/live/stream.ts';
import type { SluiceError } from '../../src/media/errors.ts';
import type { AnnouncedMedia } from '../../src/media/frame.ts';
import type { Epoch, MediaSink, Packet } from '../../src/media/packet.ts';
import type { SegmentBody } from '../../src/media/segment-body.ts';
import { rtmpTimestampDelta } from '../../src/media/time.ts';
import type { Warning } from '../../src/media/warning.ts';
import { HlsPackager, type HlsPackagerOptions } from '../../src/packaging/hls-packager.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { FakeClock } from './fake-clock.ts';
import { inSlab } from './in-slab.ts';
import { bytesOf } from './segment-bytes.ts';

/** A tag of a clip and when it reaches the gateway, in ms after the first one. */
export interface ClipTag extends FlvTag {
  readonly at: number;
}

const clips = new Map<string, readonly ClipTag[]>();

/** The audio and video tags of test/fixtures/clips/<name>.flv, each arriving when its timestamp says. */
export function readClip(name: string): readonly ClipTag[] {
  let tags = clips.get(name);
  if (tags === undefined) {
    tags = timed(readFlvFile(readFileSync(new URL(`../fixtures/clips/${name}.flv`, import.meta.url))));
    clips.set(name, tags);
  }
  return tags;
}

function timed(tags: Iterable<FlvTag>): ClipTag[] {
  const result: ClipTag[] = [];
  let at = 0;
  let last: number | null = null;
  for (const tag of tags) {
    if (tag.type === TAG_TYPE.DATA) continue;
    if (!isHeader(tag)) {
      const delta = last === null ? 0 : rtmpTimestampDelta(last, tag.timestamp);
      last = tag.timestamp;
      at += delta;
    }
    result.push({ ...tag, at: Math.max(at, result.at(-1)?.at ?? 0) });
  }
  return result;
}

export function isVideo(tag: FlvTag): boolean {
  return tag.type === TAG_TYPE.VIDEO;
}

export function isAudio(tag: FlvTag): boolean {
  return tag.type === TAG_TYPE.AUDIO;
}

/** Sequence headers, legacy and Enhanced. */
export function isHeader({ type, body }: FlvTag): boolean {
  const [first = 0, second = 0xff] = body;
  if (type === TAG_TYPE.AUDIO) return first >> 4 === 10 ? second === 0 : first === 0x90;
  if (first & 0x80) return (first & 0x0f) === 0;
  return (first & 0x0f) === 7 && second === 0;
}

/** Neither a header nor the end-of-sequence mark of legacy AVC. */
export function isFrame(tag: FlvTag): boolean {
  return !isHeader(tag) && !(isVideo(tag) && ((tag.body[0] ?? 0) & 0x8f) === 7 && tag.body[1] === 2);
}

/** A video tag with its keyframe flag set that is no header. */
export function isKeyframe(tag: FlvTag): boolean {
  return isVideo(tag) && isFrame(tag) && (((tag.body[0] ?? 0) >> 4) & 7) === 1;
}

/** The clip `times` times in a row as one publication without interruption; headers come once. */
export function repeated(tags: readonly ClipTag[], times: number, lengthMs = 10_000): ClipTag[] {
  return Array.from({ length: times }, (_, round) =>
    tags
      .filter((tag) => round === 0 || !isHeader(tag))
      .map((tag) => ({
        ...tag,
        at: tag.at + round * lengthMs,
        timestamp: isHeader(tag) ? tag.timestamp : (tag.timestamp + round * lengthMs) >>> 0,
      })),
  )
    .flat()
    .sort((a, b) => a.at - b.at);
}

/** The same with other media timestamps; headers keep theirs. */
export function restamped(tags: readonly ClipTag[], timestamp: (tag: ClipTag) => number): ClipTag[] {
  return tags.map((tag) => (isHeader(tag) ? tag : { ...tag, timestamp: timestamp(tag) >>> 0 }));
}

/** Without keyframes but those that `keep` picks: the others lose flag and IDR type, as in a longer GOP. */
export function withKeyframes(tags: readonly ClipTag[], keep: (keyframe: number) => boolean): ClipTag[] {
  let keyframe = -1;
  return tags.map((tag) => {
    if (!isKeyframe(tag)) return tag;
    keyframe++;
    return keep(keyframe) ? tag : { ...tag, body: asInterFrame(tag.body) };
  });
}

/** Legacy AVC with four-byte lengths only. */
function asInterFrame(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  copy[0] = 0x27;
  for (let position = 5; position + 4 < copy.length; ) {
    const nal = position + 4;
    const header = copy[nal] ?? 0;
    if ((header & 0x1f) === 5) copy[nal] = (header & 0xe0) | 1;
    position = nal + copy.readUInt32BE(position);
  }
  return copy;
}

export interface ListedSegment extends SegmentInfo {
  readonly data: Uint8Array;
}

/** Packets by epoch, as every sink gets them. */
export interface RecordedEpoch extends Epoch {
  readonly packets: Packet[];
}

export interface StudioOptions {
  readonly packager?: Partial<HlsPackagerOptions>;
  readonly graceMs?: number;
  /** What is seen in the grace window. */
  readonly slate?: SlateChoice;
  readonly announce?: AnnouncedMedia;
}

/** A store whose next writes, reads or deletions can be made to fail. */
export class UnreliableStore extends MemoryStore {
  failingPuts = 0;
  failingGets = 0;
  failingDeletes = 0;

  override async put(name: string, body: SegmentBody): Promise<void> {
    if (this.failingPuts > 0) {
      this.failingPuts--;
      throw new Error('no space left');
    }
    return super.put(name, body);
  }

  override async get(name: string): Promise<SegmentBody | null> {
    if (this.failingGets > 0) {
      this.failingGets--;
      throw new Error('read error');
    }
    return super.get(name);
  }

  override async delete(name: string): Promise<void> {
    if (this.failingDeletes > 0) {
      this.failingDeletes--;
      throw new Error('not now');
    }
    return super.delete(name);
  }
}

/** One stream with an HLS rendition, everything in memory and the clock in the test's hands. */
export class Studio {
  readonly clock = new FakeClock();
  readonly store = new UnreliableStore();
  readonly stream: Stream;
  readonly packager: HlsPackager;
  readonly states: StreamState[] = [];
  readonly epochs: RecordedEpoch[] = [];
  /** Every window with segments there was, in order. */
  readonly windows: MediaWindow[] = [];
  /** Every segment that was ever listed. */
  readonly segments: ListedSegment[] = [];
  readonly storeErrors: string[] = [];
  readonly sinkFaults: unknown[] = [];
  readonly damage: SluiceError[] = [];
  readonly #options: StudioOptions;

  constructor(options: StudioOptions = {}) {
    this.#options = options;
    this.stream = new Stream('live', 'test', {
      clock: this.clock,
      graceMs: () => options.graceMs ?? 60_000,
      slate: () => options.slate ?? null,
      onState: (_stream, state) => this.states.push(state),
      onEpoch: () => {},
      onSinkFault: (_stream, error) => this.sinkFaults.push(error),
    });
    this.packager = new HlsPackager({
      clock: this.clock,
      store: this.store,
      storePrefix: 'live/test/',
      segmentName: (number, rendition = 's') => `${rendition}-${number}.ts`,
      firstMediaSequence: 100,
      firstDiscontinuitySequence: 0,
      segmentDuration: 2,
      maxSegmentDuration: 10,
      listedSegments: 6,
      maxBytes: 100_000_000,
      onStoreError: (_error, uri) => this.storeErrors.push(uri),
      resume: null,
      resumeAligned: [],
      beforeListing: null,
      onListed: () => {},
      onStored: () => {},
      onDropped: () => {},
      ...options.packager,
    });
    this.stream.addSink(this.#recorder());
    this.stream.addSink(this.packager);
  }

  get warnings(): Warning[] {
    return this.packager.warnings(this.stream.stats.keyframeInterval);
  }

  get packets(): Packet[] {
    return this.epochs.flatMap((epoch) => epoch.packets);
  }

  connect(): FlvIngest {
    const publisher = { address: '192.0.2.1', encoder: null, dismiss: () => {} };
    const ingest = createFlvIngest(this.stream.publish(publisher), (error) => this.damage.push(error));
    if (this.#options.announce !== undefined) ingest.announce(this.#options.announce);
    return ingest;
  }

  /** Sends tags, each at its time, then disconnects unless told to stay. */
  async publish(tags: Iterable<ClipTag>, { stay = false } = {}): Promise<FlvIngest> {
    const ingest = this.connect();
    await this.send(ingest, tags);
    if (!stay) await this.end(ingest);
    return ingest;
  }

  async send(ingest: FlvIngest, tags: Iterable<ClipTag>): Promise<void> {
    const start = this.clock.now();
    for (const tag of tags) {
      this.clock.advance(Math.max(0, start + tag.at - this.clock.now()));
      inSlab(tag.body, (body) => {
        if (isVideo(tag)) ingest.video(tag.timestamp, body);
        else ingest.audio(tag.timestamp, body);
      });
      await this.#collect();
    }
  }

  async end(ingest: FlvIngest): Promise<void> {
    ingest.end();
    await this.#collect();
  }

  /** Lets time pass, as much of it at once as the process may have stood still for. */
  async wait(ms: number, step = 500): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.clock.advance(Math.min(step, left));
      await this.#collect();
    }
  }

  async close(): Promise<void> {
    this.stream.close();
    await this.#collect();
    await this.packager.settled();
    if (this.segments.length > 0) this.windows.push(this.packager.rendition.window);
  }

  #recorder(): MediaSink {
    return {
      epoch: (epoch) => this.epochs.push({ ...epoch, packets: [] }),
      packet: (packet) => this.epochs.at(-1)?.packets.push({ ...packet, data: new Uint8Array(packet.data) }),
      end: () => {},
      close: () => {},
    };
  }

  async #collect(): Promise<void> {
    await this.packager.settled();
    const { window } = this.packager.rendition;
    if (window.segments.length === 0 || window === this.windows.at(-1)) return;
    this.windows.push(window);
    const known = this.segments.at(-1)?.mediaSequence ?? -1;
    for (const segment of window.segments) {
      if (segment.mediaSequence <= known) continue;
      const data = await bytesOf(this.packager.segment(segment.uri));
      if (data === null) throw new Error(`${segment.uri} is listed but cannot be fetched`);
      this.segments.push({ ...segment, data });
    }
  }
}

/** Publishes the tags (or the clip of that name), disconnects and ends the stream. */
export async function publishClip(
  clip: string | Iterable<ClipTag>,
  options: StudioOptions = {},
): Promise<Studio> {
  const studio = new Studio(options);
  await studio.publish(typeof clip === 'string' ? readClip(clip) : clip);
  await studio.close();
  return studio;
}
