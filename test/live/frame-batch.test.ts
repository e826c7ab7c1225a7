import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameBatch } from '../../src/live/frame-batch.ts';
import type { Frame } from '../../src/media/frame.ts';
import { audioTrack, encoded, picture, videoTrack } from '../media/support.ts';

const VIDEO = videoTrack();
const AUDIO = audioTrack();

function rig(settled = () => true) {
  const delivered: Frame[] = [];
  const batch = new FrameBatch((frame) => delivered.push(frame), settled);
  return { delivered, batch };
}

function video(timestamp: number, keyframe = false, size = 20): Frame {
  const data = picture(keyframe, size);
  return { track: VIDEO, timestamp, compositionOffset: 0, nanoseconds: 0, keyframe, data };
}

function audio(timestamp: number): Frame {
  const data = new Uint8Array(10);
  return { track: AUDIO, timestamp, compositionOffset: 0, nanoseconds: 0, keyframe: true, data };
}

/** With a keyframe at 2000. */
function running() {
  const r = rig();
  r.batch.push(video(2000, true));
  r.delivered.length = 0;
  return r;
}

it('hands on every frame in order, whatever the publisher sends, and holds little', () => {
  const timestamp = fc.oneof(fc.nat(0xffff_ffff), fc.nat(3000), fc.constant(0));
  const any = fc.oneof(
    fc.tuple(timestamp, fc.boolean(), fc.nat(100_000)).map(([at, key, size]) => video(at, key, size)),
    timestamp.map(audio),
  );
  fc.assert(
    fc.property(fc.array(any, { maxLength: 200 }), (frames) => {
      const { delivered, batch } = rig();
      for (const frame of frames) {
        batch.push(frame);
        expect(batch.bytes).toBeLessThan(256 * 1024);
        if (delivered.length === frames.length) expect(batch.bytes).toBe(0);
      }
      batch.flush();
      expect(batch.bytes).toBe(0);
      expect(delivered).toEqual(frames);
    }),
  );
});

it('of 25 pictures a second and their sound comes in batches of a fifth of a second', () => {
  const { delivered, batch } = running();
  const frames = encoded({ seconds: 4 }).filter(({ at }) => at >= 2300);
  const bursts: number[] = [];
  for (const [n, frame] of frames.entries()) {
    const before = delivered.length;
    batch.push(frame);
    if (delivered.length > before) bursts.push(delivered.length - before);
    const oldest = frames[delivered.length];
    if (delivered.length <= n && oldest !== undefined) expect(frame.at - oldest.at).toBeLessThan(200);
  }
  expect(Math.min(...bursts)).toBeGreaterThan(12);
});

it('holds nothing before the stream has begun, and not before the next keyframe either', () => {
  let settled = false;
  const { delivered, batch } = rig(() => settled);
  const frames = encoded({ seconds: 4 });
  for (const [n, frame] of frames.entries()) {
    if (frame.at > 2000) settled = true;
    batch.push(frame);
    expect(delivered).toHaveLength(n + 1);
  }
  batch.push(video(4000, true));
  batch.push(video(4300));
  expect(delivered).toHaveLength(frames.length + 1);
});

it('hands on a keyframe at once, with everything before it', () => {
  const { delivered, batch } = running();
  batch.push(video(3900));
  batch.push(audio(3910));
  expect(delivered).toEqual([]);
  batch.push(video(3940, true));
  expect(delivered.map((frame) => frame.timestamp)).toEqual([3900, 3910, 3940]);
});

it('holds nothing for three tenths of a second after a keyframe: the cut waits for the sound', () => {
  const { delivered, batch } = running();
  for (const frame of [video(2040), audio(2010), video(2280), audio(2299)]) batch.push(frame);
  expect(delivered).toHaveLength(4);
  batch.push(video(2320));
  expect(delivered).toHaveLength(4);
});

it('holds no sound where there are no pictures', () => {
  const { delivered, batch } = rig();
  for (let at = 0; at < 5000; at += 20) batch.push(audio(at));
  expect(delivered).toHaveLength(250);
});

it('holds no more than 256 KiB, however long that takes', () => {
  const { delivered, batch } = running();
  for (let n = 0; n < 3; n++) batch.push(video(2300, false, 80_000));
  expect(delivered).toEqual([]);
  batch.push(video(2300, false, 80_000));
  expect(delivered).toHaveLength(4);
  // Empty ones count as well.
  for (let n = 0; n < 2000; n++) batch.push(video(2300, false, 0));
  expect(delivered.length).toBeGreaterThan(1000);
});

it('can be flushed by what it delivers to', () => {
  const delivered: number[] = [];
  const batch: FrameBatch = new FrameBatch(
    (frame) => {
      delivered.push(frame.timestamp);
      batch.flush();
    },
    () => true,
  );
  for (const frame of [video(2000, true), video(2300), audio(2310), audio(2500)]) batch.push(frame);
  expect(delivered).toEqual([2000, 2300, 2310, 2500]);
});
