import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify';
import { pino } from 'pino';
import { parseConfig } from './config/load.ts';
import type { Config, ConfigInput } from './config/schema.ts';
import type { Stream } from './live/stream.ts';
import { StreamRegistry } from './live/stream-registry.ts';
import { SluiceError } from './media/errors.ts';
import type { Track } from './media/track.ts';
import type { Warning } from './media/warning.ts';
import { HlsPackager } from './packaging/hls-packager.ts';
import { gatewayPlugin } from './servers/http/gateway-plugin.ts';
import { type StreamView, viewStream, warningsOf } from './servers/http/stream-view.ts';
import { startDemo } from './servers/rtmp/demo-publisher.ts';
import { RtmpServer } from './servers/rtmp/rtmp-server.ts';
import { systemClock } from './servers/system-clock.ts';
import { MemoryStore } from './storage/memory-store.ts';

const VERSION = readVersion();
/** Application whose streams are at `/hls/<name>.m3u8`. */
const DEFAULT_APP = 'live';
const DEMO_KEY = 'demo';
/** On shutdown viewers get this long to fetch the last segment and ENDLIST, when there are any. */
const DRAIN_MS = 2500;
const WARNING_CHECK_MS = 1000;
const VIEWER_MEMORY_MS = 10_000;
/** Ended streams stay at least this long, however short they were. */
const SHORTEST_AFTERLIFE_MS = 10_000;

/** What the gateway tells; `stream` identifies by names only. */
export interface GatewayEvents {
  /** A publisher is live under this name: at the start and after each reconnect. */
  live: [stream: StreamIdentity & { readonly tracks: readonly Track[] }];
  /** The publisher left; the stream waits for it. */
  grace: [stream: StreamIdentity];
  /** The stream is over: its playlist has ENDLIST. */
  ended: [stream: StreamIdentity];
  /** Something to change at the encoder; once per stream and code. */
  warning: [stream: StreamIdentity & { readonly warning: Warning }];
}

export interface StreamIdentity {
  readonly app: string;
  readonly name: string;
}

/** The part of a logger that Sluice uses; a pino or Fastify logger fits. */
export interface Logger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface GatewayOptions {
  /** Where lifecycle lines go; nowhere by default when embedded. */
  readonly logger?: Logger;
}

/** Ports in use; null for what is not listening. */
export interface GatewayAddress {
  readonly rtmpPort: number | null;
  readonly httpPort: number | null;
}

/** A running or startable gateway. */
export interface Gateway extends EventEmitter<GatewayEvents> {
  /**
   * Opens the RTMP port, and the HTTP port unless {@link Gateway.plugin} was registered in an app of yours. Calling it
   * again returns the same promise.
   *
   * @throws SluiceError SLUICE_PORT_UNAVAILABLE
   */
  start(): Promise<GatewayAddress>;
  /**
   * Stops accepting, finishes segments, ends playlists, lets viewers fetch them, and closes; within 5 s. Calling it
   * again returns the same promise.
   */
  close(): Promise<void>;
  /** Fastify plugin with everything under a prefix of your app: `await app.register(gateway.plugin, { prefix })`. */
  readonly plugin: FastifyPluginAsync;
  /** The streams as `/api/streams` shows them. */
  streams(): StreamView[];
  readonly address: GatewayAddress;
}

/**
 * Puts a gateway together; nothing listens before `start`.
 *
 * @param input what the configuration file may hold; defaults fill the rest
 * @throws SluiceError SLUICE_CONFIG_INVALID
 */
export function createGateway(input: ConfigInput = {}, options: GatewayOptions = {}): Gateway {
  return new SluiceGateway(parseConfig(input), options);
}

class SluiceGateway extends EventEmitter<GatewayEvents> implements Gateway {
  readonly plugin: FastifyPluginAsync;
  readonly #config: Config;
  readonly #log: Logger;
  readonly #registry: StreamRegistry;
  readonly #packagers = new Map<Stream, HlsPackager>();
  readonly #warned = new Map<Stream, Set<string>>();
  readonly #store = new MemoryStore();
  readonly #rtmp: RtmpServer;
  #http: FastifyInstance | null = null;
  #embedded = false;
  #watch: NodeJS.Timeout | null = null;
  #lastViewerAt = Number.NEGATIVE_INFINITY;
  #state: 'new' | 'running' | 'closing' = 'new';
  #starting: Promise<GatewayAddress> | null = null;
  #closing: Promise<void> | null = null;

  constructor(config: Config, { logger }: GatewayOptions) {
    super();
    this.#config = config;
    this.#log = logger ?? pino({ enabled: false });
    this.#registry = new StreamRegistry(
      {
        clock: systemClock,
        graceMs: config.publish.graceWindow * 1000,
        onState: (stream) => this.#streamChanged(stream),
        onEpoch: (stream, { reason, tracks }) => {
          const summary = tracks.map((track) => track.codecString ?? track.codec).join(' + ');
          this.#log.info({ stream: pathOf(stream), reason, tracks: summary }, 'media');
          if (reason === 'start' || reason === 'reconnect')
            this.emit('live', { ...identity(stream), tracks });
        },
        onSinkFault: (stream, error) =>
          this.#log.error(
            { stream: pathOf(stream), code: 'SLUICE_INTERNAL', err: error },
            'an output failed',
          ),
      },
      config.publish.takeover,
    );
    this.#rtmp = new RtmpServer({
      registry: this.#registry,
      clock: systemClock,
      log: this.#log,
      handshakeTimeoutMs: config.rtmp.handshakeTimeout * 1000,
      idleTimeoutMs: config.rtmp.idleTimeout * 1000,
      maxConnections: config.rtmp.maxConnections,
      httpPort: () => this.address.httpPort,
    });
    const plugin = this.#makePlugin();
    this.plugin = async (app, pluginOptions) => {
      this.#embedded = true;
      await plugin(app, pluginOptions);
    };
  }

  get address(): GatewayAddress {
    const http = this.#http?.server.address();
    return {
      rtmpPort: this.#rtmp.port,
      httpPort: http !== null && typeof http === 'object' ? http.port : null,
    };
  }

  streams(): StreamView[] {
    const now = systemClock.now();
    return this.#registry
      .list()
      .flatMap((stream) => viewStream(stream, this.#packagers.get(stream) ?? null, now, DEFAULT_APP) ?? []);
  }

  start(): Promise<GatewayAddress> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<GatewayAddress> {
    const { host, rtmp, http, demo } = this.#config;
    if (!this.#embedded) await this.#listenHttp(http.port, host);
    try {
      await this.#rtmp.listen(rtmp.port, host);
    } catch (error) {
      await this.#http?.close();
      throw error;
    }
    this.#state = 'running';
    this.#watch = setInterval(() => {
      for (const [stream, packager] of this.#packagers) this.#checkWarnings(stream, packager);
    }, WARNING_CHECK_MS);
    this.#watch.unref();
    if (demo)
      await startDemo({
        host: host ?? '127.0.0.1',
        port: this.#rtmp.port ?? rtmp.port,
        app: DEFAULT_APP,
        key: DEMO_KEY,
      });
    return this.address;
  }

  async #listenHttp(port: number, host: string | undefined): Promise<void> {
    const app = Fastify({
      logger: false,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: 512 },
      // No route has a JSON schema, and loading the compilers for them would take a fifth of the start.
      schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    });
    await app.register(this.#makePlugin());
    this.#http = app;
    try {
      // Fastify listens on localhost unless told otherwise; :: takes IPv4 too, and falls back where there is no IPv6.
      await app.listen({ port, host: host ?? '::' });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new SluiceError('SLUICE_PORT_UNAVAILABLE', `cannot open HTTP port ${port}: ${reason}`, {
        cause: error,
      });
    }
  }

  #makePlugin(): FastifyPluginAsync {
    return gatewayPlugin({
      hls: {
        defaultApp: DEFAULT_APP,
        find: (app, name) => {
          const stream = this.#registry.get(app, name);
          return stream === null ? null : (this.#packagers.get(stream) ?? null);
        },
        onRequest: () => {
          this.#lastViewerAt = systemClock.now();
        },
      },
      api: {
        version: VERSION,
        defaultApp: DEFAULT_APP,
        rtmpPort: () => this.#rtmp.port,
        streams: () => this.streams(),
        ready: () => this.#state === 'running',
      },
      onFault: (error) => this.#log.error({ code: 'SLUICE_INTERNAL', err: error }, 'an HTTP request failed'),
    });
  }

  async #close(): Promise<void> {
    this.#state = 'closing';
    if (this.#watch !== null) clearInterval(this.#watch);
    const rtmpClosed = this.#rtmp.close();
    // The publishers are dismissed; what they sent becomes the last segments, and the playlists end.
    for (const stream of this.#registry.list()) stream.close();
    await Promise.all([...this.#packagers.values()].map((packager) => packager.settled()));
    const watched = systemClock.now() - this.#lastViewerAt < VIEWER_MEMORY_MS;
    if (watched && this.#packagers.size > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
    await rtmpClosed;
    await this.#http?.close();
  }

  #streamChanged(stream: Stream): void {
    const log = { stream: pathOf(stream) };
    switch (stream.state) {
      case 'live':
        if (!this.#packagers.has(stream)) this.#addPackager(stream);
        this.#log.info(
          { ...log, peer: stream.publisher?.address, encoder: stream.publisher?.encoder },
          'publishing',
        );
        break;
      case 'grace':
        this.#log.info(log, 'publisher left, waiting for it');
        this.emit('grace', identity(stream));
        break;
      case 'closed':
        this.#log.info({ ...log, bytes: stream.stats.bytes }, 'stream ended');
        this.emit('ended', identity(stream));
        this.#retire(stream);
        break;
      case 'idle':
        break;
    }
  }

  #addPackager(stream: Stream): void {
    const { segmentDuration, maxSegmentDuration, listedSegments } = this.#config.hls;
    const now = systemClock.now();
    // Seconds since 1970 never fall back, also not over a restart, and segments are not shorter than a second; an
    // ended stream of this name may still be remembered by players all the same.
    const predecessor = this.#predecessorOf(stream);
    const firstMediaSequence = Math.max(Math.floor(now / 1000), predecessor?.nextMediaSequence ?? 0);
    const packager = new HlsPackager({
      clock: systemClock,
      store: this.#store,
      storePrefix: `${pathOf(stream)}/`,
      session: `${Math.floor(now).toString(36)}${randomBytes(3).toString('hex')}`,
      firstMediaSequence,
      segmentDuration,
      maxSegmentDuration,
      listedSegments,
      onStoreError: (error, uri) =>
        this.#log.error(
          { stream: pathOf(stream), segment: uri, err: error },
          'the store failed with a segment',
        ),
    });
    this.#packagers.set(stream, packager);
    stream.addSink(packager);
  }

  #predecessorOf(stream: Stream): HlsPackager | undefined {
    for (const [other, packager] of this.#packagers) if (pathOf(other) === pathOf(stream)) return packager;
    return undefined;
  }

  #checkWarnings(stream: Stream, packager: HlsPackager): void {
    let warned = this.#warned.get(stream);
    if (warned === undefined) {
      warned = new Set();
      this.#warned.set(stream, warned);
    }
    for (const warning of warningsOf(stream, packager)) {
      if (warned.has(warning.code)) continue;
      warned.add(warning.code);
      this.#log.warn({ stream: pathOf(stream), code: warning.code, fix: warning.fix }, warning.message);
      this.emit('warning', { ...identity(stream), warning });
    }
  }

  /** An ended stream stays for one window, so that every player gets to its end, then goes. */
  #retire(stream: Stream): void {
    const packager = this.#packagers.get(stream);
    void packager?.settled().then(() => {
      const afterlife = Math.max(packager.windowMs, SHORTEST_AFTERLIFE_MS);
      systemClock.after(afterlife, () => {
        this.#registry.remove(stream);
        this.#packagers.delete(stream);
        this.#warned.delete(stream);
        void packager.discard();
      });
    });
  }
}

function noSchemas(): never {
  throw new SluiceError('SLUICE_INTERNAL', 'a route declares a JSON schema, but no compiler is loaded');
}

function identity({ app, name }: Stream): StreamIdentity {
  return { app, name };
}

function pathOf({ app, name }: Stream): string {
  return `${app}/${name}`;
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : '0';
}
