import { describe, expect, it } from 'vitest';
import { Stream } from '../../src/live/stream.ts';
import { StreamRegistry } from '../../src/live/stream-registry.ts';
import { HlsOutputs, type HlsOutputsOptions } from '../../src/packaging/hls-outputs.ts';
import { PackagingFigures } from '../../src/packaging/packaging-figures.ts';
import type { StreamState } from '../../src/packaging/rendition-state.ts';
import { restoreStreams } from '../../src/packaging/restore-streams.ts';
import type { SegmentStore, StreamJournal } from '../../src/packaging/segment-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { encoded, picture } from '../media/support.ts';
import { makeGate } from '../storage/support/gate.ts';
import { streamState } from '../storage/support/state.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Studio } from '../support/publish-clip.ts';

/** Eight segments of these are as much as may wait for the store. */
function heavy(seconds: number) {
  const keyframe = picture(true, 8_000_000);
  return encoded({ seconds }).map((frame) =>
    frame.keyframe && frame.track.kind === 'video' ? { ...frame, data: keyframe } : frame,
  );
}

/** What is written down, as a file system would keep it. */
class Journal implements StreamJournal {
  readonly states = new Map<string, StreamState>();
  readonly removed: string[] = [];

  async save(folder: string, state: StreamState): Promise<void> {
    this.states.set(folder, structuredClone(state));
  }

  async remove(folder: string): Promise<void> {
    this.states.delete(folder);
    this.removed.push(folder);
  }
}

interface Machine {
  readonly clock: FakeClock;
  readonly store: SegmentStore;
  readonly journal: StreamJournal;
}

function machine(): Machine & { readonly journal: Journal } {
  return { clock: new FakeClock(), store: new MemoryStore(), journal: new Journal() };
}

/** A process on this machine. */
function boot({ clock, store, journal }: Machine, options: Partial<HlsOutputsOptions> = {}) {
  const outputs = new HlsOutputs({
    clock,
    store,
    journal,
    figures: new PackagingFigures(),
    persistent: true,
    settings: () => ({ segmentDuration: 2, maxSegmentDuration: 10, listedSegments: 6 }),
    playlistFiles: null,
    isOpen: () => true,
    onListed: () => {},
    onStored: () => {},
    onStoreError: () => {},
    ...options,
  });
  const quiet = { clock, graceMs: () => 60_000, onState: () => {}, onEpoch: () => {}, onSinkFault: () => {} };
  const registry = new StreamRegistry({ ...quiet, takeover: () => 'newest', maxStreams: () => 10 });
  const publish = async (stream: Stream, seconds: number, gop = 50) => {
    const publication = stream.publish({ address: '', encoder: null, dismiss: () => {} });
    for (const frame of encoded({ seconds, gop })) publication.push(frame);
    clock.advance(seconds * 1000);
    await outputs.settled();
    return publication;
  };
  const begin = (name = 'test') => {
    const stream = new Stream('live', name, quiet);
    outputs.begin(stream);
    return stream;
  };
  const restore = (state: StreamState) => {
    const { waiting, ended } = restoreStreams([state], {
      outputs,
      registry,
      graceMs: () => 60_000,
      now: clock.now(),
    });
    for (const stream of waiting) stream.awaitPublisher();
    return [...waiting, ...ended][0] ?? expect.unreachable('only the numbers go on');
  };
  const windowOf = (stream: Stream) =>
    outputs.of(stream)?.rendition.window ?? expect.unreachable('no output');
  return { outputs, registry, publish, begin, restore, windowOf };
}

function written(journal: Journal, folder = 'live@test'): StreamState {
  return journal.states.get(folder) ?? expect.unreachable('nothing is written down');
}

describe('a stream over a kill -9', () => {
  it('goes on with its numbers, its target duration and its time, with one discontinuity at the seam', async () => {
    const computer = machine();
    const first = boot(computer);
    const stream = first.begin();
    // Keyframes every four seconds make a target duration that nobody would choose again for two.
    await first.publish(stream, 31, 100);
    const before = first.windowOf(stream);
    expect(before.targetDuration).toBe(4);
    const state = written(computer.journal);

    const second = boot(computer);
    const again = second.restore(state);
    expect(again.state).toBe('grace');
    expect(second.windowOf(again)).toEqual(before);
    expect(again.startedAt).toBe(stream.startedAt);
    await second.publish(again, 31);
    const after = second.windowOf(again);
    expect(after.targetDuration).toBe(4);
    expect(after.ended).toBe(false);
    expect(after.segments.at(-1)?.mediaSequence).toBeGreaterThan(before.segments.at(-1)?.mediaSequence ?? 0);
    const next = written(computer.journal).rendition?.segments ?? [];
    expect(next).toEqual(after.segments);
    const seam = (before.segments.at(-1)?.mediaSequence ?? 0) + 1;
    for (const { mediaSequence, discontinuity } of after.segments)
      expect(discontinuity, String(mediaSequence)).toBe(mediaSequence === seam);
    for (const { uri } of after.segments)
      expect(await second.outputs.of(again)?.segment(uri), uri).not.toBeNull();
  });

  it('counts the seam when it leaves the list', async () => {
    const computer = machine();
    const first = boot(computer);
    await first.publish(first.begin(), 7);
    const second = boot(computer);
    const again = second.restore(written(computer.journal));
    await second.publish(again, 41);
    expect(second.windowOf(again).discontinuitySequence).toBe(1);
    const third = boot(computer);
    const once = third.restore(written(computer.journal));
    await third.publish(once, 41);
    expect(third.windowOf(once).discontinuitySequence).toBe(2);
  });

  it('what had left the list stays fetchable until its time, then is deleted', async () => {
    const computer = machine();
    const first = boot(computer);
    await first.publish(first.begin(), 31);
    const state = written(computer.journal);
    const retired = state.rendition?.retired ?? [];
    expect(retired.length).toBeGreaterThan(1);
    const second = boot(computer);
    const again = second.restore(state);
    const packager = second.outputs.of(again);
    for (const { uri } of retired) {
      expect(second.outputs.holds(`live@test/${uri}`)).toBe(true);
      expect(await packager?.segment(uri)).not.toBeNull();
    }
    computer.clock.advance(30_000);
    await second.publish(again, 5);
    for (const { uri } of retired) {
      expect(second.outputs.holds(`live@test/${uri}`)).toBe(false);
      expect(await computer.store.get(`live@test/${uri}`)).toBeNull();
    }
  });

  it('no segment has a name that an earlier process gave', async () => {
    const computer = machine();
    const names: string[] = [];
    let state: StreamState | null = null;
    for (let process = 0; process < 3; process++) {
      const { begin, restore, publish } = boot(computer);
      await publish(state === null ? begin() : restore(state), 5);
      state = written(computer.journal);
      names.push(...(state.rendition?.segments ?? []).map(({ uri }) => uri).slice(names.length));
    }
    expect(names.length).toBeGreaterThan(5);
    expect(new Set(names).size).toBe(names.length);
  });

  it('a playlist that has ended is not gone on with', async () => {
    const computer = machine();
    const first = boot(computer);
    const stream = first.begin();
    await first.publish(stream, 10);
    stream.close();
    await first.outputs.retire(stream, () => {});
    const { segments } = first.windowOf(stream);
    await first.outputs.handOn(true);
    const state = written(computer.journal);
    expect(state.rendition?.ended).toBe(true);
    expect(state.nextMediaSequence).toBeGreaterThan(segments.at(-1)?.mediaSequence ?? 0);

    const second = boot(computer);
    second.outputs.remember(state);
    const next = second.begin();
    await second.publish(next, 10);
    expect(second.windowOf(next).ended).toBe(false);
    expect(second.windowOf(next).segments[0]?.mediaSequence).toBeGreaterThanOrEqual(state.nextMediaSequence);
    expect(second.windowOf(next).discontinuitySequence).toBe(state.nextDiscontinuitySequence);
  });

  it('a playlist that has ended is there until its players are through, and no longer', async () => {
    const computer = machine();
    const first = boot(computer);
    const stream = first.begin();
    await first.publish(stream, 10);
    stream.close();
    const gone: string[] = [];
    await first.outputs.retire(stream, () => gone.push('first'));
    const listed = first.windowOf(stream);
    await first.outputs.handOn(true);
    // The first process is still there: what it does now must not be in the way of the second.
    computer.clock.advance(10_000);
    expect(gone).toEqual([]);

    const second = boot(computer);
    const state = written(computer.journal);
    expect(() => second.restore({ ...state, savedAt: state.savedAt - 1000 })).toThrow('only the numbers');
    const restored = second.restore(state);
    expect(restored.state).toBe('closed');
    await second.outputs.retire(restored, () => gone.push('second'));
    expect(second.windowOf(restored)).toEqual(listed);
    expect(listed.ended).toBe(true);
    const [packager] = second.outputs.find('live', 'test');
    for (const { uri } of listed.segments) expect(await packager?.segment(uri), uri).not.toBeNull();
    const next = second.begin();
    await second.publish(next, 4);
    expect(second.windowOf(next).segments[0]?.mediaSequence).toBeGreaterThanOrEqual(state.nextMediaSequence);

    computer.clock.advance(10_000);
    expect(gone).toEqual(['second']);
    expect(second.outputs.find('live', 'test')).toEqual([second.outputs.of(next)]);
    for (const { uri } of listed.segments)
      await expect.poll(() => computer.store.get(`live@test/${uri}`)).toBeNull();
  });

  it('numbers never fall back when the clock has', async () => {
    const computer = { ...machine(), clock: new FakeClock(1_000_000_000_000) };
    const { outputs, begin, publish, windowOf } = boot(computer);
    outputs.remember(streamState({ nextMediaSequence: 1_700_000_000, rendition: null }));
    const stream = begin();
    await publish(stream, 5);
    expect(windowOf(stream).segments[0]?.mediaSequence).toBe(1_700_000_000);
    expect(windowOf(stream).discontinuitySequence).toBe(4);
  });

  it('a grace that nobody ends ends the stream', () => {
    const computer = machine();
    const { restore } = boot(computer);
    const stream = restore(streamState());
    computer.clock.advance(59_999);
    expect(stream.state).toBe('grace');
    computer.clock.advance(1);
    expect(stream.state).toBe('closed');
  });
});

describe('the journal', () => {
  it('has a segment before the playlist lists it', async () => {
    const computer = machine();
    let gate = makeGate();
    const saved: number[] = [];
    const slow: StreamJournal = {
      save: async (_folder, state) => {
        saved.push(state.rendition?.segments.length ?? 0);
        await gate.closed;
      },
      remove: async () => {},
    };
    const { outputs, begin, windowOf } = boot({ ...computer, journal: slow });
    const stream = begin();
    const publication = stream.publish({ address: '', encoder: null, dismiss: () => {} });
    for (const frame of encoded({ seconds: 5 })) publication.push(frame);
    await expect.poll(() => saved).toEqual([1]);
    expect(windowOf(stream).segments).toEqual([]);
    gate.open();
    await outputs.settled();
    expect(windowOf(stream).segments).toHaveLength(2);
    gate = makeGate();
    for (const frame of encoded({ seconds: 5 }))
      publication.push({ ...frame, timestamp: frame.timestamp + 5000 });
    await expect.poll(() => saved.at(-1)).toBe(3);
    expect(windowOf(stream).segments).toHaveLength(2);
    gate.open();
    await outputs.settled();
  });

  it('keeps what a successor has written when a slow store ends the old stream late', async () => {
    const computer = machine();
    const gate = makeGate();
    const store = new MemoryStore();
    const put = store.put.bind(store);
    let waiting = 1;
    store.put = async (name, data) => {
      if (waiting-- > 0) await gate.closed;
      return put(name, data);
    };
    const { outputs, begin, publish } = boot({ ...computer, store });
    const old = begin();
    const publication = old.publish({ address: '', encoder: null, dismiss: () => {} });
    for (const frame of encoded({ seconds: 5 })) publication.push(frame);
    old.close();
    const retired = outputs.retire(old, () => {});
    const successor = begin();
    const packager = outputs.of(successor) ?? expect.unreachable('no output');
    const published = publish(successor, 10);
    await packager.settled();
    expect(written(computer.journal).rendition).not.toBeNull();
    gate.open();
    await Promise.all([retired, published]);
    expect(written(computer.journal).rendition?.segments).toEqual(packager.rendition.window.segments);
  });

  it('that never answers costs segments, but neither the stream nor the memory', async () => {
    const never = new Promise<void>(() => {});
    const studio = new Studio({ packager: { beforeListing: () => never, maxBytes: 1e9 } });
    const publication = studio.stream.publish({ address: '', encoder: null, dismiss: () => {} });
    for (const frame of heavy(60)) publication.push(frame);
    expect(studio.sinkFaults).toEqual([]);
    expect(studio.stream.state).toBe('live');
    // 29 segments are finished: one is with the journal at most, eight wait.
    expect(studio.storeErrors.length).toBeGreaterThanOrEqual(20);
    expect(studio.packager.rendition.window.segments).toEqual([]);
    await expect.poll(() => studio.store.bytes).toBeGreaterThan(0);
  });

  it('of memory has the numbers only, and is written only when they change', async () => {
    const computer = machine();
    let saves = 0;
    const journal: StreamJournal = {
      save: (folder, state) => {
        saves++;
        return computer.journal.save(folder, state);
      },
      remove: async () => {},
    };
    const { begin, publish } = boot({ ...computer, journal }, { persistent: false });
    await publish(begin(), 31);
    expect(saves).toBe(1);
    expect(written(computer.journal)).toMatchObject({ rendition: null, nextDiscontinuitySequence: 1 });
  });

  it('forgets the longest ago of ten thousand names, which strangers choose', () => {
    const computer = machine();
    const { outputs } = boot(computer);
    for (let n = 0; n < 10_003; n++)
      outputs.remember(streamState({ name: `n${n}`, rendition: null, nextDiscontinuitySequence: 7 }));
    expect(computer.journal.removed).toEqual(['live@n0', 'live@n1', 'live@n2']);
  });
});

it('a store that never answers costs segments, but not the stream', () => {
  const store = new MemoryStore();
  store.put = () => new Promise(() => {});
  const studio = new Studio({ packager: { store, maxBytes: 1e9 } });
  const publication = studio.stream.publish({ address: '', encoder: null, dismiss: () => {} });
  for (const frame of heavy(60)) publication.push(frame);
  expect(studio.storeErrors).toHaveLength(21);
  expect(studio.sinkFaults).toEqual([]);
  expect(studio.stream.state).toBe('live');
});

it('after a store that was too slow the discontinuity is where the hole is', async () => {
  const gate = makeGate();
  const store = new MemoryStore();
  const put = store.put.bind(store);
  store.put = async (name, data) => {
    await gate.closed;
    return put(name, data);
  };
  const studio = new Studio({ packager: { store, listedSegments: 30, maxBytes: 1e9 } });
  const publication = studio.stream.publish({ address: '', encoder: null, dismiss: () => {} });
  const frames = heavy(50);
  // At 23 s eleven segments are finished: eight wait, three are lost.
  for (const frame of frames) if (frame.at < 23_000) publication.push(frame);
  gate.open();
  await studio.packager.settled();
  for (const frame of frames) if (frame.at >= 23_000 && frame.at < 29_000) publication.push(frame);
  await studio.packager.settled();
  expect(studio.storeErrors).toHaveLength(3);
  expect(studio.packager.rendition.lost).toBe(3);
  const { segments } = studio.packager.rendition.window;
  expect(segments.map(({ mediaSequence }) => mediaSequence)).toEqual(segments.map((_, index) => 100 + index));
  expect(segments.map(({ discontinuity }) => discontinuity).indexOf(true)).toBe(8);
  expect(segments.filter(({ discontinuity }) => discontinuity)).toHaveLength(1);
});
