import { closeSync, openSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Child, type ChildOptions, startChild } from '../../src/processes/child.ts';
import { until } from '../support/until.ts';
import { makeFolder, processStat, writeProgram } from './support.ts';

const folder = makeFolder();

function shell(script: string, options: Partial<ChildOptions> = {}): Child {
  return startChild({ command: '/bin/sh', args: ['-c', script], ...options });
}

function collect(child: Child, index = 0): { readonly text: string } {
  let text = '';
  child.outputs[index]?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return {
    get text() {
      return text;
    },
  };
}

/** Waits for the first line a child prints. */
async function firstLine(child: Child): Promise<string> {
  const output = collect(child);
  return until('a line', () => /^(.*)\n/.exec(output.text)?.[1]);
}

describe('a child', () => {
  it('reads its input and writes to all its outputs', async () => {
    const child = shell('cat; echo three >&3; echo four >&4; echo errors >&2', { extraOutputs: 2 });
    const outputs = [collect(child), collect(child, 1), collect(child, 2)];
    child.stdin.end('one\n');
    expect(await child.exited).toEqual({ code: 0, signal: null, error: null });
    expect(outputs.map(({ text }) => text)).toEqual(['one\n', 'three\n', 'four\n']);
    expect(child.stderr).toBe('errors\n');
  });

  it('takes its arguments as they are', async () => {
    const child = startChild({ command: '/bin/echo', args: ['$HOME', '; exit 3', '*'] });
    const output = collect(child);
    await child.exited;
    expect(output.text).toBe('$HOME ; exit 3 *\n');
  });

  it('has the environment of this process and more, without what configures the gateway', async () => {
    process.env.SLUICE_API_TOKEN = 'secret';
    const child = shell('echo "$PATH $EXTRA$SLUICE_API_TOKEN"', { env: { EXTRA: 'a b' } });
    const output = collect(child);
    await child.exited;
    expect(output.text).toBe(`${process.env.PATH} a b\n`);
  });

  it('tells its code and its signal', async () => {
    expect(await shell('exit 7').exited).toMatchObject({ code: 7, signal: null });
    expect(await shell('kill -9 $$').exited).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it('stands behind others', async () => {
    const child = shell('echo ready; cat', { niceness: 7 });
    await firstLine(child);
    expect(processStat(child.pid ?? 0)?.[16]).toBe('7');
    await child.stop();
  });

  it('may close its input before it got everything', async () => {
    const child = shell('exec 0<&-; echo closed; sleep 0.1');
    await firstLine(child);
    child.stdin.write(Buffer.alloc(1 << 20));
    expect(await child.exited).toMatchObject({ code: 0 });
    child.stdin.write('too late');
  });

  it('may write any amount to stderr that nobody reads', async () => {
    const child = shell('head -c 50000000 /dev/zero | tr "\\0" x >&2; echo the end >&2');
    await child.exited;
    expect(child.stderr).toHaveLength(8192);
    expect(child.stderr.endsWith('xxxthe end\n')).toBe(true);
  });
});

describe('a child that cannot be started', () => {
  it.each([
    ['is not there', `${folder}/nothing`, 'ENOENT'],
    ['may not be executed', writeProgram(folder, 'plain', 'true', 0o644), 'EACCES'],
    ['is a folder', folder, 'EACCES'],
  ])('%s', async (_, command, code) => {
    const child = startChild({ command, args: [], extraOutputs: 1 });
    expect(child.pid).toBeNull();
    child.stdin.write('nobody reads this');
    child.stdin.end();
    expect(await child.exited).toMatchObject({ code: null, signal: null, error: { code } });
    expect(await child.stop()).toMatchObject({ error: { code } });
  });

  it.each([
    ['too long', ['x'.repeat(4 << 20)], 'E2BIG'],
    ['with a zero byte', ['a\0b'], 'ERR_INVALID_ARG_VALUE'],
  ])('arguments %s', async (_, args, code) => {
    const child = startChild({ command: '/bin/echo', args, extraOutputs: 2 });
    expect(child.pid).toBeNull();
    expect(child.outputs).toHaveLength(3);
    child.stdin.write('nobody reads this');
    expect(await child.exited).toMatchObject({ code: null, error: { code } });
    await child.kill();
  });

  it('no descriptor is left', async () => {
    // Whoever has this file open has all of them: the limit of a process cannot be lowered from inside.
    const taken: number[] = [];
    const child = await withoutDescriptors(taken, () =>
      startChild({ command: '/bin/true', args: [], extraOutputs: 1 }),
    );
    expect(child.pid).toBeNull();
    child.stdin.write('nobody reads this');
    expect(child.outputs).toHaveLength(2);
    expect(await child.exited).toMatchObject({ error: { code: 'EMFILE' } });
  });
});

/** Runs something while this process can open nothing more. */
async function withoutDescriptors<T>(taken: number[], run: () => T): Promise<T> {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    return run();
  } finally {
    for (const descriptor of taken) closeSync(descriptor);
  }
}

describe('stopping', () => {
  it('asks politely first', async () => {
    const child = shell('trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done');
    const output = collect(child);
    await until('the start', () => output.text.includes('ready'));
    expect(await child.stop()).toMatchObject({ code: 5 });
    expect(output.text).toContain('bye');
  });

  it('kills what does not listen, and all it started', async () => {
    const child = shell('trap "" TERM; sleep 1000 & echo $!; while :; do sleep 0.05; done', {
      patienceMs: 100,
    });
    const grandchild = Number(await firstLine(child));
    expect(processStat(grandchild)).not.toBeNull();
    expect(await child.stop()).toMatchObject({ signal: 'SIGKILL' });
    await until('the end of the grandchild', () => processStat(grandchild) === null);
  });

  it('works at once after the start', async () => {
    expect(await shell('exec sleep 1000').stop()).toMatchObject({ signal: 'SIGTERM' });
    expect(await shell('exec sleep 1000').kill()).toMatchObject({ signal: 'SIGKILL' });
  });

  it('also ends one that is paused', async () => {
    const child = shell('echo ready; kill -STOP $$', { patienceMs: 50 });
    await firstLine(child);
    expect(await child.stop()).toMatchObject({ signal: 'SIGKILL' });
  });

  it('can be asked for more than once, and afterwards', async () => {
    const child = shell('exec sleep 1000');
    const exits = await Promise.all([child.stop(), child.stop(), child.kill()]);
    expect(new Set(exits).size).toBe(1);
    expect(await child.stop()).toBe(exits[0]);
    expect(await child.kill()).toBe(exits[0]);
  });

  it('is the end of what a child leaves behind when it ends by itself', async () => {
    const child = shell('sleep 1000 & echo $!');
    const grandchild = Number(await firstLine(child));
    expect(await child.exited).toMatchObject({ code: 0 });
    await until('the end of the grandchild', () => processStat(grandchild) === null);
  });
});

it('does not wait for ever for pipes that something outside its group holds', async () => {
  const child = shell("setsid sh -c 'echo $$; exec sleep 1000' & read line", { patienceMs: 300 });
  const stray = Number(await firstLine(child));
  child.stdin.write('\n');
  expect(await child.exited).toMatchObject({ code: 0 });
  process.kill(stray, 'SIGKILL');
});

it('200 children leave no descriptor and no process behind', async () => {
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const cycle = async () => {
    const child = shell('exec cat', { extraOutputs: 2 });
    for (const output of child.outputs) output.resume();
    child.stdin.write('x');
    return child.kill();
  };
  await cycle();
  const before = descriptors();
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 10 }, cycle));
  await until('the descriptors to be closed', () => descriptors() <= before);
  const children = readdirSync('/proc').filter(
    (name) => processStat(Number(name))?.[1] === String(process.pid),
  );
  expect(children).toEqual([]);
});
