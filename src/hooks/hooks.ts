import type { Clock } from '../media/clock.ts';
import { HOOK_EVENTS, type HookEvent, type HookSettings, hookCommand } from './hook-command.ts';
import { type HookOutcome, type HookRun, startHook } from './hook-run.ts';
import { JobQueue } from './job-queue.ts';
import { keepRunning, type LiveCommand } from './live-command.ts';
import { LiveCommands } from './live-commands.ts';
import type { HookValues } from './variables.ts';

const DEFAULT_TIMEOUT_S = 60;
/** `live` commands at a time. Each is a process with three pipes. */
const MAX_LIVE = 256;
const MAX_CLOSING_MS = 4000;
/** What was killed is gone by then, unless the kernel holds it; nobody waits for that. */
const KILLED_WITHIN_MS = 500;
/** Shorter parts of the query may stand in a message by chance. */
const SHORTEST_SECRET = 4;

export interface HooksOptions {
  /** Read at every event, so that changed settings hold for the next. */
  readonly settings: (app: string) => readonly HookSettings[];
  readonly clock: Clock;
  /** Something the operator should know. */
  readonly tell: (incident: HookIncident) => void;
}

export interface HookIncident {
  /** One of few: what has the same can be told together. */
  readonly kind: string;
  /** Never an argument: it may hold a secret. */
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** Commands of one event. */
export interface HookFigures {
  /** Processes; a `live` command counts again whenever it is started again. */
  readonly started: number;
  readonly failed: number;
  /** Never started, because too many were running or waiting. */
  readonly dropped: number;
  readonly running: number;
}

/** The commands of `hooks`: started when something happens to a stream, watched, and ended. */
export interface Hooks {
  /** Starts what is to run now; what belongs to one stream one after the other, in order. */
  event(values: HookValues, event: Exclude<HookEvent, 'live'>): void;
  /** Starts what runs as long as there is this publisher. The same values stand for the same publisher. */
  beginLive(values: HookValues): void;
  /** Ends what runs for a stream. */
  endLive(values: HookValues): void;
  figures(): Readonly<Record<HookEvent, HookFigures>>;
  /** Ends the `live` commands, waits until the others have ended, and kills what takes longer. */
  close(withinMs?: number): Promise<void>;
}

type Counts = Record<HookEvent, { -readonly [K in keyof HookFigures]: HookFigures[K] }>;

export function makeHooks({ settings, clock, tell }: HooksOptions): Hooks {
  const figures = Object.fromEntries(
    HOOK_EVENTS.map((event) => [event, { started: 0, failed: 0, dropped: 0, running: 0 }]),
  ) as Counts;
  const queue = new JobQueue();
  const live = new LiveCommands(clock, startLive);
  const runs = new Set<HookRun>();
  let liveCount = 0;
  let closed = false;

  const hooksOf = ({ app }: HookValues, event: HookEvent) => settings(app).filter(({ on }) => on === event);

  function start(hook: HookSettings, values: HookValues): HookRun {
    const figure = figures[hook.on];
    const command = hookCommand(hook, values);
    if (typeof command === 'string') {
      const refused: HookOutcome = { failure: `was not started: ${command}`, exitCode: null, stderr: '' };
      return { started: false, finished: Promise.resolve(refused), stop: () => {}, kill: () => {} };
    }
    const timeoutMs = hook.on === 'live' ? null : (hook.timeout ?? DEFAULT_TIMEOUT_S) * 1000;
    const run = startHook(command, timeoutMs, clock);
    if (!run.started) return run;
    runs.add(run);
    figure.started++;
    figure.running++;
    void run.finished.then(() => {
      runs.delete(run);
      figure.running--;
    });
    return run;
  }

  async function runOnce(hook: HookSettings, values: HookValues): Promise<void> {
    if (closed) {
      figures[hook.on].dropped++;
      return;
    }
    const outcome = await start(hook, values).finished;
    const killed = closed && outcome.exitCode === null;
    const failure = outcome.failure ?? (killed ? 'was killed because the gateway closes' : null);
    noteEnd(hook, values, { ...outcome, failure });
  }

  function startLive(values: HookValues): LiveCommand[] {
    return hooksOf(values, 'live').flatMap((hook) => {
      if (liveCount >= MAX_LIVE) {
        drop(hook, values);
        return [];
      }
      liveCount++;
      const command = keepRunning({
        clock,
        start: () => start(hook, values),
        onEnd: (outcome, delayMs) =>
          noteEnd(hook, values, outcome, `; it is started again in ${delayMs / 1000} s`),
      });
      return [
        {
          stop: async () => {
            await command.stop();
            liveCount--;
          },
        },
      ];
    });
  }

  function noteEnd(hook: HookSettings, values: HookValues, outcome: HookOutcome, next = ''): void {
    const { failure, exitCode, stderr } = outcome;
    if (failure === null) return;
    figures[hook.on].failed++;
    const quoted = withoutSecrets(stderr.trim(), values.args);
    const said = quoted === '' ? {} : { stderr: quoted };
    tellOf(hook, values, `hook ${hook.on} ${hook.run[0]}`, { exitCode, ...said }, `${failure}${next}`);
  }

  function drop(hook: HookSettings, values: HookValues): void {
    figures[hook.on].dropped++;
    tellOf(hook, values, 'hook dropped', {}, 'was not started: too many are running or waiting');
  }

  function tellOf(
    { on, run }: HookSettings,
    values: HookValues,
    kind: string,
    more: Record<string, unknown>,
    what: string,
  ): void {
    const fields = {
      stream: pathOf(values),
      code: 'SLUICE_HOOK_FAILED',
      event: on,
      program: run[0],
      ...more,
    };
    tell({ kind, fields, message: `the ${on} hook ${what}` });
  }

  /** @returns whether it was so in time */
  function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, () => resolve(false));
      void promise.then(() => {
        cancel();
        resolve(true);
      });
    });
  }

  return {
    event: (values, event) => {
      if (closed) return;
      for (const hook of hooksOf(values, event)) {
        if (!queue.add(pathOf(values), () => runOnce(hook, values))) drop(hook, values);
      }
    },
    beginLive: (values) => live.begin(pathOf(values), values),
    endLive: (values) => live.end(pathOf(values)),
    figures: () => figures,
    close: async (withinMs = MAX_CLOSING_MS) => {
      const ended = Promise.all([live.close(), queue.idle()]);
      const inTime = await within(withinMs, ended);
      closed = true;
      if (inTime) return;
      for (const run of runs) run.kill();
      await within(KILLED_WITHIN_MS, ended);
    },
  };
}

function pathOf({ app, name }: HookValues): string {
  return `${app}/${name}`;
}

/** Programs quote their arguments when they complain. */
function withoutSecrets(text: string, args: string): string {
  const parts = [args, ...args.split(/[&;]/).map((part) => part.slice(part.indexOf('=') + 1))];
  return parts
    .filter((part) => part.length >= SHORTEST_SECRET)
    .sort((one, other) => other.length - one.length)
    .reduce((rest, part) => rest.replaceAll(part, '***'), text);
}
