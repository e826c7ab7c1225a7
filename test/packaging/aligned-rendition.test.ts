import { describe, expect, it } from 'vitest';
import { aacTrack } from '../../src/codecs/aac.ts';
import type { SegmentBody } from '../../src/media/segment-body.ts';
import { AlignedRendition } from '../../src/packaging/aligned-rendition.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { packetAt, segmentInfo } from './support.ts';

/** A store that takes each segment when the test says. */
class SlowStore extends MemoryStore {
  readonly #waiting: ((fault: Error | null) => void)[] = [];

  override async put(name: string, body: SegmentBody): Promise<void> {
    const fault = await new Promise<Error | null>((resolve) => this.#waiting.push(resolve));
    if (fault !== null) throw fault;
    await super.put(name, body);
  }

  async take(fault: Error | null = null): Promise<void> {
    this.#waiting.shift()?.(fault);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const SOUND = aacTrack('a0', Uint8Array.of(0x11, 0x90));

function rig(store = new SlowStore()) {
  const clock = new FakeClock();
  const rendition = new AlignedRendition({
    ...{ clock, store, storePrefix: 'live/test/', listedSegments: 6 },
    ...{
      onStoreError: () => {},
      onListed: () => {},
      onStored: () => {},
      resume: null,
      beforeListing: null,
      segmentName: (number) => `audio-${number}.ts`,
    },
  });
  const add = async (number: number, bytes = 1) => {
    const sound = [{ ...packetAt(SOUND, number * 2000), data: new Uint8Array(bytes) }];
    rendition.add(
      { info: segmentInfo(number, 2), discontinuitySequence: 0, targetDuration: 2 },
      { video: null, audio: SOUND, pictures: [], sound, closedAt: clock.now() },
    );
    await new Promise((resolve) => setImmediate(resolve));
  };
  const numbers = () => rendition.current?.window.segments.map((segment) => segment.mediaSequence);
  return { clock, store, rendition, add, numbers };
}

describe('AlignedRendition', () => {
  it('a lost segment begins the playlist anew: no segment gets the number of another', async () => {
    const { rendition, store, add, numbers } = rig();
    await add(100);
    await store.take();
    await add(101);
    // Is waiting already when the one before it is lost.
    await add(102);
    await store.take(new Error('no space left'));
    await store.take();
    expect(numbers()).toEqual([100]);
    await add(103);
    await store.take();
    expect(numbers()).toEqual([103]);
    expect(rendition.has('audio-102.ts')).toBe(false);
    expect(await store.get('live/test/audio-102.ts')).toBeNull();
  });

  it('adds nothing after it was discarded, or it would stay in the store for ever', async () => {
    const { rendition, store, add } = rig();
    await add(100);
    await store.take();
    await rendition.discard();
    await add(101);
    await store.take();
    expect(store.bytes).toBe(0);
  });
});
