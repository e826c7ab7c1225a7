import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Exit, type Running, run, start } from './ffmpeg.ts';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

const EXAMPLE = fileURLToPath(new URL('../../nginx.conf.example', import.meta.url));
/** Where packages put what nginx writes while it works; only root may write there. */
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** A certificate and its key, as files. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** nginx with the example's configuration, on free ports of this computer. */
export interface Edge {
  /** With a slash at the end. */
  readonly url: string;
  /** With a slash at the end. Answers only with a certificate. */
  readonly secureUrl: string;
  /** Answers only with the port for RTMP. */
  readonly rtmpsPort: number;
  /** What it has written into its two logs so far. */
  logs(): Promise<{ readonly access: string; readonly error: string }>;
  stop(): Promise<void>;
}

export interface EdgeOptions {
  /** Port of the gateway. */
  readonly gatewayPort: number;
  /** Storage directory of the gateway, to serve from: takes the options for that. */
  readonly storage?: string;
  /** Takes the options for TLS. */
  readonly tls?: Certificate;
  /** RTMP port of the gateway: takes the options for RTMPS, which need `tls` too. */
  readonly rtmpPort?: number;
}

const DISK_OPTIONS = ['map $uri $on_disk', 'map $uri $file_cache_control', 'if (-f', 'location /files/'];
const TLS_OPTIONS = [
  'listen 443',
  'ssl_certificate ',
  'ssl_certificate_key',
  'ssl_protocols',
  'ssl_session_cache',
];

/** Starts nginx as nginx.conf.example says; only addresses and places for files are others. */
export async function startEdge({ gatewayPort, storage, tls, rtmpPort }: EdgeOptions): Promise<Edge> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-edge-'));
  let config = await readFile(EXAMPLE, 'utf8');
  const options = [
    ...(storage === undefined ? [] : DISK_OPTIONS),
    ...(tls === undefined ? [] : TLS_OPTIONS),
    ...(rtmpPort === undefined ? [] : ['stream {']),
  ];
  for (const option of options) config = withOption(config, option);
  const ports = await edgePorts();
  config = replaced(config, 'gateway:8080', `127.0.0.1:${gatewayPort}`);
  config = await placed(config, folder, ports);
  if (storage !== undefined) config = replaced(config, '/var/lib/sluice/', `${storage}/`);
  if (tls !== undefined) config = certified(config, tls);
  if (rtmpPort !== undefined) config = replaced(config, 'gateway:1935', `127.0.0.1:${rtmpPort}`);
  const nginx = start('nginx', await commandLine(config, folder));
  const url = `http://127.0.0.1:${ports.http}/`;
  await until('nginx', () => answers(url, nginx));
  return {
    url,
    secureUrl: `https://127.0.0.1:${ports.https}/`,
    rtmpsPort: ports.rtmps,
    logs: async () => ({
      access: await readFile(join(folder, 'access.log'), 'utf8'),
      error: await readFile(join(folder, 'error.log'), 'utf8'),
    }),
    stop: async () => {
      nginx.signal('SIGTERM');
      await nginx.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether nginx takes the example with every option that it has. @throws Error with what it says, when it does not */
export async function checkAllOptions(tls: Certificate): Promise<Exit> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-edge-'));
  try {
    let config = (await readFile(EXAMPLE, 'utf8')).split('\n').map(without).join('\n');
    config = config.replaceAll('gateway:', '127.0.0.1:');
    config = certified(await placed(config, folder, await edgePorts()), tls);
    // nginx binds for a check as well, and not every machine has IPv6.
    config = replaced(config, 'listen [::]:80;', `listen 127.0.0.1:${await freePort()};`);
    config = replaced(config, 'listen [::]:443 ', `listen 127.0.0.1:${await freePort()} `);
    if (!nginxHasStream()) config = config.slice(0, config.indexOf('\nstream {'));
    return await run('nginx', ['-t', ...(await commandLine(config, folder))]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether this nginx can do RTMPS: the module is a package of its own in Debian and Ubuntu. */
export function nginxHasStream(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-edge-'));
  const file = join(folder, 'nginx.conf');
  const pid = `pid ${join(folder, 'nginx.pid')};`;
  writeFileSync(file, `include /etc/nginx/modules-enabled/*.conf; ${pid} events {} stream {}`);
  const { status } = spawnSync('nginx', ['-t', '-c', file, '-e', join(folder, 'error.log')], {
    stdio: 'ignore',
  });
  rmSync(folder, { recursive: true });
  return status === 0;
}

interface Ports {
  readonly http: number;
  readonly https: number;
  readonly rtmps: number;
}

/** With places where everybody may listen and write. */
async function placed(config: string, folder: string, { http, https, rtmps }: Ports): Promise<string> {
  const places = TEMP_PATHS.map((name) => `${name}_temp_path ${join(folder, name)};`);
  let own = replaced(config, 'http {', ['http {', ...places].join('\n'));
  own = replaced(own, 'listen 80;', `listen 127.0.0.1:${http};`);
  own = replaced(own, 'listen 443 ', `listen 127.0.0.1:${https} `);
  own = replaced(own, 'listen 1936 ', `listen 127.0.0.1:${rtmps} `);
  own = replaced(own, '127.0.0.1:8079', `127.0.0.1:${await freePort()}`);
  own = replaced(own, '/tmp/sluice-cache', join(folder, 'cache'));
  return replaced(own, '/var/log/nginx', folder);
}

function certified(config: string, { certificate, key }: Certificate): string {
  const own = replaced(config, '/etc/nginx/tls/fullchain.pem', certificate);
  return replaced(own, '/etc/nginx/tls/privkey.pem', key);
}

/** Arguments of nginx for this configuration. */
async function commandLine(config: string, folder: string): Promise<string[]> {
  const file = join(folder, 'nginx.conf');
  await writeFile(file, config);
  const globals = `daemon off; pid ${join(folder, 'nginx.pid')};${process.getuid?.() === 0 ? ' user root;' : ''}`;
  return ['-c', file, '-g', globals, '-e', join(folder, 'error.log')];
}

async function answers(url: string, nginx: Running): Promise<boolean> {
  if (!nginx.isRunning) throw new Error(`nginx gave up: ${nginx.stderr}`);
  return fetch(url).then(
    () => true,
    () => false,
  );
}

/** A "#" without a space after it, at the beginning of a line: the options of the example, as its first lines say. */
const OPTION = /^( *)#(?=\S)/;

function without(line: string): string {
  return line.replace(OPTION, '$1');
}

/** Takes the "#" from this option, and from all lines down to the "#}" right below it when it ends in "{". */
function withOption(config: string, directive: string): string {
  const lines = config.split('\n');
  const begin = lines.findIndex(
    (line) => OPTION.test(line) && without(line).trimStart().startsWith(directive),
  );
  const first = lines[begin];
  if (first === undefined) throw new Error(`nginx.conf.example no longer has the option "${directive}"`);
  const last = `${' '.repeat(first.indexOf('#'))}#}`;
  const end = first.endsWith('{') ? lines.indexOf(last, begin) : begin;
  return lines.map((line, index) => (index < begin || index > end ? line : without(line))).join('\n');
}

function replaced(config: string, old: string, by: string): string {
  if (!config.includes(old)) throw new Error(`nginx.conf.example no longer has "${old}"`);
  return config.replaceAll(old, by);
}

async function edgePorts(): Promise<Ports> {
  return { http: await freePort(), https: await freePort(), rtmps: await freePort() };
}
