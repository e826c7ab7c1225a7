import { afterEach, describe, expect, it, vi } from 'vitest';
import { Stream } from '../../src/live/stream.ts';
import { mediaBlocks } from '../../src/media/block-pool.ts';
import { HlsOutputs } from '../../src/packaging/hls-outputs.ts';
import { PackagingFigures } from '../../src/packaging/packaging-figures.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { encoded } from '../media/support.ts';
import { FakeClock } from '../support/fake-clock.ts';

function rig(listedSegments = 6) {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const outputs = new HlsOutputs({
    clock,
    store,
    settings: () => ({ segmentDuration: 2, maxSegmentDuration: 10, listedSegments }),
    persistent: false,
    journal: null,
    playlistFiles: null,
    isOpen: () => true,
    figures: new PackagingFigures(),
    onListed: () => {},
    onStored: () => {},
    onStoreError: (_stream, error) => {
      throw error;
    },
  });
  const quiet = { clock, graceMs: () => 0, onState: () => {}, onEpoch: () => {}, onSinkFault: () => {} };
  const publish = async (seconds: number) => {
    const stream = new Stream('live', 'test', quiet);
    outputs.begin(stream);
    const publication = stream.publish({ address: '', encoder: null, dismiss: () => {} });
    for (const frame of encoded({ seconds })) publication.push(frame);
    clock.advance(seconds * 1000);
    await outputs.settled();
    return { stream, publication };
  };
  return { clock, outputs, publish };
}

/** The blocks that are taken from here on and not given back: other tests of this process may have some as well. */
function watchBlocks(): ReadonlySet<Buffer> {
  const taken = new Set<Buffer>();
  const [take, give] = [mediaBlocks.take.bind(mediaBlocks), mediaBlocks.give.bind(mediaBlocks)];
  vi.spyOn(mediaBlocks, 'take').mockImplementation(() => {
    const block = take();
    taken.add(block);
    return block;
  });
  vi.spyOn(mediaBlocks, 'give').mockImplementation((blocks) => {
    for (const block of blocks) taken.delete(block);
    give(blocks);
  });
  return taken;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('HlsOutputs', () => {
  it('keeps an ended stream fetchable beside its successor, with numbers that go on', async () => {
    const { clock, outputs, publish } = rig();
    const first = await publish(20);
    first.publication.end();
    const gone: string[] = [];
    await outputs.retire(first.stream, () => gone.push('first'));
    const old = outputs.of(first.stream);
    expect(old?.rendition.window).toMatchObject({ ended: true });
    const uri = old?.rendition.window.segments.at(-1)?.uri ?? '';

    const second = await publish(10);
    const found = outputs.find('live', 'test');
    expect(found).toEqual([outputs.of(second.stream), old]);
    expect(await old?.segment(uri)).not.toBeNull();
    const [newest] = found;
    expect(newest?.rendition.window.segments[0]?.mediaSequence).toBeGreaterThan(
      old?.rendition.window.segments.at(-1)?.mediaSequence ?? 0,
    );
    expect(newest?.rendition.window.discontinuitySequence).toBeGreaterThan(
      old?.rendition.window.discontinuitySequence ?? 0,
    );
    const names = new Set(
      found.flatMap(({ rendition: { window } }) => window.segments.map((segment) => segment.uri)),
    );
    expect(names.size).toBe(
      found.reduce((sum, { rendition: { window } }) => sum + window.segments.length, 0),
    );

    clock.advance((old?.rendition.windowMs ?? 0) + 1);
    expect(gone).toEqual(['first']);
    expect(outputs.find('live', 'test')).toEqual([newest]);
    await expect.poll(() => old?.segment(uri)).toBeNull();
  });

  it('gives back the memory of a stream that is gone, with what it had not finished', async () => {
    const { clock, outputs, publish } = rig();
    const memory = watchBlocks();
    const { stream } = await publish(61);
    const packager = outputs.of(stream);
    const held = await packager?.segment(packager.rendition.window.segments[0]?.uri ?? '');
    const pieces = held?.pieces().length ?? 0;
    expect(pieces).toBeGreaterThan(0);
    expect(memory.size).toBeGreaterThan(pieces);
    // No goodbye and no end: as where an output failed.
    await outputs.retire(stream, () => {});
    clock.advance(1_000_000);
    await expect.poll(() => memory.size).toBe(pieces);
    held?.release();
    expect(memory.size).toBe(0);
  });

  it('no segment name tells the next one: who was let in once must not go on for ever', async () => {
    const { outputs, publish } = rig();
    const { stream } = await publish(20);
    const names = outputs.of(stream)?.rendition.window.segments.map(({ uri }) => uri) ?? [];
    const secrets = names.map((name) => /^[0-9a-z]+-\d+-([0-9a-f]{32})\.ts$/.exec(name)?.[1]);
    expect(secrets).not.toContain(undefined);
    expect(new Set(secrets).size).toBe(6);
  });

  it('numbers go on from a short stream that was gone before its longer predecessor', async () => {
    const { clock, outputs, publish } = rig(20);
    const long = await publish(40);
    long.publication.end();
    const gone: string[] = [];
    await outputs.retire(long.stream, () => gone.push('long'));
    const short = await publish(3);
    short.publication.end();
    const numbers =
      outputs.of(short.stream)?.rendition.nextDiscontinuitySequence ?? expect.unreachable('no output');
    await outputs.retire(short.stream, () => gone.push('short'));
    clock.advance(10_001);
    expect(gone).toEqual(['short']);
    const between = await publish(3);
    expect(outputs.of(between.stream)?.rendition.window.discontinuitySequence).toBe(numbers);
    between.publication.end();
    await outputs.retire(between.stream, () => gone.push('between'));
    clock.advance(60_000);
    expect(gone.toSorted()).toEqual(['between', 'long', 'short']);
    const last = await publish(3);
    expect(outputs.of(last.stream)?.rendition.window.discontinuitySequence).toBe(numbers + 1);
  });

  it('drops a stream that never had a segment at once', async () => {
    const { clock, outputs, publish } = rig();
    const { stream, publication } = await publish(0);
    publication.end();
    let gone = false;
    await outputs.retire(stream, () => {
      gone = true;
    });
    clock.advance(1);
    expect(gone).toBe(true);
    expect(outputs.find('live', 'test')).toEqual([]);
  });
});
