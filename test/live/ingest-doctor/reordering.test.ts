import { describe, expect, it } from 'vitest';
import { Reordering } from '../../../src/live/ingest-doctor/reordering.ts';

/** Presentation order of a group of pictures, in decode order, repeated. */
function feed(reordering: Reordering, group: readonly number[], groups = 50): void {
  for (let i = 0; i < groups; i++) for (const place of group) reordering.frame(i * group.length + place);
}

describe('Reordering', () => {
  it.each([
    ['one', [1, 0], '1 in a row', '33 ms'],
    ['two', [2, 0, 1], '2 in a row', '66 ms'],
    ['a pyramid of three', [3, 1, 0, 2], '3 in a row', '99 ms'],
  ])('counts B-frames: %s', (_name, group, inARow, delay) => {
    const reordering = new Reordering();
    feed(reordering, group);
    const verdict = reordering.judge(33);
    expect(verdict).toMatchObject({ code: 'b-frames', severity: 'notice' });
    expect(verdict?.message).toContain(inARow);
    expect(verdict?.message).toContain(delay);
    expect(verdict?.fix).toContain('B-Frames (or Max B-frames): 0');
  });

  it('without a frame rate there is no delay to tell', () => {
    const reordering = new Reordering();
    feed(reordering, [1, 0]);
    expect(reordering.judge(null)?.message).toBe('The encoder uses B-frames, 1 in a row.');
  });

  it('says nothing of pictures in order, of a constant offset, and of a stray', () => {
    const reordering = new Reordering();
    feed(reordering, [0]);
    expect(reordering.judge(33)).toBeNull();
    feed(reordering, [5000]);
    expect(reordering.judge(33)).toBeNull();
    for (let i = 0; i < 300; i++) reordering.frame(10_000 + (i === 150 ? i - 2 : i));
    expect(reordering.judge(33)).toBeNull();
  });

  it('forgets with each window, and the order with an interruption', () => {
    const reordering = new Reordering();
    feed(reordering, [2, 0, 1]);
    expect(reordering.judge(33)).not.toBeNull();
    reordering.interrupt();
    feed(reordering, [0]);
    expect(reordering.judge(33)).toBeNull();
  });
});
