import { describe, expect, it } from 'vitest';
import type { Stream } from '../../src/live/stream.ts';
import { StreamRegistry } from '../../src/live/stream-registry.ts';
import { ERRORS, SluiceError } from '../../src/media/errors.ts';
import { StoreOutage } from '../../src/servers/store-outage.ts';
import { FakeClock } from '../support/fake-clock.ts';

function rig() {
  const clock = new FakeClock();
  const lines: [level: string, message: string, fields: Record<string, unknown>][] = [];
  const log = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push([level, message, fields]);
  };
  const registry = new StreamRegistry({
    clock,
    graceMs: () => 0,
    takeover: () => 'newest',
    maxStreams: () => 100,
    onState: () => {},
    onEpoch: () => {},
    onSinkFault: () => {},
  });
  return {
    clock,
    outage: new StoreOutage(clock, { info: log('info'), error: log('error') }),
    stream: (name: string): Stream =>
      registry.publish('live', name, { address: '', encoder: null, dismiss: () => {} }).stream,
    lines: () => lines.splice(0),
  };
}

const BEGINS = 'segments cannot be stored and are lost; the streams go on';
const IS_OVER = 'segments can be stored again';
const FULL = new Error('ENOSPC: no space left on device');

describe('an outage of the store', () => {
  it('is one line when it begins and one when it is over, however many streams lose segments', () => {
    const { clock, outage, stream, lines } = rig();
    const streams = Array.from({ length: 50 }, (_, n) => stream(`cam${n}`));
    for (let round = 0; round < 20; round++) {
      for (const [n, one] of streams.entries()) outage.segmentLost(one, FULL, `${n}-${round}.ts`);
      clock.advance(2000);
    }
    expect(lines()).toEqual([
      [
        'error',
        BEGINS,
        {
          code: 'SLUICE_STORE_FAILED',
          reason: FULL.message,
          stream: 'live/cam0',
          segment: '0-0.ts',
          fix: ERRORS.SLUICE_STORE_FAILED,
        },
      ],
    ]);
    clock.advance(8000);
    for (const one of streams) outage.segmentStored(one, false);
    expect(lines()).toEqual([['info', IS_OVER, { lost: 1000, streams: 50 }]]);
  });

  it('goes on while the store takes one segment and refuses the next', () => {
    const { clock, outage, stream, lines } = rig();
    const cam = stream('cam');
    outage.segmentLost(cam, FULL, '0.ts');
    expect(lines()).toHaveLength(1);
    for (let n = 1; n <= 30; n++) {
      clock.advance(2000);
      outage.segmentStored(cam, true);
      outage.segmentLost(cam, FULL, `${n}.ts`);
    }
    clock.advance(9999);
    outage.segmentStored(cam, false);
    expect(lines()).toEqual([]);
    clock.advance(1);
    outage.segmentStored(cam, false);
    expect(lines()).toEqual([['info', IS_OVER, { lost: 31, streams: 1 }]]);
  });

  it('is not over because another stream has its segments, until the one that lost some has ended', () => {
    const { clock, outage, stream, lines } = rig();
    const slow = stream('slow');
    const quick = stream('quick');
    outage.segmentLost(slow, FULL, '0.ts');
    lines();
    for (let n = 0; n < 10; n++) {
      clock.advance(2000);
      outage.segmentStored(quick, false);
    }
    expect(lines()).toEqual([]);
    slow.close();
    expect(lines()).toEqual([]);
    outage.segmentStored(quick, false);
    expect(lines()).toEqual([['info', IS_OVER, { lost: 1, streams: 1 }]]);
  });

  it('that follows another has lines of its own, with its own code and advice', () => {
    const { clock, outage, stream, lines } = rig();
    const one = stream('one');
    const two = stream('two');
    outage.segmentLost(one, FULL, '0.ts');
    clock.advance(10_000);
    outage.segmentStored(one, false);
    lines();
    clock.advance(1);
    outage.segmentLost(two, new SluiceError('SLUICE_STORE_FULL', 'reached 5 bytes'), '1.ts');
    clock.advance(10_000);
    outage.segmentStored(two, false);
    expect(lines()).toEqual([
      [
        'error',
        BEGINS,
        {
          code: 'SLUICE_STORE_FULL',
          reason: 'reached 5 bytes',
          stream: 'live/two',
          segment: '1.ts',
          fix: ERRORS.SLUICE_STORE_FULL,
        },
      ],
      ['info', IS_OVER, { lost: 1, streams: 1 }],
    ]);
  });

  it.each(['EMFILE', 'ENFILE'])('for want of descriptors (%s) is not said to be of the disk', (code) => {
    const { outage, stream, lines } = rig();
    outage.segmentLost(
      stream('cam'),
      Object.assign(new Error(`${code}: too many open files`), { code }),
      '0.ts',
    );
    expect(lines()).toMatchObject([
      ['error', BEGINS, { code: 'SLUICE_DESCRIPTORS_EXHAUSTED', fix: ERRORS.SLUICE_DESCRIPTORS_EXHAUSTED }],
    ]);
  });

  it('that never was is not told to be over', () => {
    const { outage, stream, lines } = rig();
    outage.segmentStored(stream('cam'), false);
    expect(lines()).toEqual([]);
  });
});
