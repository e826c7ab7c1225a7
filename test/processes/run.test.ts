import { expect, it } from 'vitest';
import { runProgram } from '../../src/processes/run.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/until.ts';

const LIMITS = { timeoutMs: 1000, maxBytes: 1000 };

function shell(script: string, clock = new FakeClock()) {
  return runProgram({ command: '/bin/sh', args: ['-c', script], clock, ...LIMITS });
}

it('gives what a program printed', async () => {
  const clock = new FakeClock();
  const result = await shell('echo out; echo err >&2; cat; exit 3', clock);
  expect(result).toMatchObject({ code: 3, signal: null, error: null, stderr: 'err\n', ended: null });
  expect(result.stdout.toString()).toBe('out\n');
  expect(clock.pending).toBe(0);
});

it('ends what takes too long, whether it listens or not', async () => {
  const clock = new FakeClock();
  const running = shell('trap "" TERM; while :; do sleep 0.05; done', clock);
  await until('the alarm', () => clock.pending > 0);
  clock.advance(1000);
  expect(await running).toMatchObject({ ended: 'timeout', signal: 'SIGKILL' });
});

it('ends what prints without end', async () => {
  const result = await shell('while :; do echo 0123456789; done');
  expect(result).toMatchObject({ ended: 'too-much-output', signal: 'SIGKILL' });
  expect(result.stdout.length).toBeLessThanOrEqual(1000);
});

it('never rejects', async () => {
  const result = await runProgram({
    command: '/nowhere/at/all',
    args: [],
    clock: new FakeClock(),
    ...LIMITS,
  });
  expect(result).toMatchObject({ code: null, error: { code: 'ENOENT' } });
});
