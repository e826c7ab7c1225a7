import { describe, expect, it } from 'vitest';
import type { HookOutcome } from '../../src/hooks/hook-run.ts';
import { keepRunning } from '../../src/hooks/live-command.ts';
import { LiveCommands } from '../../src/hooks/live-commands.ts';
import { FakeClock } from '../support/fake-clock.ts';

const FAILED: HookOutcome = { failure: 'ended with 1', exitCode: 1, stderr: '' };

/** Commands without processes. */
function rig() {
  const clock = new FakeClock();
  const delays: number[] = [];
  const open: ((outcome: HookOutcome) => void)[] = [];
  let starts = 0;
  let stops = 0;
  const begin = () =>
    keepRunning({
      clock,
      start: () => {
        starts++;
        let end = (_: HookOutcome) => {};
        const finished = new Promise<HookOutcome>((resolve) => {
          end = resolve;
        });
        open.push(end);
        return { started: true, finished, stop: () => void stops++, kill: () => {} };
      },
      onEnd: (_, delayMs) => delays.push(delayMs),
    });
  return {
    clock,
    delays,
    begin,
    get starts() {
      return starts;
    },
    get stops() {
      return stops;
    },
    end: async (outcome = FAILED) => {
      open.shift()?.(outcome);
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    },
  };
}

describe('a command that is kept running', () => {
  it('is started again later and later', async () => {
    const all = rig();
    all.begin();
    for (let failures = 1; failures <= 8; failures++) {
      expect(all.starts).toBe(failures);
      await all.end();
      all.clock.advance((all.delays.at(-1) ?? 0) - 1);
      expect(all.starts).toBe(failures);
      all.clock.advance(1);
    }
    expect(all.delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('is started again soon after it worked for a minute, also when it ended well', async () => {
    const all = rig();
    all.begin();
    await all.end();
    all.clock.advance(1000);
    await all.end();
    all.clock.advance(2000);
    all.clock.advance(60_000);
    await all.end({ failure: null, exitCode: 0, stderr: '' });
    expect(all.delays).toEqual([1000, 2000, 1000]);
    all.clock.advance(1000);
    expect(all.starts).toBe(4);
  });

  it('is not started again once it was stopped', async () => {
    const running = rig();
    const stopping = running.begin().stop();
    expect(running.stops).toBe(1);
    await running.end();
    await stopping;
    const waiting = rig();
    const command = waiting.begin();
    await waiting.end();
    await command.stop();
    for (const { clock, starts } of [running, waiting]) {
      expect(clock.pending).toBe(0);
      expect(starts).toBe(1);
    }
  });
});

describe('the commands of a stream', () => {
  function streams() {
    const clock = new FakeClock();
    const log: string[] = [];
    const ends: (() => void)[] = [];
    const commands = new LiveCommands<string>(clock, (publication) => {
      log.push(`start ${publication}`);
      return [
        {
          stop: () => {
            log.push(`stop ${publication}`);
            return new Promise((resolve) => void ends.push(resolve));
          },
        },
      ];
    });
    const end = async () => {
      ends.shift()?.();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    };
    return { clock, log, commands, end };
  }

  it('of the next publisher wait until those of the last are gone', async () => {
    const { clock, log, commands, end } = streams();
    commands.begin('live/a', 'one');
    clock.advance(5000);
    commands.end('live/a');
    commands.begin('live/a', 'two');
    commands.begin('live/b', 'other');
    expect(log).toEqual(['start one', 'stop one', 'start other']);
    await end();
    expect(log.at(-1)).toBe('start two');
  });

  it('do not start for who has left meanwhile, and not oftener than once a second', async () => {
    const { clock, log, commands, end } = streams();
    commands.begin('live/a', 'one');
    commands.end('live/a');
    commands.begin('live/a', 'two');
    commands.end('live/a');
    commands.begin('live/a', 'three');
    await end();
    clock.advance(999);
    await end();
    expect(log).toEqual(['start one', 'stop one']);
    clock.advance(1);
    await end();
    expect(log).toEqual(['start one', 'stop one', 'start three']);
  });

  it('end when all is closed, and none starts any more', async () => {
    const { log, commands, end } = streams();
    commands.begin('live/a', 'one');
    commands.begin('live/b', 'two');
    let closed = false;
    const closing = commands.close().then(() => {
      closed = true;
    });
    commands.begin('live/c', 'three');
    await end();
    expect(closed).toBe(false);
    await end();
    await closing;
    expect(log).toEqual(['start one', 'start two', 'stop one', 'stop two']);
    await commands.close();
  });
});
