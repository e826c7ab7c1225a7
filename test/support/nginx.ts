import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Running, start } from './ffmpeg.ts';
import { until } from './until.ts';

const EXAMPLE = fileURLToPath(new URL('../../nginx.conf.example', import.meta.url));
/** Where packages put what nginx writes while it works; only root may write there. */
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** nginx with the example's configuration, on a free port of this computer. */
export interface Edge {
  /** With a slash at the end. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface EdgeOptions {
  /** Port of the gateway. */
  readonly gatewayPort: number;
  /** Storage directory of the gateway, to serve from: takes the options for that. */
  readonly storage?: string;
}

/** Starts nginx as nginx.conf.example says; only addresses and places for files are others. */
export async function startEdge({ gatewayPort, storage }: EdgeOptions): Promise<Edge> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-edge-'));
  const [port, innerPort] = [await freePort(), await freePort()];
  let config = await readFile(EXAMPLE, 'utf8');
  if (storage !== undefined) {
    for (const option of ['map $uri $on_disk', 'if (-f']) config = withOption(config, option);
    config = replaced(config, '/var/lib/sluice/', `${storage}/`);
  }
  config = replaced(config, 'gateway:8080', `127.0.0.1:${gatewayPort}`);
  config = replaced(config, 'listen 80;', `listen 127.0.0.1:${port};`);
  config = replaced(config, '127.0.0.1:8079', `127.0.0.1:${innerPort}`);
  config = replaced(config, '/tmp/sluice-cache', join(folder, 'cache'));
  config = replaced(config, '/var/log/nginx', folder);
  const places = TEMP_PATHS.map((name) => `${name}_temp_path ${join(folder, name)};`);
  config = replaced(config, 'http {', ['http {', ...places].join('\n'));
  const file = join(folder, 'nginx.conf');
  await writeFile(file, config);
  const globals = `daemon off; pid ${join(folder, 'nginx.pid')};${process.getuid?.() === 0 ? ' user root;' : ''}`;
  const nginx = start('nginx', ['-c', file, '-g', globals, '-e', join(folder, 'error.log')]);
  const url = `http://127.0.0.1:${port}/`;
  await until('nginx', () => answers(url, nginx));
  return {
    url,
    stop: async () => {
      nginx.signal('SIGTERM');
      await nginx.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string, nginx: Running): Promise<boolean> {
  if (!nginx.isRunning) throw new Error(`nginx gave up: ${nginx.stderr}`);
  return fetch(url).then(
    () => true,
    () => false,
  );
}

/** Takes the "#" from the lines that begin with this directive, up to the next line without one. */
function withOption(config: string, directive: string): string {
  const lines = config.split('\n');
  const begin = lines.findIndex((line) => line.trimStart().startsWith(`#${directive}`));
  if (begin < 0) throw new Error(`nginx.conf.example no longer has the option "${directive}"`);
  const length = lines.slice(begin).findIndex((line) => !line.trimStart().startsWith('#'));
  const block = lines.slice(begin, begin + length).map((line) => line.replace('#', ''));
  return [...lines.slice(0, begin), ...block, ...lines.slice(begin + length)].join('\n');
}

function replaced(config: string, old: string, by: string): string {
  if (!config.includes(old)) throw new Error(`nginx.conf.example no longer has "${old}"`);
  return config.replaceAll(old, by);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('there is no free port');
  return address.port;
}
