import { close, open } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../media/clock.ts';
import { ERRORS } from '../media/errors.ts';
import type { CrowdLog } from './crowd-log.ts';
import { lacksDescriptors } from './descriptors.ts';

const LOOK_INTERVAL_MS = 1000;
/** Finer than the shortest block worth a line, and ten wake-ups a second. */
const BEAT_MS = 100;
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
  // Node's monitorEventLoopDelay forgets with each reset when it last looked, and with that a block now and then.
  let beatAt = performance.now();
  let longest = 0;
  const beat = () => {
    const now = performance.now();
    longest = Math.max(longest, now - beatAt - BEAT_MS);
    beatAt = now;
  };
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
    const blocked = longest;
    longest = 0;
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
      else if (lacksDescriptors(error)) {
        crowd.note({
          level: 'warn',
          kind: 'descriptors',
          fields: { code: 'SLUICE_DESCRIPTORS_EXHAUSTED', fix: ERRORS.SLUICE_DESCRIPTORS_EXHAUSTED },
          message: 'no file descriptor is left: new connections are closed at once',
        });
      }
    });
  };
  const timers = [setInterval(beat, BEAT_MS), setInterval(look, LOOK_INTERVAL_MS)];
  for (const timer of timers) timer.unref();
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}
