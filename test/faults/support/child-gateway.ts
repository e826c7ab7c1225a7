import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { rawRequest } from '../../support/hls-validator/validator.ts';
import { type Exposition, readExposition } from '../../support/prometheus-text.ts';
import { until } from '../../support/until.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** As in Dockerfile and deploy/sluice.service: without them glibc keeps more of what a crowd needed. */
const SHIPPED_MALLOC = {
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_ARENA_MAX: '2',
};
const HOOK = new URL('./child-hook.js', import.meta.url).href;
const WARN = 40;

/** One line of the log as pino writes it. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly code?: string;
  readonly stream?: string;
  readonly peer?: string;
  readonly count?: number;
  readonly reason?: string;
  /** How many segments. */
  readonly lost?: number;
  /** How many were deleted. */
  readonly files?: number;
}

/** What a process has. */
export interface Level {
  /** Bytes that are referenced: JavaScript heap and buffers right after a garbage collection. */
  readonly held: number;
  /** Resident set in bytes, by /proc. */
  readonly resident: number;
  readonly descriptors: number;
}

/** The `sluice` command in a process of its own. */
export interface ChildGateway {
  readonly rtmpPort: number;
  readonly httpPort: number;
  /** Everything logged so far. */
  readonly log: readonly LogLine[];
  /** Warnings and errors. */
  readonly warnings: readonly LogLine[];
  /** Address of a stream's multivariant playlist. */
  hls(name: string): string;
  /** What `/metrics` says now. */
  metrics(): Promise<Exposition>;
  level(): Promise<Level>;
  /** Waits until the process has no more than it had. @throws Error that says what it still has */
  expectLevel(before: Level, tolerance: Tolerance): Promise<void>;
  stepClock(ms: number): Promise<void>;
  /** Lets every change of a file fail with this code, or none again. */
  breakDisk(code: 'ENOSPC' | 'EIO' | 'EROFS' | null): Promise<void>;
  /**
   * Lets the alarms ring now that were set to ring so long after.
   *
   * @returns how many there were
   */
  ring(ms: number): Promise<number>;
  /** Stops the event loop for so long. */
  block(ms: number): Promise<void>;
  /** Lowers or raises how many descriptors the process may have open. */
  limitDescriptors(most: number): void;
  /** Ends it as an operator does. @throws Error when it does not end well */
  stop(): Promise<void>;
}

export interface Tolerance {
  /** Bytes. */
  readonly held: number;
  /** V8 and the C library give memory back late and in part. */
  readonly resident: number;
  readonly withinMs: number;
}

/** @param descriptors how many files and connections it may have open; as many as this process when absent */
export async function startChild(config: ConfigInput = {}, descriptors?: number): Promise<ChildGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
  const file = join(folder, 'sluice.json');
  writeFileSync(
    file,
    JSON.stringify({
      ...config,
      host: '127.0.0.1',
      rtmp: { port: 0, ...config.rtmp },
      http: { port: 0, ...config.http },
      // Of nobody else's streams, and to nobody else's.
      storage: { directory: join(folder, 'state'), ...config.storage },
    }),
  );
  const args = ['--expose-gc', '--import', HOOK, join(ROOT, 'dist/cli.js'), '--config', file];
  const program = [process.execPath, ...args];
  const command = descriptors === undefined ? 'env' : 'prlimit';
  const limit = descriptors === undefined ? [] : [`--nofile=${descriptors}`];
  const child = spawn(command, [...limit, ...program], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...SHIPPED_MALLOC },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'close').finally(() => {
    process.off('exit', kill);
    rmSync(folder, { recursive: true });
  });

  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the gateway has no output');
  let screen = '';
  stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
  });
  const log: LogLine[] = [];
  let strays = '';
  let rest = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('{')) log.push(JSON.parse(line) as LogLine);
      else strays += `${line}\n`;
    }
  });
  await until('the start screen', () => {
    if (child.exitCode !== null) throw new Error(`the gateway gave up: ${strays}`);
    return screen.includes('HLS ');
  });
  const rtmpPort = Number(/rtmp:\/\/[^:]+:(\d+)/.exec(screen)?.[1]);
  const httpPort = Number(/http:\/\/[^:]+:(\d+)/.exec(screen)?.[1]);
  const pid = child.pid ?? 0;

  let questions = 0;
  const ask = (command: string, value?: number | string | null) =>
    new Promise<number>((resolve, reject) => {
      void exited.then(() => reject(new Error(`the gateway is gone: ${strays}`)));
      const id = ++questions;
      const listen = (answer: { id: number; result: number }) => {
        if (answer.id !== id) return;
        child.off('message', listen);
        resolve(answer.result);
      };
      child.on('message', listen);
      child.send({ id, command, value }, (error) => error !== null && reject(error));
    });
  const level = async (): Promise<Level> => {
    const held = await ask('held');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      held,
      resident: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
    };
  };

  return {
    rtmpPort,
    httpPort,
    log,
    get warnings() {
      return log.filter((line) => line.level >= WARN);
    },
    hls: (name) => `http://127.0.0.1:${httpPort}/hls/${name}.m3u8`,
    metrics: async () => {
      const url = `http://127.0.0.1:${httpPort}/metrics`;
      return readExposition((await rawRequest(url, { method: 'GET', headers: {} })).body.toString());
    },
    level,
    expectLevel: async (before, { held, resident, withinMs }) => {
      let now = before;
      await until(
        'the level of before',
        async () => {
          now = await level();
          return (
            now.held <= before.held + held &&
            now.resident <= before.resident + resident &&
            now.descriptors <= before.descriptors
          );
        },
        withinMs,
      ).catch(() => {
        throw new Error(`the process had ${JSON.stringify(before)} and still has ${JSON.stringify(now)}`);
      });
    },
    stepClock: async (ms) => {
      await ask('stepClock', ms);
    },
    breakDisk: async (code) => {
      await ask('breakDisk', code);
    },
    ring: (ms) => ask('ring', ms),
    block: async (ms) => {
      await ask('block', ms);
    },
    limitDescriptors: (most) => {
      execFileSync('prlimit', ['--pid', String(pid), `--nofile=${most}:`]);
    },
    stop: async () => {
      child.kill('SIGTERM');
      const [code] = await exited;
      if (code !== 0 || strays !== '') throw new Error(`the gateway ended with ${code}: ${strays}`);
    },
  };
}
