import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MediaWindow } from '../../src/formats/m3u8/playlist.ts';
import { SegmentHistory } from '../../src/packaging/segment-history.ts';
import { segmentInfo } from './support.ts';

const seconds = (window: MediaWindow) =>
  window.segments.reduce((sum, { duration }) => sum + duration / 90_000, 0);

describe('SegmentHistory', () => {
  it('lists six, counts the discontinuities that left, and keeps what left for a window', () => {
    const history = new SegmentHistory(6, 0);
    history.begin(2);
    const now = 14_000;
    for (let i = 0; i < 7; i++) history.append(segmentInfo(i, 2, i === 0), (i + 1) * 2000);
    expect(history.window.segments.map((s) => s.mediaSequence)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(history.window.discontinuitySequence).toBe(1);
    expect(history.has('s-0.ts')).toBe(true);
    expect(history.takeExpired(now + 15_999)).toEqual([]);
    expect(history.takeExpired(now + 16_000)).toEqual(['s-0.ts']);
    expect(history.has('s-0.ts')).toBe(false);
    expect(history.uris()).toHaveLength(6);
  });

  it('lists more where three target durations need more', () => {
    const history = new SegmentHistory(6, 0);
    history.begin(10);
    for (let i = 0; i < 40; i++) history.append(segmentInfo(i, 2), i * 2000);
    expect(history.window.segments).toHaveLength(15);
  });

  it('media faster than time does not pile up, but stays for four lists', () => {
    const history = new SegmentHistory(6, 0);
    history.begin(2);
    const deleted: string[] = [];
    for (let i = 0; i < 100; i++) {
      history.append(segmentInfo(i, 2), 0);
      deleted.push(...history.takeExpired(0));
    }
    expect(deleted).toEqual(Array.from({ length: 70 }, (_, i) => `s-${i}.ts`));
    expect(history.uris()).toHaveLength(6 + 4 * 6);
    const { bytes } = segmentInfo(0, 2);
    expect(history.bytes).toBe(bytes * 30);
    expect(history.takeExpired(16_000)).toHaveLength(24);
    expect(history.bytes).toBe(bytes * 6);
  });

  it('never keeps more than five lists and a segment of media, nor deletes what was just listed', () => {
    const step = fc.record({
      seconds: fc.double({ min: 0.1, max: 10, noNaN: true }),
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20_000 })),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 20 }),
        fc.integer({ min: 1, max: 10 }),
        fc.array(step, { maxLength: 200 }),
        (listed, targetDuration, steps) => {
          const history = new SegmentHistory(listed, 0);
          history.begin(targetDuration);
          const lengths = new Map<string, number>();
          const bytes = new Map<string, number>();
          let now = 0;
          let longest = 0;
          for (const [i, { seconds: length, afterMs }] of steps.entries()) {
            now += afterMs;
            const segment = segmentInfo(i, length);
            lengths.set(segment.uri, segment.duration);
            bytes.set(segment.uri, segment.bytes);
            const before = history.window.segments.map(({ uri }) => uri);
            history.append(segment, now);
            const expired = history.takeExpired(now);
            // Whoever has read the list before this segment came can fetch all of it.
            for (const uri of afterMs === 0 ? [] : expired) expect(before).not.toContain(uri);
            for (const uri of expired) expect(history.has(uri)).toBe(false);
            const kept = history.uris();
            // What is listed, and what has just left that list.
            longest = Math.max(longest, history.duration + segment.duration);
            expect(kept.reduce((sum, uri) => sum + (lengths.get(uri) ?? Number.NaN), 0)).toBeLessThanOrEqual(
              5 * longest,
            );
            expect(history.bytes).toBe(kept.reduce((sum, uri) => sum + (bytes.get(uri) ?? Number.NaN), 0));
          }
        },
      ),
    );
  });

  it('a burst of a minute deletes nothing that a player may want', () => {
    const history = new SegmentHistory(6, 0);
    history.begin(2);
    for (let i = 0; i < 30; i++) {
      history.append(segmentInfo(i, 2), 0);
      expect(history.takeExpired(0)).toEqual([]);
    }
  });

  it('a window once taken never changes', () => {
    const history = new SegmentHistory(3, 0);
    history.begin(1);
    for (let i = 0; i < 4; i++) history.append(segmentInfo(i, 1), 0);
    const before = history.window;
    const copy = structuredClone(before);
    for (let i = 4; i < 9; i++) history.append(segmentInfo(i, 1), 0);
    history.end();
    expect(before).toEqual(copy);
    expect(history.window.ended).toBe(true);
  });

  it('arithmetic for any segments', () => {
    const anySegment = fc.record({
      duration: fc.double({ min: 0.05, max: 6.4, noNaN: true }),
      discontinuity: fc.boolean(),
      late: fc.nat(3000),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 6 }),
        fc.array(anySegment, { maxLength: 60 }),
        (listed, target, list) => {
          const history = new SegmentHistory(listed, 0);
          history.begin(target);
          let now = 0;
          let previous = history.window;
          const all = list.map((s, i) => segmentInfo(i, s.duration, s.discontinuity));
          // For every segment the moment until which the last list with it must find it.
          const promised = new Map<string, number>();
          all.forEach((segment, i) => {
            now += segment.duration / 90 + (list[i]?.late ?? 0);
            history.append(segment, now);
            const expired = history.takeExpired(now);
            for (const uri of expired)
              expect(now).toBeGreaterThanOrEqual(promised.get(uri) ?? Number.POSITIVE_INFINITY);
            const { window } = history;
            const first = window.segments[0]?.mediaSequence ?? 0;
            expect(first).toBeGreaterThanOrEqual(previous.segments[0]?.mediaSequence ?? 0);
            expect(window.segments.map((s) => s.mediaSequence)).toEqual(
              Array.from({ length: i + 1 - first }, (_, n) => first + n),
            );
            expect(window.discontinuitySequence).toBe(
              all.slice(0, first).filter((s) => s.discontinuity).length,
            );
            expect(window.segments.length).toBeGreaterThanOrEqual(Math.min(i + 1, listed));
            if (first > (previous.segments[0]?.mediaSequence ?? 0))
              expect(seconds(window)).toBeGreaterThanOrEqual(target * 3 - 1e-4);
            expect(history.duration / 90_000).toBeCloseTo(seconds(window), 6);
            for (const s of previous.segments) {
              if (window.segments.includes(s)) continue;
              promised.set(s.uri, now + (s.duration / 90_000 + seconds(previous)) * 1000);
            }
            for (const s of window.segments) expect(history.has(s.uri)).toBe(true);
            for (const [uri, until] of promised) if (now < until) expect(history.has(uri)).toBe(true);
            previous = window;
          });
        },
      ),
    );
  });
});
