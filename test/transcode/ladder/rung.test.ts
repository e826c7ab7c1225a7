import { expect, it } from 'vitest';
import { AlignedRendition } from '../../../src/packaging/aligned-rendition.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { Rung } from '../../../src/transcode/ladder/rung.ts';
import { planLadder } from '../../../src/transcode/ladder/rungs.ts';
import { SourceWindow } from '../../../src/transcode/ladder/source-window.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { packet, video } from '../conversion/support.ts';

const TRACK = video('h264');

/** Segments of the source by the presentation times of their pictures, in the order of decoding; `!` is a keyframe. */
function rig(...segments: readonly string[]) {
  const window = new SourceWindow();
  segments.forEach((pictures, number) => {
    window.begin({ number, epoch: 1, video: TRACK, audio: null });
    for (const picture of pictures.split(' ')) {
      window.add(packet(TRACK, Number.parseInt(picture, 10), picture.endsWith('!')));
    }
  });
  const [plan] = planLadder(
    ['160p'],
    { width: 640, height: 360, frameRate: 25 },
    { encoder: 'libx264', preset: 'veryfast' },
  ).rungs;
  if (plan === undefined) throw new Error('no plan');
  const rendition = new AlignedRendition({
    ...{ clock: new FakeClock(), store: new MemoryStore(), storePrefix: '', listedSegments: 6 },
    ...{
      onStoreError: () => {},
      onListed: () => {},
      onStored: () => {},
      resume: null,
      beforeListing: null,
      segmentName: (number) => `${number}.ts`,
    },
  });
  const rung = new Rung(plan, rendition, window, 0);
  const push = (ms: number, keyframe = false) => rung.push(packet(TRACK, ms, keyframe), 0);
  return { rung, push };
}

it('pictures of an open group that are shown before its keyframe end the segment before', () => {
  const { rung, push } = rig('0! 40 80', '200! 120 160 240');
  expect([push(0, true), push(40), push(80), push(120), push(160)]).not.toContain(false);
  expect(rung.next).toBe(0);
  expect(push(200, true)).toBe(true);
  expect(rung.next).toBe(1);
});

it('where the first segment begins with such pictures, they are left out', () => {
  const { push } = rig('80! 0 40 120');
  expect([push(0), push(40), push(80, true), push(120)]).toEqual([true, true, true, true]);
});

it('a segment without a keyframe may begin with any of its pictures; with one it may not', () => {
  const { rung, push } = rig('0! 80 40', '240 160 200', '280! 320');
  expect([push(0, true), push(80), push(200), push(240)]).not.toContain(false);
  expect(rung.next).toBe(1);
  expect(push(320)).toBe(false);
});
