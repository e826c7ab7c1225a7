import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publishTestPicture, type Running, run, start } from '../support/ffmpeg.ts';
import { until } from '../support/until.ts';
import { Viewer } from '../support/viewer.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXIT_LIMIT_MS = 5000;

let folder: string;
const started: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
  await run('npm', ['run', 'build'], { cwd: ROOT });
}, 120_000);

afterAll(async () => {
  await Promise.all(started.map((program) => program.stop()));
  await rm(folder, { recursive: true });
});

function sluice(...args: string[]): Running {
  const program = start('node', [join(ROOT, 'dist/cli.js'), ...args]);
  started.push(program);
  return program;
}

async function startScreen(program: Running): Promise<string> {
  await until('the start screen', () => {
    if (!program.isRunning) throw new Error(`it gave up: ${program.stderr}`);
    return program.stdout.includes('Sluice is running.');
  });
  return program.stdout;
}

function logged(stderr: string): { msg: string; options?: string }[] {
  return stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
}

function ports(screen: string): { rtmp: number; http: number } {
  const rtmp = /OBS server +rtmp:\/\/localhost:(\d+)\/live/.exec(screen)?.[1];
  const http = /Player page +http:\/\/localhost:(\d+)\/\n/.exec(screen)?.[1];
  return { rtmp: Number(rtmp), http: Number(http) };
}

describe.concurrent('the command', () => {
  test('shows where everything is, and plays its demo at once', async () => {
    const program = sluice('--rtmp-port', '0', '--http-port', '0', '--demo');
    const screen = await startScreen(program);
    const { rtmp, http } = ports(screen);
    expect(rtmp).toBeGreaterThan(0);
    expect(http).toBeGreaterThan(0);
    expect(screen).toMatch(/stream key: demo\n/);
    expect(screen).toContain(`HLS          http://localhost:${http}/hls/demo.m3u8`);
    const page = await fetch(`http://localhost:${http}/`);
    expect(await page.text()).toContain('<title>Sluice');
    const playlist = `http://localhost:${http}/hls/demo.m3u8`;
    await until('the demo', async () => (await fetch(playlist)).ok, 6000);
    const viewer = new Viewer(playlist);
    viewer.watch();
    // The clip lasts ten seconds: this is beyond its first turn.
    await until('the second turn of the demo', () => viewer.count >= 5, 20_000);
    await viewer.leave();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.parts).toHaveLength(1);
    program.signal('SIGINT');
    expect(await program.exited, program.stderr).toMatchObject({ code: 0 });
  });

  test('ends streams on SIGTERM so that viewers see the end', async () => {
    const program = sluice('--rtmp-port', '0', '--http-port', '0');
    const { rtmp, http } = ports(await startScreen(program));
    const publisher = publishTestPicture(`rtmp://127.0.0.1:${rtmp}/live/cam`);
    const playlist = `http://127.0.0.1:${http}/hls/cam.m3u8`;
    await until('the stream', async () => (await fetch(playlist)).ok);
    const viewer = new Viewer(playlist);
    viewer.watch();
    await until('two segments', () => viewer.count >= 2);
    viewer.validator.publisherAway(true);
    program.signal('SIGTERM');
    const signalledAt = performance.now();
    await until('ENDLIST and the last segment', () => viewer.ended && viewer.complete, EXIT_LIMIT_MS);
    expect(viewer.segments.length).toBeGreaterThanOrEqual(2);
    const { code, stdout, stderr } = await program.exited;
    expect(code).toBe(0);
    expect(performance.now() - signalledAt).toBeLessThan(EXIT_LIMIT_MS);
    expect(`${stdout}${stderr}`).not.toMatch(/"level":50|SLUICE_INTERNAL/);
    const life = logged(stderr).filter(({ msg }) => /^(started|stopping|stopped)$/.test(msg));
    expect(life).toMatchObject([
      { msg: 'started', version: expect.stringMatching(/^\d/), rtmpPort: rtmp, httpPort: http },
      { msg: 'stopping', streams: 1 },
      { msg: 'stopped', ms: expect.any(Number) },
    ]);
    await viewer.leave();
    await publisher.exited;
  });

  test.each(['--rtmp-port', '--http-port'])('says so when the port of %s is taken', async (flag) => {
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, resolve));
    const address = occupant.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { code, stderr } = await sluice('--rtmp-port', '0', '--http-port', '0', flag, String(port)).exited;
    occupant.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`port ${port}`);
    expect(stderr).toContain('SLUICE_PORT_UNAVAILABLE');
    expect(stderr).not.toContain('    at ');
  });

  test('names a wrong key in the configuration file', async () => {
    const file = join(folder, 'sluice.yaml');
    await writeFile(file, 'hls:\n  segmentLength: 4\n');
    const { code, stderr } = await sluice('--config', file).exited;
    expect(code).toBe(1);
    expect(stderr).toMatch(/hls.*segmentLength/);
    expect(stderr).toContain('SLUICE_CONFIG_INVALID');
  });

  test('tells when the configuration file is valid again', async () => {
    const file = join(folder, 'repaired.yaml');
    const good = 'rtmp: { port: 0 }\nhttp: { port: 0 }\n';
    await writeFile(file, good);
    const program = sluice('--config', file);
    await startScreen(program);
    // Writes again until it is seen, as the screen comes before the watch, and not too often: it waits for quiet.
    await until('the complaint', async () => {
      await writeFile(file, 'rtmp: 3\n');
      await delay(500);
      return program.stderr.includes('the changed configuration is not valid; the old one stays');
    });
    await writeFile(file, good);
    await until('the repair', () => program.stderr.includes('the configuration is valid again'));
    expect(program.stderr).not.toContain('configuration changed');
    await writeFile(
      file,
      'rtmp: { port: 1, idleTimeout: 9 }\nhttp: { port: 0 }\nhls: { segmentDuration: 3 }\n',
    );
    const told = await until('the changes', () => {
      const lines = logged(program.stderr).filter(({ options }) => options !== undefined);
      return lines.length >= 3 && lines;
    });
    expect(told).toMatchObject([
      { msg: 'configuration changed', options: 'rtmp.idleTimeout' },
      { msg: expect.stringContaining('begin from now on'), options: 'hls.segmentDuration' },
      { level: 40, msg: expect.stringContaining('need a restart'), options: 'rtmp.port' },
    ]);
  });

  test('prints the configuration that holds, where it came from, and no secret', async () => {
    const file = join(folder, 'printed.yaml');
    await writeFile(file, 'http: { port: 81 }\nplay:\n  secrets: [sixteen characters and some]\n');
    const env = { ...process.env, SLUICE_API_TOKEN: 'thirty-two-characters-or-even-more' };
    const args = [join(ROOT, 'dist/cli.js'), 'config', '--config', file, '--rtmp-port', '1936'];
    const program = start('node', args, { env });
    started.push(program);
    const { code, stdout, stderr } = await program.exited;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^rtmp:\n {2}port: 1936 +# --rtmp-port$/m);
    expect(stdout).toMatch(/^http:\n {2}port: 81 +# .*printed\.yaml:1$/m);
    expect(stdout).toMatch(/^api:\n {2}token: .*# SLUICE_API_TOKEN$/m);
    expect(stdout).toMatch(/^ {2}segmentDuration: 2 +# default, SLUICE_HLS_SEGMENT_DURATION$/m);
    expect(stdout).not.toMatch(/sixteen|thirty-two/);
  });

  test('takes stream keys from the environment, and does not start without those that it cannot read', async () => {
    const withKeys = (keys: string) => {
      const env = { ...process.env, SLUICE_PUBLISH_KEYS: keys };
      const args = [join(ROOT, 'dist/cli.js'), '--rtmp-port', '0', '--http-port', '0'];
      const program = start('node', args, { env });
      started.push(program);
      return program;
    };
    const locked = withKeys(`[{"name":"cam","key":"sha256:${'0a'.repeat(32)}"}]`);
    const open = withKeys('');
    const { rtmp, http } = ports(await startScreen(locked));
    await startScreen(open);
    expect(open.stderr).toContain('SLUICE_PUBLISH_OPEN');
    expect(locked.stderr).not.toContain('SLUICE_PUBLISH_OPEN');
    await publishTestPicture(`rtmp://127.0.0.1:${rtmp}/live/cam`).exited;
    expect((await fetch(`http://127.0.0.1:${http}/hls/cam.m3u8`)).status).toBe(404);
    expect(locked.stderr).toContain('SLUICE_PUBLISH_DENIED');
    for (const keys of ['cam', '{}', '[{"name":"cam"}]']) {
      const { code, stdout, stderr } = await withKeys(keys).exited;
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^sluice: SLUICE_PUBLISH_KEYS: publish\.keys.*\n.*\(SLUICE_CONFIG_INVALID\)\n$/);
    }
  });

  test('says its version and nothing else', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
    expect(await sluice('--version').exited).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await sluice('--help').exited).stdout).toContain('--version');
  });

  test.each([
    [['--rtmp-port='], 'sluice: --rtmp-port: rtmp.port: must be a whole number from 0 to 65535\n'],
    [['--config', 'none.yaml'], 'sluice: none.yaml: there is no such file\n'],
    [['--nonsense'], 'sluice: there is no option --nonsense; see sluice --help\n'],
    [['key', 'bad/name!'], 'sluice: this name is not allowed: it must be a name of letters'],
    [['sign', 'bad/name!'], 'sluice: this name is not allowed: it must be a name of letters'],
    [['config', 'extra', 'words'], 'sluice: too many words: it is sluice config, and options'],
  ])('refuses %j and says what would be right', async (args, message) => {
    const { code, stdout, stderr } = await sluice(...args).exited;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.slice(0, message.length)).toBe(message);
    expect(stderr).not.toContain('    at ');
  });

  test('warns of a variable that is nearly an option', async () => {
    const env = { ...process.env, SLUICE_RTMP_PROT: '1936' };
    const program = start('node', [join(ROOT, 'dist/cli.js'), 'config'], { env });
    started.push(program);
    const { code, stderr } = await program.exited;
    expect(code).toBe(0);
    expect(stderr).toBe(
      'sluice: SLUICE_RTMP_PROT is not an option and sets nothing; did you mean SLUICE_RTMP_PORT?\n',
    );
  });
});
