import { describe, expect, it } from 'vitest';
import type { Publisher } from '../../src/live/stream.ts';
import { StreamRegistry, type TakeoverPolicy } from '../../src/live/stream-registry.ts';
import { failure } from '../formats/amf/support.ts';
import { encoded } from '../media/support.ts';
import { FakeClock } from '../support/fake-clock.ts';

function registry(takeover: TakeoverPolicy, maxStreams = 10, clock = new FakeClock()): StreamRegistry {
  return new StreamRegistry({
    clock,
    graceMs: () => 1000,
    takeover: () => takeover,
    maxStreams: () => maxStreams,
    onState: () => {},
    onEpoch: () => {},
    onSinkFault: () => {},
  });
}

function publisher(): Publisher & { count: number } {
  const result = { address: '', encoder: null, count: 0, dismiss: () => result.count++ };
  return result;
}

describe('StreamRegistry', () => {
  it('finds streams by application and name', () => {
    const streams = registry('newest');
    expect(streams.get('live', 'a')).toBeNull();
    const { stream } = streams.publish('live', 'a', publisher());
    const other = streams.publish('live/x', 'a', publisher()).stream;
    expect(streams.get('live', 'a')).toBe(stream);
    expect(streams.get('live/x', 'a')).toBe(other);
    expect(streams.list()).toEqual([stream, other]);
  });

  it('newest: takes the stream over', () => {
    const streams = registry('newest');
    const first = publisher();
    const { stream } = streams.publish('live', 'a', first);
    expect(streams.publish('live', 'a', publisher()).stream).toBe(stream);
    expect(first.count).toBe(1);
  });

  it('reject: the first keeps it, and it is free again in grace', () => {
    const streams = registry('reject');
    const first = publisher();
    const publication = streams.publish('live', 'a', first);
    expect(failure(() => streams.publish('live', 'a', publisher()))).toBe('SLUICE_RTMP_NAME_IN_USE');
    expect(first.count).toBe(0);
    for (const frame of encoded({ seconds: 2 })) publication.push(frame);
    publication.end();
    expect(publication.stream.state).toBe('grace');
    expect(streams.publish('live', 'a', publisher()).stream).toBe(publication.stream);
  });

  it('refuses one stream too many until another is gone', () => {
    const streams = registry('newest', 2);
    const first = streams.publish('live', 'a', publisher());
    streams.publish('live', 'b', publisher());
    expect(failure(() => streams.publish('live', 'c', publisher()))).toBe('SLUICE_RTMP_LIMIT');
    streams.publish('live', 'b', publisher());
    first.stream.close();
    streams.remove(first.stream);
    expect(streams.publish('live', 'c', publisher()).stream.state).toBe('live');
  });

  it('refuses a blocked name, and no other, until its time is over', () => {
    const clock = new FakeClock();
    const streams = registry('newest', 10, clock);
    const first = publisher();
    streams.publish('live', 'a', first);
    streams.block('live', 'a', 30_000);
    expect(first.count).toBe(0);
    expect(failure(() => streams.publish('live', 'a', publisher()))).toBe('SLUICE_PUBLISH_KICKED');
    streams.publish('live', 'b', publisher());
    streams.publish('a', 'live', publisher());
    clock.advance(29_999);
    expect(failure(() => streams.publish('live', 'a', publisher()))).toBe('SLUICE_PUBLISH_KICKED');
    streams.block('live', 'c', 1);
    clock.advance(1);
    streams.publish('live', 'a', publisher());
    expect(first.count).toBe(1);
    streams.block('live', 'a', 30_000);
    streams.block('live', 'a', 0);
    streams.publish('live', 'a', publisher());
  });

  it('a closed stream is replaced, and removing it leaves the new one', () => {
    const streams = registry('reject');
    const { stream } = streams.publish('live', 'a', publisher());
    stream.close();
    const next = streams.publish('live', 'a', publisher()).stream;
    expect(next).not.toBe(stream);
    streams.remove(stream);
    expect(streams.get('live', 'a')).toBe(next);
    streams.remove(next);
    expect(streams.list()).toEqual([]);
  });
});
