import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { createFlvIngest } from '../../src/live/flv-ingest.ts';
import { Stream } from '../../src/live/stream.ts';
import type { MediaSink, Packet } from '../../src/media/packet.ts';
import { SLAB_BYTES, slabs } from '../../src/media/slab-pool.ts';
import { ChunkReader } from '../../src/rtmp/chunk-reader.ts';
import { ChunkWriter } from '../../src/rtmp/chunk-writer.ts';
import { MESSAGE } from '../../src/rtmp/message.ts';
import { picture, videoTrack } from '../media/support.ts';
import { FakeClock } from '../support/fake-clock.ts';

const FRAME_MS = 40;
const GOP = 25;

/** A publisher of pictures from chunks to sinks; every picture is filled with a number of its own. */
class Publisher {
  readonly sent: Buffer[] = [];
  readonly seen: Buffer[] = [];
  readonly stream: Stream;
  readonly #writer = new ChunkWriter();
  readonly #reader: ChunkReader;
  readonly #end: () => void;
  #number: number;

  constructor(number: number, sink: (packet: Packet) => void = () => {}) {
    this.#number = number;
    this.stream = new Stream('live', `${number}`, {
      clock: new FakeClock(),
      graceMs: () => 60_000,
      onState: () => {},
      onEpoch: () => {},
      onSinkFault: (_stream, error) => {
        throw error;
      },
    });
    this.stream.addSink(sinkOf((packet) => this.seen.push(Buffer.from(packet.data))));
    this.stream.addSink(sinkOf(sink));
    const ingest = createFlvIngest(
      this.stream.publish({ address: '', encoder: null, dismiss: () => {} }),
      (error) => {
        throw error;
      },
    );
    ingest.announce({ video: true, audio: false });
    this.#reader = new ChunkReader(({ timestamp, body }) => ingest.video(timestamp, body));
    this.#end = () => ingest.end();
    this.#send(0, Buffer.concat([Buffer.of(0x17, 0, 0, 0, 0), videoTrack().config]));
  }

  push(size: number): void {
    const keyframe = this.sent.length % GOP === 0;
    const data = picture(keyframe, size);
    data.fill(this.#number++ % 256, 5);
    this.#send(
      this.sent.length * FRAME_MS,
      Buffer.concat([Buffer.of(keyframe ? 0x17 : 0x27, 1, 0, 0, 0), data]),
    );
    this.sent.push(data);
  }

  /** A frame of a second picture track that never has a keyframe (Enhanced RTMP: multitrack, one track, AV1). */
  pushUndecodable(size: number): void {
    const header = Buffer.concat([Buffer.of(0xa6, 0x01), Buffer.from('av01'), Buffer.of(1)]);
    this.#send(this.sent.length * FRAME_MS, Buffer.concat([header, Buffer.alloc(size)]));
  }

  /** Everything has been handed on afterwards. */
  end(): void {
    this.#end();
  }

  #send(timestamp: number, body: Buffer): void {
    this.#reader.push(this.#writer.encode({ type: MESSAGE.VIDEO, timestamp, streamId: 1, body }));
  }
}

function sinkOf(packet: (packet: Packet) => void): MediaSink {
  return { epoch: () => {}, packet, end: () => {}, close: () => {} };
}

it('is nobody else’s while a sink is given a picture, whatever streams send at a time', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 500 }),
    fc.integer({ min: 500, max: 20_000 }),
    fc.integer({ min: SLAB_BYTES - 20, max: SLAB_BYTES + 20 }),
  );
  const step = fc.record({ stream: fc.nat({ max: 2 }), size });
  fc.assert(
    fc.property(fc.array(step, { minLength: 150, maxLength: 150, size: 'max' }), (steps) => {
      const publishers = [new Publisher(0), new Publisher(85), new Publisher(170)];
      for (const { stream, size } of steps) publishers[stream]?.push(size);
      for (const { sent, stream } of publishers) {
        const expected = sent.findLast((_, index) => index % GOP === 0);
        // What is held to find the order may be newer.
        if (stream.newestKeyframe !== null && sent.length % GOP > GOP / 2) {
          expect(expected?.equals(stream.newestKeyframe.take().data)).toBe(true);
        }
      }
      for (const publisher of publishers) {
        publisher.end();
        const { sent, seen } = publisher;
        expect(seen.length).toBe(sent.length);
        expect(seen.findIndex((data, index) => !data.equals(sent[index] as Buffer))).toBe(-1);
      }
    }),
    { numRuns: 20 },
  );
});

it('is used again: a minute of pictures takes a handful of slabs', () => {
  const memories = new Set<ArrayBufferLike>();
  const publisher = new Publisher(0, ({ data }) => memories.add(data.buffer));
  for (let n = 0; n < 60 * GOP; n++) publisher.push(10_000);
  // 10 KB each make 250 slabs.
  expect(publisher.seen.length).toBeGreaterThan(55 * GOP);
  expect(memories.size).toBeLessThan(16);
});

it('is used again, too, of pictures that nobody can decode', () => {
  const publisher = new Publisher(0);
  for (let n = 0; n < 10; n++) publisher.push(10_000);
  const take = vi.spyOn(slabs, 'take');
  const memories = new Set<unknown>();
  for (let n = 0; n < 200; n++) {
    publisher.push(10_000);
    publisher.pushUndecodable(5000);
  }
  for (const { value } of take.mock.results) memories.add(value);
  vi.restoreAllMocks();
  expect(
    publisher.stream.stats.drops.beforeKeyframe + publisher.stream.stats.drops.undeclaredTrack,
  ).toBeGreaterThan(150);
  expect(memories.size).toBeLessThan(16);
});

it('stays as it is for a sink that says it keeps it', () => {
  const kept: Uint8Array[] = [];
  const publisher = new Publisher(0, ({ data }) => {
    if (kept.length >= 100) return;
    slabs.keep(data);
    kept.push(data);
  });
  for (let n = 0; n < 400; n++) publisher.push(5000);
  expect(kept.length).toBe(100);
  expect(kept.findIndex((data, index) => !publisher.sent[index]?.equals(data))).toBe(-1);
});

it('of the newest keyframe is a copy that later ones do not change', () => {
  const publisher = new Publisher(0);
  for (let n = 0; n < GOP + 20; n++) publisher.push(8000);
  const first = publisher.stream.newestKeyframe?.take();
  expect(publisher.sent[GOP]?.equals(first?.data ?? Buffer.of())).toBe(true);
  for (let n = 0; n < 10 * GOP; n++) publisher.push(8000);
  expect(publisher.sent[GOP]?.equals(first?.data ?? Buffer.of())).toBe(true);
  publisher.end();
  expect(publisher.sent[11 * GOP]?.equals(publisher.stream.newestKeyframe?.take().data ?? Buffer.of())).toBe(
    true,
  );
});
