import { describe, expect, it } from 'vitest';
import { ByteWindow, WINDOW_ACK_SIZE } from '../../src/rtmp/byte-window.ts';

/** Totals at which an acknowledgement falls due while `count` times `step` bytes come. */
function due(window: ByteWindow, step: number, count: number): number[] {
  const totals: number[] = [];
  for (let n = 0; n < count; n++) if (window.add(step)) totals.push(window.received);
  return totals;
}

describe('ByteWindow', () => {
  it('acknowledges every half of the default window without being asked', () => {
    expect(due(new ByteWindow(), WINDOW_ACK_SIZE / 10, 20)).toEqual([
      1_250_000, 2_500_000, 3_750_000, 5_000_000,
    ]);
  });

  it('acknowledges every half of the window the peer announced', () => {
    const window = new ByteWindow();
    window.window = 1000;
    expect(due(window, 100, 12)).toEqual([500, 1000]);
  });

  it('acknowledges once however much came at a time', () => {
    const window = new ByteWindow();
    window.window = 1000;
    expect(due(window, 10_000, 2)).toEqual([10_000, 20_000]);
  });

  it('does not let a large window stop acknowledgements, nor a window of 0 cause one per byte', () => {
    const large = new ByteWindow();
    large.window = 0xffffffff;
    expect(due(large, 1_250_000, 2)).toEqual([1_250_000, 2_500_000]);
    const none = new ByteWindow();
    none.window = 0;
    expect(due(none, 1, 1000)).toEqual([]);
  });

  it('counts on beyond 2^32', () => {
    const window = new ByteWindow();
    window.add(2 ** 32);
    window.add(5);
    expect(window.received).toBe(2 ** 32 + 5);
  });
});
