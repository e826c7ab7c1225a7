import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Crowd } from '../support/crowd.ts';
import { readExposition } from '../support/prometheus-text.ts';
import { publishSteadily } from '../support/steady-publisher.ts';
import { until } from '../support/until.ts';

// docker-compose.yml as it is: needs Docker, Compose, and the ports 80, 1935 and 8080. `npm run test:containers`.

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROJECT = 'sluice-proof';
const TOKEN = randomBytes(16).toString('hex');
const VIEWERS = 200;
const WATCHED_MS = 20_000;
const MAX_IMAGE_BYTES = 450e6;
const PLAYLIST = 'http://127.0.0.1/hls/cam/media.m3u8';

const compose = composeCommand();

describe.skipIf(compose === null)(
  `in containers (${compose === null ? 'needs a running Docker and Compose' : compose.join(' ')})`,
  () => {
    const publisher = { stop: async () => {} };
    let container: string;

    beforeAll(async () => {
      run('up', '--build', '--detach');
      container = run('ps', '--quiet', 'gateway').trim();
      Object.assign(publisher, publishSteadily({ port: 1935, key: 'cam' }));
      await until('the stream through the edge', async () => (await fetch(PLAYLIST)).ok, 60_000);
    }, 900_000);

    afterAll(async () => {
      await publisher.stop();
      run('down', '--volumes', '--timeout', '10');
    }, 60_000);

    test('the image is small, and the container may do little', async () => {
      const [{ Image, State, HostConfig, Config }] = inspect(container);
      const [{ Size }] = inspect(Image);
      expect(Size).toBeLessThan(MAX_IMAGE_BYTES);
      expect(State.Health.Status).toBe('healthy');
      expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'] });
      expect(Config.User).not.toMatch(/^(root|0)?(:|$)/);
      const inside = (...command: string[]) => docker('exec', container, ...command);
      expect(inside('id', '-u').trim()).not.toBe('0');
      expect(() => inside('touch', '/app/x')).toThrow(/Read-only file system/);
      expect(inside('ffmpeg', '-version')).toMatch(/^ffmpeg version/);
    });

    test('200 viewers on port 80 cost the gateway one request per object', async () => {
      const before = await counts();
      const crowd = new Crowd(PLAYLIST, VIEWERS);
      await delay(WATCHED_MS);
      await crowd.leave();
      const after = await counts();
      expect(crowd.failures).toEqual([]);
      expect(crowd.answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(Math.min(...crowd.counts)).toBeGreaterThan(8);
      const segments = new Set(crowd.answers.map(({ path }) => path).filter((path) => path.endsWith('.ts')));
      expect(after.segment - before.segment).toBeLessThanOrEqual(segments.size);
      // One a second.
      expect(after.playlist - before.playlist).toBeLessThanOrEqual(WATCHED_MS / 1000 + 3);
      const states = new Set(crowd.answers.map(({ headers }) => headers['x-cache-status']));
      expect(states).toContain('HIT');
    }, 60_000);

    test('viewers see nothing of a gateway that is killed and started again', async () => {
      const crowd = new Crowd(PLAYLIST, 20);
      await until('segments', async () => Math.min(...crowd.counts) > 3, 30_000);
      docker('kill', container);
      const stale = await fetch(PLAYLIST);
      await delay(2000);
      const later = await fetch(PLAYLIST);
      expect([stale.status, later.status]).toEqual([200, 200]);
      // The second while somebody else asks for it in vain.
      expect(['STALE', 'UPDATING']).toContain(later.headers.get('x-cache-status'));
      const had = Math.max(...crowd.counts);
      run('start', 'gateway');
      await until('new segments', async () => Math.min(...crowd.counts) > had + 2, 60_000);
      await crowd.leave();
      expect(crowd.failures).toEqual([]);
      expect(crowd.answers.filter(({ status }) => status !== 200)).toEqual([]);
    }, 120_000);
  },
);

/** Requests that reached the gateway so far. */
async function counts(): Promise<{ segment: number; playlist: number }> {
  const response = await fetch('http://127.0.0.1:8080/metrics', {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const metrics = readExposition(await response.text());
  const of = (kind: string) => metrics.value('sluice_http_requests_total', { kind }) ?? Number.NaN;
  return { segment: of('segment'), playlist: of('playlist') };
}

function composeCommand(): readonly string[] | null {
  return [['docker', 'compose'], ['docker-compose']].find(works) ?? null;
}

function works([program = '', ...args]: readonly string[]): boolean {
  try {
    execFileSync('docker', ['info'], { stdio: 'ignore' });
    execFileSync(program, [...args, 'version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function run(...args: string[]): string {
  const [program = '', ...first] = compose ?? [];
  const env = { ...process.env, SLUICE_API_TOKEN: TOKEN };
  return execFileSync(program, [...first, '--project-name', PROJECT, ...args], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
  });
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8' });
}

interface Inspected {
  readonly Image: string;
  readonly Size: number;
  readonly State: { readonly Health: { readonly Status: string } };
  readonly HostConfig: { readonly ReadonlyRootfs: boolean; readonly CapDrop: readonly string[] };
  readonly Config: { readonly User: string };
}

function inspect(name: string): [Inspected] {
  return JSON.parse(docker('inspect', name));
}
