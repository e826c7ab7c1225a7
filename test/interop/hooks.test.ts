import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hashKey } from '../../src/access/stream-keys.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { isRunning, recordsFolder } from '../hooks/support/records.ts';
import { publishTestPicture, type Running, run } from '../support/ffmpeg.ts';
import { freePorts } from '../support/free-port.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { long } from '../support/long.ts';
import { startSluice } from '../support/sluice.ts';
import { publishSteadily } from '../support/steady-publisher.ts';
import { until } from '../support/until.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const KEY = 'correct-horse-battery-staple';
const TOKEN = 'a-token-nobody-may-read';

const records = recordsFolder();
const folder = mkdtempSync(join(tmpdir(), 'sluice-hooks-'));
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(() => {
  records.remove();
  rmSync(folder, { recursive: true });
});

async function gateway(config: ConfigInput): Promise<TestGateway> {
  const site = await startGateway(config);
  stops.push(site.stop);
  return site;
}

function stoppable(program: Running): Running {
  stops.push(() => program.stop());
  return program;
}

const named = (name: string) => records.read().filter(({ env }) => env.SLUICE_NAME === name);

/** Records itself, then stays, and takes no notice of polite signals. */
const STAYING = `process.on('SIGTERM', () => {});
  require('fs').appendFileSync(process.argv[1], JSON.stringify({ pid: process.pid, env: process.env }) + '\\n');
  setInterval(() => {}, 1000)`;

describe('hooks', () => {
  test('are told of a stream from its publisher to its ENDLIST, and never the stream key', async () => {
    const all = records.record(
      '$app',
      '$name',
      '?$args',
      '$addr',
      '_$flashver',
      '$swfurl',
      '$tcurl',
      '$pageurl',
    );
    const {
      rtmp,
      rtmpPort,
      log,
      streamWhen,
      gateway: sluice,
    } = await gateway({
      publish: { graceWindow: 0, keys: [{ name: 'cam', key: hashKey(KEY) }] },
      hooks: (['publish', 'ready', 'publish-done', 'ended'] as const).map((on) => ({ on, run: all })),
    });
    const origin = `rtmp://127.0.0.1:${rtmpPort}/live`;
    const encoder = stoppable(
      publishTestPicture(rtmp(`${KEY}?token=${TOKEN}`), [
        ...['-rtmp_flashver', 'An encoder 1.0'],
        ...['-rtmp_tcurl', `${origin}/${KEY}`, '-rtmp_swfurl', `${origin}/${KEY}`],
      ]),
    );
    await streamWhen('cam', ({ targetDuration }) => targetDuration !== null);
    await until('two events', () => named('cam').length === 2);
    encoder.signal('SIGINT');
    await until('four events', () => named('cam').length === 4);
    expect(named('cam').map(({ env }) => env.SLUICE_EVENT)).toEqual([
      'publish',
      'ready',
      'publish-done',
      'ended',
    ]);
    for (const { args } of named('cam')) {
      expect(args).toEqual([
        'live',
        'cam',
        `?token=${TOKEN}`,
        '127.0.0.1',
        '_An encoder 1.0',
        `${origin}/cam`,
        `${origin}/cam`,
        // ffmpeg sends no pageUrl when it publishes.
        '',
      ]);
    }
    await sluice.close();
    expect(JSON.stringify(records.read())).not.toContain(KEY);
    expect(JSON.stringify(log)).not.toMatch(new RegExp(`${KEY}|${TOKEN}`));
    expect(log.filter(({ fields }) => fields.code === 'SLUICE_HOOK_FAILED')).toEqual([]);
  });

  test('that hang, crash or cannot be started cost the stream nothing and are in the metrics', async () => {
    const { rtmp, streamWhen, httpUrl, log } = await gateway({
      publish: { graceWindow: 0 },
      hooks: [
        { on: 'publish', run: ['/nowhere/at-all', '$args'] },
        { on: 'publish', run: [process.execPath, '-e', STAYING, String(records.record()[2])], timeout: 1 },
        {
          on: 'live',
          run: [process.execPath, '-e', 'console.error(process.argv[1]); process.exit(9)', '$args'],
        },
        { on: 'ready', run: records.record() },
      ],
    });
    const encoder = stoppable(publishTestPicture(rtmp(`hard?token=${TOKEN}`)));
    const lines = await until(
      'the failures',
      () => {
        const found = log.filter(({ fields }) => fields.code === 'SLUICE_HOOK_FAILED');
        return found.some(({ message }) => message.includes('took longer')) && found;
      },
      20_000,
    );
    expect(lines[0]?.message).toBe('the publish hook cannot be started (ENOENT)');
    const [hanging] = named('hard');
    await until('the hook after the one that hung', () => named('hard').length === 2);
    expect(isRunning(hanging?.pid ?? 0)).toBe(false);
    await streamWhen('hard', ({ uptime, bitrate }) => uptime > 6 && bitrate > 0);
    const text = await (await fetch(`${httpUrl}metrics`)).text();
    expect(text).toContain('sluice_hooks_failed_total{event="publish"} 2');
    expect(text).toContain('sluice_hooks_running{event="publish"} 0');
    expect(Number(/sluice_hooks_failed_total\{event="live"\} (\d+)/.exec(text)?.[1])).toBeGreaterThan(1);
    expect(JSON.stringify(log)).not.toContain(TOKEN);
    encoder.signal('SIGINT');
    await encoder.exited;
  });

  long('restream to another server as long as there is a publisher, as docs/hooks.md shows', async () => {
    const far = await gateway({ publish: { graceWindow: 0 } });
    const [httpPort = 0] = await freePorts(1);
    const near = await gateway({
      http: { port: httpPort },
      hooks: [
        {
          on: 'live',
          run: [
            ...[
              'ffmpeg',
              '-nostdin',
              '-v',
              'error',
              '-i',
              `http://127.0.0.1:${httpPort}/hls/$app/$name.m3u8`,
            ],
            ...['-c', 'copy', '-f', 'flv', `rtmp://127.0.0.1:${far.rtmpPort}/$app/copy-of-$name`],
          ],
        },
      ],
    });
    const encoder = stoppable(publishTestPicture(near.rtmp('cam')));
    await far.streamWhen('copy-of-cam', ({ targetDuration }) => targetDuration !== null, 40_000);
    expect(near.log.filter(({ fields }) => fields.code === 'SLUICE_HOOK_FAILED')).toEqual([]);
    await encoder.stop();
    await until('the end of the copy', async () => (await far.stream('copy-of-cam'))?.state !== 'live');
  });
});

describe('kill -9 of the gateway', () => {
  beforeAll(async () => {
    await run('npm', ['run', 'build'], { cwd: ROOT });
  }, 120_000);

  test('leaves no command behind once it is started again', async () => {
    const [rtmpPort = 0, httpPort = 0] = await freePorts(2);
    const file = join(folder, 'sluice.json');
    const hook = [process.execPath, '-e', STAYING, String(records.record()[2])];
    writeFileSync(
      file,
      JSON.stringify({
        host: '127.0.0.1',
        rtmp: { port: rtmpPort },
        http: { port: httpPort },
        storage: { directory: join(folder, 'state') },
        hooks: [{ on: 'live', run: hook }],
      }),
    );
    const startOne = () => {
      const program = startSluice(['--config', file]);
      stops.push(() => program.stop());
      return program;
    };
    const first = startOne();
    await first.ready;
    const publisher = publishSteadily({ port: rtmpPort, key: 'orphan' });
    stops.push(() => publisher.stop());
    const [command] = await until('the command', () => named('orphan').length > 0 && named('orphan'));
    const pid = command?.pid ?? 0;
    first.signal('SIGKILL');
    await first.exited;
    expect(isRunning(pid)).toBe(true);
    const second = startOne();
    await second.ready;
    await until('the end of the old command', () => !isRunning(pid));
    await until('a line', () => second.log.find(({ msg }) => msg.includes('that was killed')));
    // The stream goes on, and with it a new command.
    const [, next] = await until('the new command', () => named('orphan').length > 1 && named('orphan'));
    await publisher.stop();
    second.signal('SIGTERM');
    expect(await second.exited).toMatchObject({ code: 0 });
    expect(isRunning(next?.pid ?? 0)).toBe(false);
  });
});
