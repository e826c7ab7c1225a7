import type { Clock } from '../media/clock.ts';

/** Real time. `now` does not follow steps of the system clock, so that playlists never see one. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
