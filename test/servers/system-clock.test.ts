import { afterEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/servers/system-clock.ts';

afterEach(() => {
  vi.useRealTimers();
});

it.each([3_600_000, -3_600_000])('does not follow a step of the system clock by %d ms', (step) => {
  const before = systemClock.now();
  expect(Math.abs(before - Date.now())).toBeLessThan(60_000);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + step });
  const after = systemClock.now();
  expect(Math.abs(Date.now() - before)).toBeGreaterThan(3_000_000);
  expect(after).toBeGreaterThanOrEqual(before);
  expect(after - before).toBeLessThan(60_000);
});

it('cancels what it was to call', async () => {
  let called = 0;
  const cancel = systemClock.after(1, () => called++);
  cancel();
  await new Promise<void>((resolve) => {
    systemClock.after(5, resolve);
    // Its own timers keep no process alive.
    setTimeout(() => {}, 20);
  });
  expect(called).toBe(0);
});
