import { describe, expect, it } from 'vitest';
import { Stream, type StreamState } from '../../src/live/stream.ts';
import type { Epoch, MediaSink, Packet } from '../../src/media/packet.ts';
import { encoded, type TimedFrame, videoTrack } from '../media/support.ts';
import { FakeClock } from '../support/fake-clock.ts';

const FRAMES = encoded({ seconds: 3 });

class Recorder implements MediaSink {
  readonly calls: string[] = [];
  readonly packets: Packet[] = [];
  readonly epochs: Epoch[] = [];

  epoch(epoch: Epoch): void {
    this.calls.push(`epoch ${epoch.reason}`);
    this.epochs.push(epoch);
  }

  packet(packet: Packet): void {
    this.packets.push(packet);
  }

  end(): void {
    this.calls.push('end');
  }

  close(): void {
    this.calls.push('close');
  }
}

function rig(graceMs = 60_000) {
  const clock = new FakeClock();
  const states: StreamState[] = [];
  const epochs: Epoch[] = [];
  const faults: unknown[] = [];
  const stream = new Stream('live', 'cam', {
    clock,
    graceMs: () => graceMs,
    onState: (_stream, state) => states.push(state),
    onEpoch: (_stream, epoch) => epochs.push(epoch),
    onSinkFault: (_stream, error) => faults.push(error),
  });
  const sink = new Recorder();
  stream.addSink(sink);
  let replaced = 0;
  const publish = (frames: readonly TimedFrame[] = FRAMES) => {
    const publication = stream.publish({
      address: '192.0.2.1:5',
      encoder: 'test',
      dismiss: () => replaced++,
    });
    for (const frame of frames) publication.push(frame);
    return publication;
  };
  return { clock, states, epochs, faults, stream, sink, publish, replacements: () => replaced };
}

it('every frame is delivered or counted as dropped, and waits in between', () => {
  const { stream, sink, publish } = rig();
  const joined = FRAMES.filter(({ at }) => at >= 500);
  // A second picture track that begins in the middle of its group of pictures, while the stream runs.
  const late = encoded({ seconds: 3, audio: null, video: videoTrack('v1') }).filter(({ at }) => at > 1000);
  const frames = [...joined, ...late].sort((a, b) => a.at - b.at);
  const publication = publish(frames);
  expect(stream.queuedBytes).toBeGreaterThan(0);
  publication.end();
  expect(stream.queuedBytes).toBe(0);
  const { videoFrames, audioFrames, drops } = stream.stats;
  expect(videoFrames + audioFrames).toBe(sink.packets.length);
  expect(drops.beforeKeyframe).toBeGreaterThan(10);
  expect(drops.undeclaredTrack).toBeGreaterThan(10);
  expect(videoFrames + audioFrames + drops.beforeKeyframe + drops.undeclaredTrack).toBe(frames.length);
});

describe('Stream states', () => {
  it('idle, live, grace, closed', () => {
    const { clock, states, stream, sink, publish } = rig();
    expect(stream.state).toBe('idle');
    expect([stream.publisher, stream.epoch, stream.startedAt]).toEqual([null, null, null]);
    const start = clock.now();
    const publication = publish();
    expect(stream.state).toBe('live');
    expect(stream.publisher?.encoder).toBe('test');
    expect(stream.epoch?.reason).toBe('start');
    publication.end();
    expect(stream.state).toBe('grace');
    expect(stream.publisher).toBeNull();
    clock.advance(59_999);
    expect(stream.state).toBe('grace');
    clock.advance(1);
    expect(states).toEqual(['live', 'grace', 'closed']);
    expect(sink.calls).toEqual(['epoch start', 'end', 'close']);
    expect(sink.packets).toHaveLength(FRAMES.length);
    expect(stream.startedAt).toBe(start);
  });

  it('a publisher that comes back continues the timeline', () => {
    const { clock, states, stream, sink, publish } = rig();
    publish().end();
    const last = Math.max(...sink.packets.map(({ pts }) => pts));
    clock.advance(59_000);
    publish().end();
    expect(states).toEqual(['live', 'grace', 'live', 'grace']);
    expect(sink.calls).toEqual(['epoch start', 'end', 'epoch reconnect', 'end']);
    expect(sink.epochs[1]?.start).toBeGreaterThan(last);
    expect(sink.epochs[1]?.start).toBeLessThan(last + 9000);
    // The old grace is over and done with.
    clock.advance(59_999);
    expect(stream.state).toBe('grace');
    clock.advance(1);
    expect(stream.state).toBe('closed');
    expect(clock.pending).toBe(0);
  });

  it('nobody is waited for where nothing was shown, or with no grace', () => {
    const silent = rig();
    silent.publish([]).end();
    expect(silent.states).toEqual(['live', 'closed']);
    const impatient = rig(0);
    impatient.publish().end();
    expect(impatient.states).toEqual(['live', 'closed']);
    expect(impatient.sink.calls).toEqual(['epoch start', 'end', 'close']);
  });

  it('close ends everything once', () => {
    const { clock, states, stream, sink, publish, replacements } = rig();
    const publication = publish();
    stream.close();
    stream.close();
    publication.end();
    publication.push(FRAMES[0] as TimedFrame);
    clock.advance(100_000);
    expect(states).toEqual(['live', 'closed']);
    expect(sink.calls).toEqual(['epoch start', 'end', 'close']);
    expect(replacements()).toBe(1);
    expect(sink.packets).toHaveLength(FRAMES.length);
  });

  it('close in grace cancels the wait', () => {
    const { clock, states, stream, publish } = rig();
    publish().end();
    stream.close();
    expect(clock.pending).toBe(0);
    expect(states).toEqual(['live', 'grace', 'closed']);
  });
});

describe('takeover', () => {
  it('the newest publisher wins, the old one is told and says no more', () => {
    const { states, stream, sink, publish, replacements } = rig();
    const old = publish();
    const newer = publish();
    expect(replacements()).toBe(1);
    expect(states).toEqual(['live', 'live']);
    expect(sink.calls).toEqual(['epoch start', 'end', 'epoch reconnect']);
    // Also the last of the old one, which were on their way.
    const seen = sink.packets.filter(({ dts }) => dts < (sink.epochs[1]?.start ?? 0));
    expect(seen).toHaveLength(FRAMES.length);
    const count = sink.packets.length;
    for (const frame of FRAMES) old.push(frame);
    old.announce({ video: true, audio: true });
    old.end();
    expect(sink.packets).toHaveLength(count);
    expect(stream.state).toBe('live');
    newer.end();
    expect(stream.state).toBe('grace');
  });

  it('a publisher that ends itself when told does no harm', () => {
    const { stream } = rig();
    const first: { end?: () => void } = {};
    const publication = stream.publish({ address: '', encoder: null, dismiss: () => first.end?.() });
    first.end = () => publication.end();
    stream.publish({ address: '', encoder: null, dismiss: () => {} });
    expect(stream.state).toBe('live');
  });
});

describe('sinks', () => {
  it.each(['epoch', 'packet', 'end', 'close'] as const)(
    'one that throws in %s is detached, the others go on',
    (method) => {
      const { faults, stream, sink, publish } = rig();
      const broken = new Recorder();
      let calls = 0;
      broken[method] = () => {
        calls++;
        throw new Error('sink broke');
      };
      stream.addSink(broken);
      const last = new Recorder();
      stream.addSink(last);
      publish().end();
      publish();
      stream.close();
      expect(calls).toBe(1);
      expect(faults).toEqual([new Error('sink broke')]);
      for (const { calls: seen, packets } of [sink, last]) {
        expect(seen).toEqual(['epoch start', 'end', 'epoch reconnect', 'end', 'close']);
        expect(packets).toHaveLength(2 * FRAMES.length);
      }
    },
  );

  it('one that joins late learns the epoch', () => {
    const { stream, sink, publish } = rig();
    const publication = publish(FRAMES.slice(0, 150));
    const late = new Recorder();
    stream.addSink(late);
    for (const frame of FRAMES.slice(150)) publication.push(frame);
    expect(late.calls).toEqual(['epoch start']);
    expect(late.packets.length).toBeGreaterThan(20);
    expect(late.packets.length).toBeLessThan(sink.packets.length);
  });

  it('one that joins in grace waits for the next epoch', () => {
    const { stream, publish } = rig();
    publish().end();
    const late = new Recorder();
    stream.addSink(late);
    expect(late.calls).toEqual([]);
    publish();
    expect(late.calls).toEqual(['epoch reconnect']);
  });

  it('one that joins when the stream is over is closed at once', () => {
    const { stream, publish } = rig();
    publish();
    stream.close();
    const late = new Recorder();
    stream.addSink(late);
    expect(late.calls).toEqual(['close']);
  });
});

it('onEpoch sees what the sinks see', () => {
  const { epochs, sink, publish } = rig();
  publish();
  expect(epochs).toEqual(sink.epochs);
});
