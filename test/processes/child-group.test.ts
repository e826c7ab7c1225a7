import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startChild } from '../../src/processes/child.ts';
import { until } from '../support/until.ts';

const node = (code: string, ...args: string[]) => ({
  command: process.execPath,
  args: ['-e', code, ...args],
});

const STAY = 'setInterval(() => {}, 1000)';
/** Starts another that stays, without a pipe to us, prints its number, and ends. */
const LEAVES_ONE = `const one = require('child_process').spawn(process.execPath, ['-e', process.argv[1]], {stdio: 'ignore'});
  console.error(one.pid); one.unref()`;

describe('a child', () => {
  it('takes with it what it has started', async () => {
    const child = startChild(node(LEAVES_ONE, STAY));
    expect(await child.exited).toMatchObject({ code: 0 });
    const left = Number(child.stderr);
    expect(left).toBeGreaterThan(1);
    await until('its end', () => !existsSync(`/proc/${left}`));
  });

  it('that takes no notice is killed at once when asked for', async () => {
    const child = startChild(node(`process.on('SIGTERM', () => {}); console.error('up'); ${STAY}`));
    await until('it is up', () => child.stderr.includes('up'));
    void child.stop();
    const startedAt = performance.now();
    expect(await child.kill()).toMatchObject({ signal: 'SIGKILL' });
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });

  it.each([
    ['arguments too long', { command: process.execPath, args: ['x'.repeat(300_000)] }, 'E2BIG'],
    ['a NUL in an argument', { command: process.execPath, args: ['\0'] }, 'ERR_INVALID_ARG_VALUE'],
    ['no such program', { command: '/nowhere', args: [] }, 'ENOENT'],
  ])('that cannot be started for %s says so', async (_, options, code) => {
    const child = startChild({ ...options, extraOutputs: 1 });
    expect(child.outputs).toHaveLength(2);
    child.stdin.end('lost');
    for (const output of child.outputs) output.resume();
    expect(await child.exited).toMatchObject({ code: null, signal: null, error: { code } });
    expect(await child.stop()).toMatchObject({ error: { code } });
    expect(child.pid).toBeNull();
  });
});
