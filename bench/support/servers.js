import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as tcpConnect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 8000;
/** Where nginx writes its segments: into memory where possible, because that is where the gateway keeps its own. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Nothing is left behind, however a benchmark ends. */
const running = new Set();
const folders = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
endOn('SIGINT', 130);
endOn('SIGTERM', 143);

/** Unless the benchmark itself has something to do first. */
function endOn(signal, code) {
  process.once(signal, () => {
    if (process.listenerCount(signal) === 0) process.exit(code);
  });
}

/** What Dockerfile and deploy/sluice.service set for glibc. */
export const SHIPPED_MALLOC = {
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_ARENA_MAX: '2',
};

/**
 * @typedef {object} Server
 * @property {number} pid
 * @property {number} rtmpPort
 * @property {number} httpPort
 * @property {number} startMs from spawn until all ports accept
 * @property {() => string} [log] the end of what it wrote to stderr
 * @property {() => Promise<void>} stop
 */

/**
 * The gateway as a child process on free ports.
 *
 * @param {object} [options]
 * @param {string[]} [options.nodeArgs] flags for its Node
 * @param {boolean} [options.detached] Ctrl-C at the terminal does not reach it
 * @param {number | null} [options.core] the only one it may run on
 * @param {Record<string, string>} [options.settings] of its environment
 * @returns {Promise<Server>}
 */
export async function startGateway({ nodeArgs = [], detached = false, core = null, settings = {} } = {}) {
  if (!existsSync(CLI)) throw new Error('dist/cli.js is missing: run "npm run build" first');
  const began = performance.now();
  const command = [process.execPath, ...nodeArgs, CLI];
  if (core !== null) command.unshift('taskset', '-c', String(core));
  const [program, ...args] = [...command, '--host', '127.0.0.1', '--rtmp-port', '0', '--http-port', '0'];
  // Its own, so that none goes on from where another ended, and nothing is left in the user's.
  const state = mkdtempSync(join(tmpdir(), 'sluice-bench-state-'));
  folders.add(state);
  const env = { ...withoutGatewayOptions(process.env), STATE_DIRECTORY: state, ...settings };
  const child = launch(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env, detached });
  const errors = collect(child.stderr);
  const screen = await waitForText(
    child,
    child.stdout,
    /rtmp:\/\/[^ ]+:(\d+)\/live[\s\S]*http:\/\/[^ ]+:(\d+)\//,
    errors,
  );
  const rtmpPort = Number(screen[1]);
  const httpPort = Number(screen[2]);
  await Promise.all([untilAccepting(rtmpPort), untilAccepting(httpPort)]);
  const startMs = performance.now() - began;
  return {
    pid: child.pid,
    rtmpPort,
    httpPort,
    startMs,
    log: () => errors.text,
    stop: async () => {
      await stop(child);
      remove(state);
    },
  };
}

/** The least that a Node server can be: how fast this machine is today. */
export async function startBareNode() {
  const source =
    "const s=require('net').createServer(()=>{}).listen(0,'127.0.0.1',()=>console.log('port '+s.address().port))";
  const began = performance.now();
  const child = launch(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [, port] = await waitForText(child, child.stdout, /port (\d+)/, collect(child.stderr));
  await untilAccepting(Number(port));
  return { pid: child.pid, startMs: performance.now() - began, stop: () => stop(child) };
}

/** Why the comparison with nginx-rtmp is not possible here, or null. */
export function noNginx() {
  const version = nginxVersion();
  if (version === null) return 'nginx is not installed';
  return existsSync(rtmpModule(version))
    ? null
    : 'the RTMP module of nginx (libnginx-mod-rtmp) is not installed';
}

/**
 * nginx with its RTMP module: one worker, HLS with 2 s segments in memory, served below `/`.
 *
 * @returns {Promise<Server & { folder: string }>} and where its files are
 */
export async function startNginx() {
  const folder = mkdtempSync(join(SCRATCH, 'sluice-bench-nginx-'));
  folders.add(folder);
  const hls = join(folder, 'hls');
  mkdirSync(hls);
  const rtmpPort = await freePort();
  const httpPort = await freePort();
  writeFileSync(join(folder, 'nginx.conf'), nginxConfig(folder, rtmpPort, httpPort));
  const began = performance.now();
  const child = launch(
    'nginx',
    ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const errors = collect(child.stderr);
  await untilAccepting(rtmpPort, child, errors);
  await untilAccepting(httpPort, child, errors);
  return {
    pid: child.pid,
    rtmpPort,
    httpPort,
    startMs: performance.now() - began,
    folder: hls,
    stop: async () => {
      await stop(child);
      remove(folder);
    },
  };
}

function nginxConfig(folder, rtmpPort, httpPort) {
  const { username, uid } = userInfo();
  return `
load_module ${rtmpModule(nginxVersion() ?? '')};
${uid === 0 ? `user ${username};` : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
events { worker_connections 4096; }
rtmp {
  access_log off;
  server {
    listen 127.0.0.1:${rtmpPort};
    chunk_size 4096;
    max_message 8M;
    application live {
      live on;
      hls on;
      hls_path ${folder}/hls;
      hls_fragment 2s;
      hls_playlist_length 12s;
    }
  }
}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000000;
  types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; }
  client_body_temp_path ${folder}/client;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${httpPort};
    root ${folder}/hls;
  }
}
`;
}

function nginxVersion() {
  const { error, stderr } = spawnSync('nginx', ['-V'], { encoding: 'utf8' });
  return error === undefined ? stderr : null;
}

function rtmpModule(version) {
  const folder = /--modules-path=(\S+)/.exec(version)?.[1] ?? '/usr/lib/nginx/modules';
  return join(folder, 'ngx_rtmp_module.so');
}

/** SLUICE_… variables of whoever runs the benchmark would change what is measured. */
function withoutGatewayOptions(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SLUICE_')));
}

function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

function launch(...args) {
  const child = spawn(...args);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

function collect(stream) {
  const kept = { text: '' };
  stream.setEncoding('utf8').on('data', (text) => {
    kept.text = (kept.text + text).slice(-4000);
  });
  return kept;
}

function waitForText(child, stream, pattern, errors) {
  return new Promise((resolve, reject) => {
    let text = '';
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not started in time: ${errors.text}`));
    }, START_LIMIT_MS);
    stream.setEncoding('utf8').on('data', (more) => {
      text += more;
      const match = pattern.exec(text);
      if (match === null) return;
      clearTimeout(limit);
      resolve(match);
    });
    child.once('exit', (code) => {
      clearTimeout(limit);
      reject(new Error(`ended with ${code} while starting: ${errors.text}`));
    });
    child.once('error', reject);
  });
}

async function untilAccepting(port, child = null, errors = { text: '' }) {
  const until = performance.now() + START_LIMIT_MS;
  while (!(await accepts(port))) {
    if (performance.now() > until || (child !== null && child.exitCode !== null)) {
      child?.kill('SIGKILL');
      throw new Error(`port ${port} does not open: ${errors.text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = tcpConnect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port of this computer that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(limit);
}
