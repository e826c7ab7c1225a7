// biome-ignore-all lint/suspicious/noTemplateCurlyInString: programs for children
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { HookSettings } from '../../src/hooks/hook-command.ts';
import { type HookIncident, makeHooks } from '../../src/hooks/hooks.ts';
import { systemClock } from '../../src/servers/system-clock.ts';
import { until } from '../support/until.ts';
import { isRunning, recordsFolder } from './support/records.ts';
import { values } from './support/values.ts';

const records = recordsFolder();
afterAll(records.remove);

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const CAM = values({ name: 'cam' });

function rig(settings: readonly HookSettings[]) {
  const told: HookIncident[] = [];
  const hooks = makeHooks({
    settings: (app) => (app === 'live' ? settings : []),
    clock: systemClock,
    tell: (incident) => void told.push(incident),
  });
  closing.push(() => hooks.close(0));
  return { hooks, told, firstTold: () => until('a line', () => told[0]) };
}

/** A command that is a line of JavaScript. */
function node(code: string, ...args: string[]): string[] {
  return [process.execPath, '-e', code, ...args];
}

/** Records itself and stays, whatever it is told. */
const STUBBORN = node(
  "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);" +
    "require('fs').appendFileSync(process.argv[1], JSON.stringify({ pid: process.pid, env: process.env }) + '\\n')",
  String(records.record()[2]),
);

const named = (event: string) => records.read().filter(({ env }) => env.SLUICE_NAME === event);

describe('hooks of an event', () => {
  it('are run with the values as arguments and in the environment', async () => {
    const { hooks, told } = rig([
      { on: 'publish', run: records.record('$app', '$name', 'x$args', '$clientid') },
      { on: 'publish-done', run: records.record('never') },
    ]);
    const stream = values({ name: 'args', args: 'a=1 2; $(reboot)"\'\\', clientid: '7' });
    hooks.event(stream, 'publish');
    hooks.event({ ...stream, app: 'other' }, 'publish');
    const [run] = await until('a record', () => named('args').length > 0 && named('args'));
    expect(run?.args).toEqual(['live', 'args', 'xa=1 2; $(reboot)"\'\\', '7']);
    expect(run?.env).toMatchObject({ SLUICE_EVENT: 'publish', SLUICE_ARGS: 'a=1 2; $(reboot)"\'\\' });
    await hooks.close();
    expect(named('args')).toHaveLength(1);
    expect(hooks.figures().publish).toEqual({ started: 1, failed: 0, dropped: 0, running: 0 });
    expect(told).toEqual([]);
  });

  it('come in the order of the events of a stream', async () => {
    const slow = node(
      "setTimeout(() => require('fs').appendFileSync(process.argv[1], JSON.stringify({env: process.env}) + '\\n'), 300)",
      String(records.record()[2]),
    );
    const { hooks } = rig([
      { on: 'publish', run: slow },
      { on: 'ready', run: records.record() },
      { on: 'publish-done', run: records.record() },
    ]);
    const stream = values({ name: 'order' });
    hooks.event(stream, 'publish');
    hooks.event(stream, 'ready');
    hooks.event(stream, 'publish-done');
    await until('all records', () => named('order').length === 3);
    expect(named('order').map(({ env }) => env.SLUICE_EVENT)).toEqual(['publish', 'ready', 'publish-done']);
  });

  it('that fail are told with what they said, but not with what the publisher said', async () => {
    const code = 'console.error(`cannot reach ${process.argv[1]}, no use in s3cret-token`); process.exit(3)';
    const { hooks, firstTold } = rig([{ on: 'ready', run: node(code, 'http://x/?$args') }]);
    hooks.event(values({ name: 'cam', args: 'user=1&token=s3cret-token' }), 'ready');
    expect(await firstTold()).toEqual({
      kind: `hook ready ${process.execPath}`,
      fields: {
        stream: 'live/cam',
        code: 'SLUICE_HOOK_FAILED',
        event: 'ready',
        program: process.execPath,
        exitCode: 3,
        stderr: 'cannot reach http://x/?***, no use in ***',
      },
      message: 'the ready hook ended with 3',
    });
    expect(hooks.figures().ready).toEqual({ started: 1, failed: 1, dropped: 0, running: 0 });
  });

  it.each([
    ['is not there', ['/nowhere/at-all'], 'cannot be started (ENOENT)'],
    ['may not be run', ['/etc/passwd'], 'cannot be started (EACCES)'],
    ['has too much to be told', [process.execPath, 'x'.repeat(200_000)], 'cannot be started (E2BIG)'],
    [
      'would take a value for an option',
      ['rm', '$name'],
      'was not started: the value of $name begins with a dash, so the program would take it for an option',
    ],
  ])('whose program %s fail', async (_, run, failure) => {
    const { hooks, firstTold } = rig([{ on: 'publish', run }]);
    hooks.event(values({ name: '-rf' }), 'publish');
    const { fields, message } = await firstTold();
    expect(message).toBe(`the publish hook ${failure}`);
    expect(JSON.stringify(fields)).not.toContain('xxx');
    expect(hooks.figures().publish).toEqual({ started: 0, failed: 1, dropped: 0, running: 0 });
  });

  it('that print a gigabyte cost no memory', async () => {
    const code =
      'const {writeSync} = require("fs"); const b = Buffer.alloc(1 << 16, 120);' +
      'const put = (fd, n) => { while (n > 0) try { n -= writeSync(fd, b) } catch {} };' +
      'put(1, 1e9); put(2, 1e8); writeSync(2, "the end"); process.exitCode = 1';
    const { hooks, told } = rig([{ on: 'ended', run: node(code) }]);
    const before = process.memoryUsage().rss;
    let most = 0;
    hooks.event(CAM, 'ended');
    await until(
      'its end',
      () => {
        most = Math.max(most, process.memoryUsage().rss);
        return told.length > 0;
      },
      25_000,
    );
    expect(told[0]?.fields.stderr).toMatch(/^x{400,}the end$/);
    expect(String(told[0]?.fields.stderr).length).toBeLessThanOrEqual(500);
    expect(most - before).toBeLessThan(200e6);
  });

  it('that hang are ended after their time, with what they have started', async () => {
    const child = "setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit())";
    const code = `const {pid} = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}]); console.error(pid); setInterval(() => {}, 1000)`;
    const { hooks, firstTold } = rig([{ on: 'publish', run: node(code), timeout: 1 }]);
    hooks.event(CAM, 'publish');
    const { fields, message } = await firstTold();
    expect(message).toBe('the publish hook took longer than 1 s');
    const pid = Number(fields.stderr);
    expect(pid).toBeGreaterThan(1);
    await until('the end of its child', () => !isRunning(pid));
    expect(hooks.figures().publish).toMatchObject({ failed: 1, running: 0 });
  });

  it('are dropped and counted beyond what may wait', async () => {
    const { hooks, told } = rig([{ on: 'publish', run: node('setInterval(() => {}, 1000)') }]);
    for (let count = 0; count < 40; count++) hooks.event(CAM, 'publish');
    expect(hooks.figures().publish).toEqual({ started: 1, failed: 0, dropped: 7, running: 1 });
    expect(new Set(told.map(({ kind }) => kind))).toEqual(new Set(['hook dropped']));
    await hooks.close(0);
    expect(hooks.figures().publish).toMatchObject({ started: 1, dropped: 39, running: 0 });
  });
});

describe('a live hook', () => {
  it('runs until its publisher leaves', async () => {
    const { hooks } = rig([{ on: 'live', run: node('setInterval(() => {}, 1000)') }]);
    hooks.beginLive(CAM);
    expect(hooks.figures().live).toMatchObject({ started: 1, running: 1 });
    hooks.endLive(CAM);
    await until('its end', () => hooks.figures().live.running === 0);
    expect(hooks.figures().live).toEqual({ started: 1, failed: 0, dropped: 0, running: 0 });
  });

  it('that ends by itself is started again, and each time is told', async () => {
    const { hooks, told } = rig([{ on: 'live', run: node('process.exit(5)') }]);
    hooks.beginLive(CAM);
    await until('a second failure', () => told.length === 2);
    expect(told.map(({ message }) => message)).toEqual([
      'the live hook ended with 5; it is started again in 1 s',
      'the live hook ended with 5; it is started again in 2 s',
    ]);
    hooks.endLive(CAM);
    await hooks.close();
    expect(hooks.figures().live).toEqual({ started: 2, failed: 2, dropped: 0, running: 0 });
  });
});

describe('closing', () => {
  it('waits for what runs, and starts what waits for that', async () => {
    const { hooks } = rig([
      { on: 'publish', run: node('setTimeout(() => {}, 500)') },
      { on: 'publish-done', run: records.record() },
    ]);
    const stream = values({ name: 'closing' });
    hooks.event(stream, 'publish');
    hooks.event(stream, 'publish-done');
    await hooks.close();
    expect(named('closing')).toHaveLength(1);
    hooks.event(stream, 'publish-done');
    expect(hooks.figures()['publish-done']).toMatchObject({ started: 1, dropped: 0 });
  });

  it('kills what takes too long, and starts nothing any more', async () => {
    const { hooks, told } = rig([
      { on: 'publish', run: STUBBORN },
      { on: 'live', run: STUBBORN },
      { on: 'publish-done', run: records.record() },
    ]);
    const stream = values({ name: 'late' });
    hooks.event(stream, 'publish');
    hooks.event(stream, 'publish-done');
    hooks.beginLive(stream);
    const running = await until('two records', () => named('late').length === 2 && named('late'));
    const startedAt = performance.now();
    await hooks.close(500);
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect(told.map(({ message }) => message)).toEqual([
      'the publish hook was killed because the gateway closes',
    ]);
    await until('their end', () => !running.some(({ pid }) => isRunning(pid)));
    expect(hooks.figures()).toMatchObject({
      publish: { started: 1, failed: 1, running: 0 },
      'publish-done': { started: 0, dropped: 1 },
      live: { started: 1, failed: 0, running: 0 },
    });
    expect(named('late')).toHaveLength(2);
  });
});
