import { close, open } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../media/clock.ts';
import type { CrowdLog } from './crowd-log.ts';

const LOOK_INTERVAL_MS = 1000;
/** Finer than the shortest block worth a line, and ten wake-ups a second. */
const DELAY_RESOLUTION_MS = 100;
/** Segments come late, and connections time out that should not, when the process stands still this long. */
const BLOCKED_MS = 350;
/** Time servers move a clock that is further off than half a second at once; smaller errors are slewed. */
const STEP_MS = 500;

/**
 * Watches for what no peer does and no other line tells: a system clock that steps, an event loop that stood still, and
 * a process without file descriptors, where new connections are closed before anybody here sees them.
 *
 * @returns stops watching
 */
export function watchMachine(clock: Clock, crowd: Pick<CrowdLog<'warn'>, 'note'>): () => void {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  let ahead = Date.now() - clock.now();
  const look = () => {
    const lookedAt = Date.now() - clock.now();
    const step = lookedAt - ahead;
    ahead = lookedAt;
    if (Math.abs(step) >= STEP_MS) {
      const by = `${step > 0 ? '+' : '-'}${(Math.abs(step) / 1000).toFixed(1)} s`;
      crowd.note({
        level: 'warn',
        kind: 'clock',
        fields: { step: Math.round(step), ahead: Math.round(ahead) },
        message: `the system clock stepped by ${by}; dates in playlists go on from when the gateway started`,
      });
    }
    // Nanoseconds; the histogram begins anew each time.
    const blocked = delay.max / 1e6 - DELAY_RESOLUTION_MS;
    delay.reset();
    if (blocked >= BLOCKED_MS) {
      crowd.note({
        level: 'warn',
        kind: 'blocked',
        fields: { ms: Math.round(blocked) },
        message: `nothing happened for ${(blocked / 1000).toFixed(1)} s: the computer is too busy, or something blocks the process`,
      });
    }
    // Trying is the one way to know that works everywhere.
    open(fileURLToPath(import.meta.url), (error, descriptor) => {
      if (error === null) close(descriptor, () => {});
      else if (error.code === 'EMFILE' || error.code === 'ENFILE') {
        crowd.note({
          level: 'warn',
          kind: 'descriptors',
          fields: { code: 'SLUICE_DESCRIPTORS_EXHAUSTED' },
          message: 'no file descriptor is left: new connections are closed at once',
        });
      }
    });
  };
  const timer = setInterval(look, LOOK_INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}
