import { describe, expect, it } from 'vitest';
import type { Publisher } from '../../src/live/stream.ts';
import { StreamRegistry, type TakeoverPolicy } from '../../src/live/stream-registry.ts';
import { failure } from '../formats/amf/support.ts';
import { encoded } from '../media/support.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** Streams that went for others, and of which address. */
type Displaced = [path: string, address: string][];

function registry(
  takeover: TakeoverPolicy,
  maxStreams = 10,
  clock = new FakeClock(),
  displaced: Displaced = [],
): StreamRegistry {
  return new StreamRegistry({
    clock,
    graceMs: () => 1000,
    takeover: () => takeover,
    maxStreams: () => maxStreams,
    onDisplaced: ({ path }, address) => displaced.push([path, address]),
    onState: () => {},
    onEpoch: () => {},
    onSinkFault: () => {},
  });
}

function publisher(address = ''): Publisher & { count: number; reason: string | null } {
  const result: ReturnType<typeof publisher> = {
    address,
    encoder: null,
    count: 0,
    reason: null,
    dismiss: (reason) => {
      result.count++;
      result.reason = reason;
    },
  };
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

  describe('when it is full', () => {
    const MOST = 6;

    /** @param letters one for each stream, its address */
    function filled(letters: string) {
      const displaced: Displaced = [];
      const clock = new FakeClock();
      const streams = registry('newest', MOST, clock, displaced);
      const publications = [...letters].map((address, n) =>
        streams.publish('live', `${address}${n}`, publisher(address)),
      );
      const enter = (address: string, name = `new-${address}`) =>
        streams.publish('live', name, publisher(address));
      const addresses = () =>
        streams
          .list()
          .map(({ address }) => address)
          .join('');
      return { streams, clock, displaced, publications, enter, addresses };
    }

    it('the newest stream of the address that has most goes for a newcomer from another', () => {
      const { streams, displaced, enter, addresses } = filled('baaaa');
      const newest = publisher('a');
      const { stream } = streams.publish('live', 'newest', newest);
      expect(enter('c').stream.state).toBe('live');
      expect(displaced).toEqual([['live/newest', 'a']]);
      expect([stream.state, newest.reason]).toEqual(['closed', 'SLUICE_RTMP_LIMIT']);
      expect(streams.get('live', 'newest')).toBeNull();
      expect(addresses()).toBe('baaaac');
      // Nothing comes back by trying again.
      expect(failure(() => enter('a', 'newest'))).toBe('SLUICE_RTMP_LIMIT');
    });

    it('a /64 of IPv6 counts as one address', () => {
      const streams = registry('newest', 3);
      const enter = (address: string) => streams.publish('live', `at ${address}`, publisher(address));
      for (const host of [1, 2, 3]) enter(`2001:db8::${host}`);
      expect(failure(() => enter('2001:db8::4'))).toBe('SLUICE_RTMP_LIMIT');
      enter('2001:db8:0:1::1');
      expect(streams.list().map(({ address }) => address)).toEqual([
        '2001:db8::1',
        '2001:db8::2',
        '2001:db8:0:1::1',
      ]);
    });

    it('it goes on until the newcomer’s address would have as many', () => {
      const { enter, addresses } = filled('aaaaaa');
      for (const name of ['1', '2', '3']) enter('b', name);
      expect(addresses()).toBe('aaabbb');
      expect(failure(() => enter('b', '4'))).toBe('SLUICE_RTMP_LIMIT');
      expect(failure(() => enter('a', '4'))).toBe('SLUICE_RTMP_LIMIT');
      enter('c');
      expect(failure(() => enter('a', '4'))).toBe('SLUICE_RTMP_LIMIT');
      expect(addresses()).toHaveLength(MOST);
    });

    it('nobody goes where each address has one', () => {
      const { enter, displaced } = filled('abcdef');
      expect(failure(() => enter('g'))).toBe('SLUICE_RTMP_LIMIT');
      expect(displaced).toEqual([]);
    });

    it('below the limit one address may have all', () => {
      const { enter, displaced, addresses } = filled('aaaaa');
      enter('b');
      expect(addresses()).toBe('aaaaab');
      expect(displaced).toEqual([]);
    });

    it('a name that exists costs no other its place, wherever it is published from', () => {
      const { enter, displaced, addresses } = filled('aaaaaa');
      enter('a', 'a5');
      enter('b', 'a2');
      expect(displaced).toEqual([]);
      // The stream is its new publisher's.
      expect(addresses()).toBe('aabaaa');
    });

    it('streams that wait for their publisher, or are played to their end, count for the last one', () => {
      const { enter, displaced, publications, streams } = filled('aaaabb');
      for (const publication of publications.slice(0, 4)) {
        for (const frame of encoded({ seconds: 2 })) publication.push(frame);
        publication.end();
      }
      publications[3]?.stream.close();
      expect(streams.list().map(({ state }) => state)).toEqual([
        'grace',
        'grace',
        'grace',
        'closed',
        'live',
        'live',
      ]);
      enter('c', '1');
      enter('c', '2');
      expect(displaced).toEqual([
        ['live/a3', 'a'],
        ['live/a2', 'a'],
      ]);
      expect(publications[2]?.stream.state).toBe('closed');
    });

    it('a name that ended and is published again is a new stream', () => {
      const { enter, displaced, publications } = filled('aaaaaa');
      publications[0]?.stream.close();
      enter('a', 'a0');
      enter('b');
      expect(displaced).toEqual([['live/a0', 'a']]);
    });

    it('streams of an earlier process are nobody’s', () => {
      const { displaced, enter, streams } = filled('a');
      for (const name of ['1', '2', '3', '4', '5']) {
        streams.restore('live', name, { startedAt: 1, end: 2, closed: false }).awaitPublisher();
      }
      expect(failure(() => enter('b'))).toBe('SLUICE_RTMP_LIMIT');
      streams.publish('live', '1', publisher('a'));
      enter('b');
      expect(displaced).toEqual([['live/1', 'a']]);
    });

    it('no more go at a time than there may be, until what is left of them is gone', () => {
      const { enter, streams, publications } = filled('aaaaaa');
      const displaced = publications.map(({ stream }) => stream);
      let turn = 0;
      const swap = (from: string, to: string) => {
        for (const stream of streams.list()) {
          if (stream.address !== from) continue;
          stream.close();
          streams.remove(stream);
        }
        while (streams.list().length < MOST) enter(to, `${turn++}`);
      };
      for (let n = 0; n < 3; n++) displaced.push(enter('b', `${turn++}`).stream);
      swap('b', 'a');
      for (let n = 0; n < 3; n++) displaced.push(enter('b', `${turn++}`).stream);
      swap('b', 'a');
      expect(failure(() => enter('b'))).toBe('SLUICE_RTMP_LIMIT');
      for (const stream of displaced) if (stream.state === 'closed') streams.remove(stream);
      expect(enter('b').stream.state).toBe('live');
    });
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
