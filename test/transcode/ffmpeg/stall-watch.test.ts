import { describe, expect, it } from 'vitest';
import { watchForStall } from '../../../src/transcode/ffmpeg/stall-watch.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function watched(outputs = 1) {
  const clock = new FakeClock();
  const stalls: number[] = [];
  const state = { busy: true, packets: Array.from({ length: outputs }, () => 0) };
  const end = watchForStall({
    clock,
    busy: () => state.busy,
    progress: () => [...state.packets],
    onStall: (seconds) => stalls.push(seconds),
  });
  return { clock, stalls, state, end };
}

describe('watchForStall', () => {
  it('bears 10 s of work without output, and tells it once', () => {
    const { clock, stalls } = watched();
    clock.advance(9_999);
    expect(stalls).toEqual([]);
    clock.advance(1);
    expect(stalls).toEqual([10]);
    clock.advance(60_000);
    expect(stalls).toEqual([10]);
    expect(clock.pending).toBe(0);
  });

  it('is content with a packet now and then', () => {
    const { clock, stalls, state } = watched();
    for (let round = 0; round < 20; round++) {
      clock.advance(9_000);
      state.packets = state.packets.map((count) => count + 1);
      clock.advance(1_000);
    }
    expect(stalls).toEqual([]);
  });

  it('does not count time without work', () => {
    const { clock, stalls, state } = watched();
    clock.advance(9_000);
    state.busy = false;
    clock.advance(3_600_000);
    expect(stalls).toEqual([]);
    state.busy = true;
    clock.advance(1_000);
    expect(stalls).toEqual([10]);
  });

  it('notices one output of many', () => {
    const { clock, stalls, state } = watched(3);
    for (let second = 0; second < 10; second++) {
      state.packets = state.packets.map((count, index) => (index === 1 ? count : count + 25));
      clock.advance(1_000);
    }
    expect(stalls).toEqual([10]);
  });

  it('ends', () => {
    const { clock, stalls, end } = watched();
    clock.advance(5_000);
    end();
    expect(clock.pending).toBe(0);
    clock.advance(60_000);
    expect(stalls).toEqual([]);
  });
});
