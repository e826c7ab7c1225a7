import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { startChild } from '../../src/processes/child.ts';
import { endOrphans, ownerMark } from '../../src/processes/orphans.ts';
import { type Running, start } from '../support/ffmpeg.ts';
import { until } from '../support/until.ts';

const STAY = 'console.log("up"); setInterval(() => {}, 1000)';
const STUBBORN = `process.on('SIGTERM', () => {}); ${STAY}`;

const started: Running[] = [];
afterEach(() => Promise.all(started.splice(0).map((program) => program.stop())));

async function startNode(code: string, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const program = start(process.execPath, ['-e', code], { env: { ...process.env, ...env } });
  started.push(program);
  await until('that it is up', () => program.stdout.includes('up'));
  return program;
}

/** A process that stands for a gateway, and its mark. */
async function startOwner() {
  const owner = await startNode(`console.log(process.pid, 'up'); ${STAY}`);
  const pid = Number.parseInt(owner.stdout, 10);
  const startedAt = readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ')[21];
  const space = ownerMark().SLUICE_OWNER?.split('.').slice(2).join('.');
  return { owner, pid, startedAt, space, mark: { SLUICE_OWNER: `${pid}.${startedAt}.${space}` } };
}

describe.skipIf(!existsSync('/proc/self/environ'))('orphans', () => {
  it('of a process that was killed are ended, with patience; those of living ones are not', async () => {
    const [killed, living] = [await startOwner(), await startOwner()];
    const polite = await startNode(STAY, killed.mark);
    const stubborn = await startNode(STUBBORN, killed.mark);
    const others = [await startNode(STAY, living.mark), await startNode(STAY, { SLUICE_OWNER: '' })];
    const own = startChild({ command: process.execPath, args: ['-e', STAY] });
    await killed.owner.stop();
    // Of other programs of this user there may be some too.
    expect(await endOrphans(500)).toBeGreaterThanOrEqual(2);
    expect((await polite.exited).signal).toBe('SIGTERM');
    expect((await stubborn.exited).signal).toBe('SIGKILL');
    expect(others.map(({ isRunning }) => isRunning)).toEqual([true, true]);
    expect(existsSync(`/proc/${own.pid}`)).toBe(true);
    await own.kill();
  });

  it('are known by more than a number: it may be taken again, or belong elsewhere', async () => {
    const { owner, pid, startedAt, space } = await startOwner();
    const reused = await startNode(STAY, { SLUICE_OWNER: `${pid}.${Number(startedAt) - 1}.${space}` });
    const elsewhere = await startNode(STAY, { SLUICE_OWNER: `${pid}.1.1.${space?.split('.')[1]}` });
    const installed = await startNode(STAY, {
      SLUICE_OWNER: `${pid}.1.${space?.split('.')[0]}.0123456789ab`,
    });
    const nonsense = await startNode(STAY, { SLUICE_OWNER: `../${pid}.1.${space}` });
    expect(await endOrphans(500)).toBeGreaterThanOrEqual(1);
    expect((await reused.exited).signal).toBe('SIGTERM');
    expect([owner, elsewhere, installed, nonsense].filter(({ isRunning }) => !isRunning)).toEqual([]);
  });
});

describe('a child', () => {
  it.skipIf(!existsSync('/proc/self/environ'))('carries the mark, and so does what it starts', async () => {
    const code = `console.error(require('child_process').execFileSync(process.execPath, ['-p', 'process.env.SLUICE_OWNER'], { encoding: 'utf8' }))`;
    const child = startChild({ command: process.execPath, args: ['-e', code] });
    await child.exited;
    expect(child.stderr.trim()).toMatch(/^\d+\.\d+\.\d+\.[\da-f]+$/);
    expect(child.stderr.trim()).toBe(ownerMark().SLUICE_OWNER);
  });
});
