#!/usr/bin/env node
import { homedir, networkInterfaces, totalmem } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { signPlayback } from './access/playback-token.ts';
import { hashKey, newKey } from './access/stream-keys.ts';
import { type Flags, readFlags } from './cli-flags.ts';
import { createCliLog } from './cli-log.ts';
import { strayVariables } from './config/environment.ts';
import { type ConfigSources, type LoadedConfig, loadConfig } from './config/load.ts';
import { makeReload } from './config/reload.ts';
import { NAME_RULE, settingsOf } from './config/schema.ts';
import { createGateway, DEFAULT_APP } from './gateway.ts';
import type { GatewayAddress } from './gateway-interface.ts';
import { isStreamPath } from './live/stream-name.ts';
import { SluiceError } from './media/errors.ts';
import { multivariantPath } from './servers/http/hls-address.ts';
import { VERSION } from './version.ts';

const USAGE = `Usage: sluice [options]            start the gateway
       sluice config [options]     print the effective configuration and where each value comes from
       sluice key <name>           make a stream key that publishes as <name>
       sluice sign <name> [options]  make a signed address for a stream that needs one

  --rtmp-port <port>  where OBS publishes (1935; 0 takes any free port)
  --http-port <port>  player page, HLS and API (8080; 0 takes any free port)
  --host <address>    listen on this address only
  --config <file>     YAML or JSON file with options; it is watched, changes hold at once
  --demo              publish a bundled clip as live/demo
  --app <name>        sign: the application (live)
  --hours <number>    sign: how long the address is valid (6)
  --help              this text
  --version           the version, and nothing else

Every option also comes from the environment: SLUICE_RTMP_PORT, SLUICE_HTTP_PORT, SLUICE_HOST, SLUICE_CONFIG …
Lists have commas there, or are JSON; what is more than a list is JSON:
  SLUICE_PUBLISH_KEYS='[{"name":"cam","key":"sha256:…"}]'
All options: docs/configuration.md
`;

/** After this long a shutdown that hangs is cut short. */
const SHUTDOWN_LIMIT_MS = 4800;

/**
 * The heap may grow to 2.3 times what lives in it before V8 looks at all of it, which with fifty publishers is about every
 * 80 s: less costs viewers pauses, and more would be memory for nothing. With 2.5 it came close to 100 s, and once it took
 * that long V8 had shrunk the young generation; what then lived longer left holes in glibc's heap. So few collections can
 * afford to move what lives closer together, or the heap would grow by its holes. docs/performance.md has the figures. The
 * flags belong to the process, so they are set here and not in the library.
 */
const V8_FLAGS = '--heap-growing-percent=130 --compact-on-every-full-gc';

async function main(): Promise<void> {
  setFlagsFromString(V8_FLAGS);
  const flags = readFlags(process.argv.slice(2), process.env);
  if (flags.help || flags.version) {
    process.stdout.write(flags.help ? USAGE : `${VERSION}\n`);
    return;
  }
  switch (flags.command) {
    case 'config':
      return showConfig(flags);
    case 'key':
      process.stdout.write(keyScreen(flags.name));
      return;
    case 'sign':
      process.stdout.write(await signScreen(flags));
      return;
    default:
      return start(flags);
  }
}

async function showConfig(flags: Flags): Promise<void> {
  for (const stray of strayVariables(process.env)) process.stderr.write(`sluice: ${stray}\n`);
  process.stdout.write((await import('./config/print.ts')).printConfig(await load(flags)));
}

async function start(flags: Flags): Promise<void> {
  const log = createCliLog(process.stderr);
  for (const stray of strayVariables(process.env)) log.warn(stray);
  const { config } = await load(flags);
  const gateway = createGateway(config, { logger: log });
  const address = await gateway.start();
  process.stdout.write(startScreen(address, config.host, config.demo ? 'demo' : 'test'));
  if (flags.file !== null) {
    const { watchConfigFile } = await import('./config/watch.ts');
    const reload = makeReload({
      load: async () => (await load(flags)).config,
      apply: (changed) => gateway.reconfigure(changed),
      log,
    });
    watchConfigFile(flags.file, {
      onChange: () => void reload(),
      onError: (error) =>
        log.warn({ err: error }, 'the configuration file cannot be watched: changes need a restart'),
    });
  }

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

function load({ file, options }: Flags): Promise<LoadedConfig> {
  return loadConfig({ file, env: process.env, flags: options, system: systemDefaults() });
}

/** What the machine tells: where state belongs, and how much memory segments may take. */
function systemDefaults(): NonNullable<ConfigSources['system']> {
  const { STATE_DIRECTORY, XDG_STATE_HOME } = process.env;
  const directory =
    STATE_DIRECTORY === undefined
      ? { value: join(XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'sluice'), reason: 'default' }
      : { value: STATE_DIRECTORY, reason: 'STATE_DIRECTORY' };
  const limit = process.constrainedMemory();
  const memory = limit > 0 && limit < totalmem() ? limit : totalmem();
  const maxBytes = { value: Math.floor(memory / 2), reason: 'half of the memory' };
  return { 'storage.directory': directory, 'storage.maxBytes': maxBytes };
}

/** @throws Error when no stream can have this name */
function checkName(name: string): void {
  if (!isStreamPath(DEFAULT_APP, name)) throw new Error(`this name is not allowed: it ${NAME_RULE}`);
}

function keyScreen(name: string): string {
  checkName(name);
  const key = newKey();
  const hash = hashKey(key);
  return `
  Stream key for the encoder, shown only now:

    ${key}

  For the configuration file:

    publish:
      keys:
        - name: ${name}
          key: ${hash}

  Or, without a file, for the environment:

    SLUICE_PUBLISH_KEYS='[{"name":"${name}","key":"${hash}"}]'

`;
}

async function signScreen(flags: Flags): Promise<string> {
  const { app, name, hours } = flags;
  checkName(name);
  const { config } = await load(flags);
  const [secret] = settingsOf(config, app).play.secrets;
  if (secret === undefined) {
    throw new Error(`application ${app} has no play.secrets, so its streams need no signed address`);
  }
  if (!(hours > 0)) throw new Error('--hours must be a number above 0');
  const expires = Date.now() / 1000 + hours * 3600;
  const token = signPlayback(secret, { app, name, expires });
  const path = multivariantPath(app, name, DEFAULT_APP);
  return `/${path}?token=${token}\n`;
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
    process.stderr.write(`sluice: ${message}\n`);
  }
  process.exit(1);
});
