import { describe, expect, it } from 'vitest';
import { FrameSpacing } from '../../../src/live/ingest-doctor/frame-spacing.ts';
import { ticksFromMs } from '../../../src/media/time.ts';
import { noise } from '../../media/support.ts';

const WINDOW_MS = 10_000;

/** Frames at these times in windows of ten seconds. @returns the verdict of each */
function feed(times: Iterable<number>) {
  const spacing = new FrameSpacing();
  const verdicts = [];
  let end = WINDOW_MS;
  for (const time of times) {
    if (time >= end) {
      verdicts.push(spacing.judge());
      end += WINDOW_MS;
    }
    spacing.frame(ticksFromMs(Math.round(time)));
  }
  verdicts.push(spacing.judge());
  return { verdicts, spacing };
}

function* frames(seconds: number, next: (index: number) => number): Generator<number> {
  let index = 0;
  for (let time = 0; time < seconds * 1000; time += next(index++)) yield time;
}

/** Every frame off by so much of its length, evenly spread both ways. */
function jittered(fps: number, share: number): number[] {
  const random = noise(7);
  return [...frames(30, () => 1000 / fps)].map((at) => at + ((random() * 2 - 1) * share * 1000) / fps);
}

describe('FrameSpacing', () => {
  it('a phone that slows down and speeds up has a variable frame rate, after two windows of it', () => {
    const random = noise();
    const { verdicts } = feed(frames(30, () => 25 + random() * 40));
    expect(verdicts).toEqual([
      null,
      ...[1, 2].map(() => ({
        code: 'frame-rate-variable',
        severity: 'notice',
        message: expect.stringMatching(/for 2\d to 6\d ms/),
        fix: expect.stringContaining('Settings > Video > Common FPS Values'),
      })),
    ]);
  });

  it('so has a film in a faster rhythm: 24 frames a second on a grid of 60', () => {
    const { verdicts } = feed(frames(20, (index) => (index % 2 === 0 ? 33.3 : 50)));
    expect(verdicts.map((verdict) => verdict?.code)).toEqual([undefined, 'frame-rate-variable']);
  });

  it.each([
    ['30 fps', 30, 0],
    ['29.97 fps', 30_000 / 1001, 0],
    ['144 fps', 144, 0],
    ['240 fps', 240, 0],
    ['5 fps', 5, 0],
    ['30 fps with jitter of a tenth', 30, 0.1],
    ['60 fps with jitter of a tenth', 60, 0.1],
  ])('%s is constant', (_name, fps, share) => {
    const { verdicts, spacing } = feed(jittered(fps, share));
    expect(verdicts).toEqual([null, null, null]);
    expect((spacing.usualMs ?? 0) / (1000 / fps)).toBeCloseTo(1, 0);
  });

  it('30 fps with jitter of two fifths is not', () => {
    expect(feed(jittered(30, 0.4)).verdicts[1]?.code).toBe('frame-rate-variable');
  });

  it('one uneven window is a camera that wakes up', () => {
    const random = noise();
    const times = frames(30, (index) => (index < 100 ? 25 + random() * 40 : 1000 / 30));
    expect(feed(times).verdicts).toEqual([null, null, null]);
  });

  it.each([
    [0.1, /^(8|9|1[0-2]) % of/, 'warning'],
    [0.5, /^[45]\d % of/, 'problem'],
  ])('%f of the frames left out is no variable frame rate', (share, text, severity) => {
    // OBS drops to the next keyframe: one hole in two seconds.
    const times = [...frames(20, () => 1000 / 30)].filter((_, index) => index % 60 < 60 * (1 - share));
    expect(feed(times).verdicts).toEqual(
      [1, 2].map(() => ({
        code: 'frames-missing',
        severity,
        message: expect.stringMatching(text),
        fix: expect.stringContaining('View > Stats'),
      })),
    );
  });

  it('every tenth frame skipped counts as missing, too', () => {
    const times = [...frames(20, () => 1000 / 60)].filter((_, index) => index % 10 !== 0);
    expect(feed(times).verdicts.map((verdict) => verdict?.code)).toEqual([
      'frames-missing',
      'frames-missing',
    ]);
  });

  it('a lost frame now and then is not worth a word', () => {
    const times = [...frames(20, () => 1000 / 30)].filter((_, index) => index % 40 !== 0);
    expect(feed(times).verdicts).toEqual([null, null]);
  });

  it('does not measure across an interruption, and judges no slide show', () => {
    const spacing = new FrameSpacing();
    for (let i = 0; i < 300; i++) {
      if (i % 10 === 0) spacing.interrupt();
      spacing.frame(ticksFromMs(i * 33 + Math.floor(i / 10) * 5000));
    }
    expect(spacing.judge()).toBeNull();
    expect(feed(frames(60, (index) => 2000 + (index % 3) * 1000)).verdicts.every((one) => one === null)).toBe(
      true,
    );
  });
});
