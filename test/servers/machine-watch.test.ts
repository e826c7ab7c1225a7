import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CrowdLog } from '../../src/servers/crowd-log.ts';
import { watchMachine } from '../../src/servers/machine-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';

const START = 1_700_000_000_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: START });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function watch() {
  const clock = new FakeClock(START);
  const lines: string[] = [];
  const stop = watchMachine(
    clock,
    new CrowdLog<'warn'>(clock, { warn: (_fields, message) => lines.push(message) }),
  );
  /** A second of both clocks, the system's with an error. */
  const second = (errorMs = 0) => {
    clock.advance(1000);
    vi.setSystemTime(Date.now() + errorMs);
    vi.advanceTimersByTime(1000);
  };
  /** Tenths of a second of both clocks. */
  const tenths = (count: number) => {
    for (let n = 0; n < count; n++) {
      clock.advance(100);
      vi.advanceTimersByTime(100);
    }
  };
  return { clock, lines, stop, second, tenths };
}

it('tells of a system clock that steps, and not of one that drifts', () => {
  const { lines, stop, second } = watch();
  for (let n = 0; n < 10; n++) second(100);
  expect(lines).toEqual([]);
  second(3_600_000);
  expect(lines).toEqual([expect.stringContaining('the system clock stepped by +3600.0 s')]);
  second();
  expect(lines).toHaveLength(1);
  for (let n = 0; n < 20; n++) second();
  second(-3_600_000);
  expect(lines.slice(1)).toEqual([expect.stringContaining('the system clock stepped by -3600.0 s')]);
  stop();
});

it('tells of each time that the process stood still, whenever that was', () => {
  for (let tenth = 0; tenth < 10; tenth++) {
    const { lines, stop, tenths } = watch();
    tenths(10 + tenth);
    const now = performance.now();
    const still = vi.spyOn(performance, 'now').mockImplementation(() => now + 500);
    tenths(10);
    expect(lines).toEqual([expect.stringContaining('nothing happened for 0.')]);
    still.mockRestore();
    stop();
  }
});

it('sees nothing after it was stopped', () => {
  const { lines, stop, second } = watch();
  stop();
  second(3_600_000);
  expect(lines).toEqual([]);
});
