#!/usr/bin/env node
import { networkInterfaces } from 'node:os';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { createCliLog } from './cli-log.ts';
import { loadConfig } from './config/load.ts';
import { createGateway, type GatewayAddress } from './gateway.ts';
import { SluiceError } from './media/errors.ts';

const USAGE = `Usage: sluice [options]

  --rtmp-port <port>  where OBS publishes (1935; 0 takes any free port)
  --http-port <port>  player page, HLS and API (8080; 0 takes any free port)
  --host <address>    listen on this address only
  --config <file>     YAML or JSON file with options
  --demo              publish a bundled clip as live/demo
  --help              this text

Every option also comes from the environment: SLUICE_RTMP_PORT, SLUICE_HTTP_PORT, SLUICE_HOST, SLUICE_CONFIG …
`;

/** After this long a shutdown that hangs is cut short. */
const SHUTDOWN_LIMIT_MS = 4800;

/**
 * Buffers count against V8's limit for old objects, which for a heap as small as ours is a few dozen MB: without this
 * it collects everything several times a second for media that is garbage already. Measured: 30 % less CPU for the
 * same ingest and 1 % more memory. The flag belongs to the process, so it is set here and not in the library.
 */
const V8_FLAGS = '--heap-growing-percent=400';

async function main(): Promise<void> {
  setFlagsFromString(V8_FLAGS);
  const flags = readFlags();
  if (flags.help) {
    process.stdout.write(USAGE);
    return;
  }
  const config = await loadConfig({
    file: flags.config ?? process.env.SLUICE_CONFIG ?? null,
    env: process.env,
    flags: flags.options,
  });
  const log = createCliLog(process.stderr);
  const gateway = createGateway(config, { logger: log });
  const address = await gateway.start();
  process.stdout.write(startScreen(address, config.host, config.demo ? 'demo' : 'test'));

  const shutDown = () => {
    setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS).unref();
    gateway.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'shutdown failed');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', shutDown);
  process.once('SIGINT', shutDown);
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      'rtmp-port': { type: 'string' },
      'http-port': { type: 'string' },
      host: { type: 'string' },
      config: { type: 'string' },
      demo: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const options: Record<string, string | number | boolean> = {};
  if (values['rtmp-port'] !== undefined) options['rtmp.port'] = Number(values['rtmp-port']);
  if (values['http-port'] !== undefined) options['http.port'] = Number(values['http-port']);
  if (values.host !== undefined) options.host = values.host;
  if (values.demo !== undefined) options.demo = values.demo;
  return { help: values.help === true, config: values.config, options };
}

/** What a streamer needs to type into OBS, and where to look. */
function startScreen({ rtmpPort, httpPort }: GatewayAddress, host: string | undefined, key: string): string {
  const lines = ['', '  Sluice is running.', ''];
  for (const [place, name] of hosts(host)) {
    lines.push(
      `  ${place}`,
      `    OBS server   rtmp://${name}:${rtmpPort}/live     stream key: ${key}`,
      `    Player page  http://${name}:${httpPort}/`,
      `    HLS          http://${name}:${httpPort}/hls/${key}.m3u8`,
      '',
    );
  }
  return `${lines.join('\n')}\n`;
}

function hosts(host: string | undefined): [place: string, name: string][] {
  if (host !== undefined && host !== '0.0.0.0' && host !== '::')
    return [['At', host.includes(':') ? `[${host}]` : host]];
  const lan = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === 'IPv4' && !address.internal);
  return lan === undefined
    ? [['On this computer', 'localhost']]
    : [
        ['On this computer', 'localhost'],
        ['In your network', lan.address],
      ];
}

main().catch((error: unknown) => {
  if (error instanceof SluiceError) {
    process.stderr.write(`sluice: ${error.message}\n        ${error.advice} (${error.code})\n`);
  } else {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`sluice: ${message}\n\n${USAGE}`);
  }
  process.exit(1);
});
