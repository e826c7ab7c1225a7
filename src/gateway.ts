import { EventEmitter } from 'node:events';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { pino } from 'pino';
import { isInRanges } from './access/address-rules.ts';
import { Gatekeeper } from './access/gatekeeper.ts';
import { openApplications } from './access/open-port.ts';
import { type ConfigChanges, changesBetween } from './config/changes.ts';
import { parseConfig } from './config/load.ts';
import type { Config, ConfigInput } from './config/schema.ts';
import { SettingsByApp } from './config/settings-by-app.ts';
import type { Gateway, GatewayAddress, GatewayOptions } from './gateway-interface.ts';
import { type Hooks, makeHooks } from './hooks/hooks.ts';
import { type StreamHooks, streamHooks } from './hooks/stream-hooks.ts';
import { IngestTotals } from './live/ingest-totals.ts';
import type { Stream } from './live/stream.ts';
import { StreamRegistry } from './live/stream-registry.ts';
import { mediaBlocks } from './media/block-pool.ts';
import { ERRORS, SluiceError } from './media/errors.ts';
import { HlsOutputs } from './packaging/hls-outputs.ts';
import type { HlsPackager } from './packaging/hls-packager.ts';
import { PackagingFigures } from './packaging/packaging-figures.ts';
import { restoreStreams } from './packaging/restore-streams.ts';
import { endOrphans } from './processes/orphans.ts';
import { CrowdLog } from './servers/crowd-log.ts';
import { type ConnectionShares, descriptorLimit, shareDescriptors } from './servers/descriptors.ts';
import { type GatewayIncidents, gatewayIncidents } from './servers/gateway-incidents.ts';
import type { ServerView } from './servers/http/api-schemas.ts';
import { gatewayPlugin } from './servers/http/gateway-plugin.ts';
import { listenHttp, makeHttpServer, SUCCESSOR_LIFE_MS } from './servers/http/http-server.ts';
import { type HttpIncidents, httpIncidents } from './servers/http/incidents.ts';
import { RequestCounters } from './servers/http/request-counters.ts';
import { streamFigures } from './servers/http/stream-figures.ts';
import { publicView, type StreamView, viewStream, warningsOf } from './servers/http/stream-view.ts';
import { listenAddress } from './servers/listen-address.ts';
import { watchMachine } from './servers/machine-watch.ts';
import { processFigures } from './servers/process-figures.ts';
import { startDemo } from './servers/rtmp/demo-publisher.ts';
import { RtmpServer } from './servers/rtmp/rtmp-server.ts';
import { type GatewayEvents, type Logger, StreamReporter } from './servers/stream-reporter.ts';
import { systemClock } from './servers/system-clock.ts';
import { shutDown } from './shutdown.ts';
import { openStorage, type Storage } from './storage/open-storage.ts';
import { type FfmpegFinder, makeFfmpegFinder } from './transcode/ffmpeg/finder.ts';
import { reportFfmpeg } from './transcode/ffmpeg/report.ts';
import { makeSlates, type Slates } from './transcode/slates.ts';
import { makePictureMaker, type PictureMaker } from './transcode/thumbnails/picture-maker.ts';
import { makePreviews, type Previews } from './transcode/thumbnails/preview.ts';
import { makeThumbnails, type Thumbnails } from './transcode/thumbnails/thumbnails.ts';
import { Transcoding } from './transcode/transcoding.ts';
import { VERSION } from './version.ts';

/** Application whose streams are at `/hls/<name>.m3u8`. */
export const DEFAULT_APP = 'live';
const DEMO_KEY = 'demo';
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const PUBLISH_OPEN =
  'anybody who reaches the RTMP port can publish: set publish.keys (`sluice key <name>` makes one), publish.allow or callback.url';
const WARNING_CHECK_MS = 1000;
const VIEWER_MEMORY_MS = 10_000;

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
  /** As the gateway was started; what needs a restart is compared with it. */
  readonly #startConfig: Config;
  #config: Config;
  #settings: SettingsByApp;
  readonly #log: Logger;
  readonly #crowd: CrowdLog<'info' | 'warn' | 'error'>;
  readonly #incidents: GatewayIncidents;
  readonly #httpIncidents: HttpIncidents;
  readonly #registry: StreamRegistry;
  readonly #gatekeeper: Gatekeeper;
  readonly #slates: Slates;
  #storage: Storage | null = null;
  /** Null before the start. */
  #outputs: HlsOutputs | null = null;
  readonly #reporter: StreamReporter;
  readonly #hooks: Hooks;
  readonly #streamHooks: StreamHooks;
  readonly #ffmpeg: FfmpegFinder;
  readonly #transcoding: Transcoding;
  readonly #rtmp: RtmpServer;
  readonly #counters = new RequestCounters();
  /** Makes pictures of streams. */
  readonly #pictures: PictureMaker;
  readonly #thumbnails: Thumbnails;
  readonly #previews: Previews;
  readonly #figures = new PackagingFigures();
  readonly #ingest = new IngestTotals();
  #startedAt = systemClock.now();
  readonly #descriptorLimit = descriptorLimit();
  /** Applications in which anybody can publish. */
  #open: readonly string[] = [];
  /** When a process that is to replace this one has announced itself. */
  #successorAt = Number.NEGATIVE_INFINITY;
  /** Streams go on in the next process. */
  #leaves = false;
  #http: FastifyInstance | null = null;
  /** Resolves when the streams of an earlier process are there again, or cannot be. Viewers wait for it. */
  #restoring: Promise<void> | null = null;
  #embedded = false;
  #watch: NodeJS.Timeout | null = null;
  #stopMachineWatch: (() => void) | null = null;
  #lastViewerAt = Number.NEGATIVE_INFINITY;
  #state: 'new' | 'running' | 'closing' = 'new';
  #starting: Promise<GatewayAddress> | null = null;
  #closing: Promise<void> | null = null;

  constructor(config: Config, { logger }: GatewayOptions) {
    super();
    this.#startConfig = config;
    this.#config = config;
    this.#settings = new SettingsByApp(config);
    this.#log = logger ?? pino({ enabled: false });
    this.#crowd = new CrowdLog(systemClock, this.#log);
    this.#incidents = gatewayIncidents(this.#crowd);
    this.#httpIncidents = httpIncidents(this.#crowd);
    this.#reporter = new StreamReporter(systemClock, this.#log, this);
    this.#ffmpeg = makeFfmpegFinder({
      configured: () => this.#startConfig.transcode.ffmpeg,
      clock: systemClock,
    });
    this.#slates = makeSlates({
      source: (app) => this.#settings.of(app).publish.slate,
      ffmpeg: this.#ffmpeg,
      niceness: () => this.#config.transcode.niceness,
      clock: systemClock,
      log: this.#log,
    });
    this.#hooks = makeHooks({
      settings: (app) => this.#settings.of(app).hooks,
      clock: systemClock,
      tell: (incident) => this.#crowd.note({ level: 'info', ...incident }),
    });
    this.#streamHooks = streamHooks(this.#hooks);
    this.#registry = new StreamRegistry({
      clock: systemClock,
      graceMs: (app) => {
        const ms = this.#settings.of(app).publish.graceWindow * 1000;
        // What ended here later would end the playlists of the next gateway, and delete their segments.
        return this.#leaves && ms > 0 ? LONGEST_TIMER_MS : ms;
      },
      takeover: (app) => this.#settings.of(app).publish.takeover,
      maxStreams: () => this.#config.publish.maxStreams,
      onDisplaced: ({ path }, peer) => this.#incidents.displaced(path, peer, this.#config.publish.maxStreams),
      onState: (stream) => this.#streamChanged(stream),
      // What is written after the storage was handed on would be in the way of the next process.
      slate: (stream) => (this.#state === 'closing' ? null : this.#slates.choose(stream.app)),
      onEpoch: (stream, epoch) => {
        this.#reporter.epochBegan(stream, epoch);
        this.#slates.prepare(stream.app, epoch);
      },
      onSinkFault: (stream, error) => this.#outputFailed(stream, error),
    });
    this.#transcoding = new Transcoding({
      clock: systemClock,
      ffmpeg: this.#ffmpeg,
      settings: (app) => (app === null ? this.#config : this.#settings.of(app)),
      onLadder: (stream, event) => this.#reporter.ladder(stream, event),
      onConversion: (stream, track) => this.#reporter.conversion(stream, track),
      onReject: (stream, error) => this.#outputFailed(stream, error),
      onFault: (stream, error) => this.#outputFailed(stream, error),
    });
    this.#gatekeeper = new Gatekeeper({
      settings: (app) => this.#settings.of(app),
      // What signed the addresses goes by the clock on the wall, and so does this, also when it is put right.
      now: () => Date.now() / 1000,
      onCallbackFailure: ({ action, app, name }, reason, allowed) =>
        this.#incidents.callbackFailed(action, `${app}/${name}`, reason, allowed),
    });
    this.#rtmp = new RtmpServer({
      registry: this.#registry,
      authorize: (attempt) => this.#gatekeeper.publish(attempt),
      clock: systemClock,
      log: this.#log,
      limits: () => ({
        handshakeTimeoutMs: this.#config.rtmp.handshakeTimeout * 1000,
        idleTimeoutMs: this.#config.rtmp.idleTimeout * 1000,
        maxConnections: this.#shares().rtmp,
      }),
      httpPort: () => this.address.httpPort,
    });
    this.#pictures = makePictureMaker({ ffmpeg: this.#ffmpeg, clock: systemClock });
    this.#thumbnails = makeThumbnails({ maker: this.#pictures, clock: systemClock });
    this.#previews = makePreviews({ maker: this.#pictures, clock: systemClock });
    const plugin = this.#makePlugin(false);
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
    return this.#viewed().map(([, view]) => view);
  }

  reconfigure(input: ConfigInput): ConfigChanges {
    const config = parseConfig(input);
    const { live, forNew } = changesBetween(this.#config, config);
    const { restart } = changesBetween(this.#startConfig, config);
    this.#config = config;
    this.#settings = new SettingsByApp(config);
    this.#outputs?.settingsChanged();
    this.#transcoding.settingsChanged();
    this.#limitConnections();
    this.#warnOfOpenPort();
    return { live, forNew, restart };
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
    if (this.#closing !== null) throw new SluiceError('SLUICE_SHUTTING_DOWN', 'the gateway was closed');
    this.#startedAt = systemClock.now();
    const { rtmp, http, demo } = this.#config;
    try {
      const host = await listenAddress(this.#config.host);
      const app = this.#embedded ? null : await this.#makeHttp();
      this.#http = app;
      this.#limitConnections();
      // The port of a process that is being replaced is free now: the fewer viewers notice, the better.
      const waiting = await this.#openStorage(async () => {
        if (app !== null) await listenHttp(app, http.port, host, this.#log);
      });
      await this.#rtmp.listen(rtmp.port, host);
      for (const stream of waiting) stream.awaitPublisher();
      this.#warnOfOpenPort();
      if (demo) {
        const port = this.#rtmp.port ?? rtmp.port;
        await startDemo({ host: host ?? '127.0.0.1', port, app: DEFAULT_APP, key: DEMO_KEY });
      }
    } catch (error) {
      await Promise.all([this.#rtmp.close(), this.#http?.close()]);
      await this.#storage?.release();
      throw error;
    }
    this.#state = 'running';
    this.#log.info({ version: VERSION, ...this.address }, 'started');
    this.#watch = setInterval(() => {
      for (const stream of this.#registry.list()) {
        this.#reporter.checkWarnings(stream, warningsOf(stream, this.#outputOf(stream), this.#transcoding));
      }
    }, WARNING_CHECK_MS);
    this.#watch.unref();
    this.#stopMachineWatch = watchMachine(systemClock, this.#crowd);
    // Nobody waits for it: what is native works without.
    void reportFfmpeg(this.#ffmpeg, {
      configured: this.#startConfig.transcode.ffmpeg !== undefined,
      needed: this.#config.ladder.length > 0,
      log: this.#log,
    });
    void this.#endOrphans();
    return this.address;
  }

  #shares(): ConnectionShares {
    return shareDescriptors(this.#descriptorLimit, this.#config.rtmp.maxConnections);
  }

  /** How many connections an app that has the gateway as a plugin takes is its own business. */
  #limitConnections(): void {
    const { rtmp, http } = this.#shares();
    if (this.#http !== null) this.#http.server.maxConnections = http;
    const { maxConnections } = this.#config.rtmp;
    if (rtmp === maxConnections) return;
    this.#log.warn(
      { code: 'SLUICE_DESCRIPTORS_EXHAUSTED', fix: ERRORS.SLUICE_DESCRIPTORS_EXHAUSTED },
      `${this.#descriptorLimit} file descriptors are too few for rtmp.maxConnections ${maxConnections}: it is ${rtmp}`,
    );
  }

  /** Once for each application that has come to be open. */
  #warnOfOpenPort(): void {
    if (this.#rtmp.port === null) return;
    const open = openApplications(this.#startConfig.host, this.#settings.entries());
    const more = open.filter((app) => !this.#open.includes(app));
    this.#open = open;
    if (more.length === 0) return;
    const fields = { code: 'SLUICE_PUBLISH_OPEN', port: this.#rtmp.port, applications: more.join(' ') };
    this.#log.warn(fields, PUBLISH_OPEN);
  }

  #makeHttp(): Promise<FastifyInstance> {
    const { idleTimeout, trustProxy } = this.#startConfig.http;
    return makeHttpServer({
      plugin: this.#makePlugin(true),
      idleTimeoutMs: idleTimeout * 1000,
      trustProxy: (address) => isInRanges(address, trustProxy),
      incidents: this.#httpIncidents,
    });
  }

  #makePlugin(standalone: boolean): FastifyPluginAsync {
    return gatewayPlugin({
      version: VERSION,
      defaultApp: DEFAULT_APP,
      standalone,
      hls: {
        find: (app, name) => this.#outputs?.find(app, name) ?? [],
        access: this.#gatekeeper,
        onRequest: () => {
          this.#lastViewerAt = systemClock.now();
        },
        onWanted: (app, name, rendition) => {
          const stream = this.#registry.get(app, name);
          return stream !== null && this.#transcoding.wanted(stream, rendition);
        },
      },
      restoring: () => this.#restoring,
      thumbnails: {
        thumbnails: this.#thumbnails,
        previews: this.#previews,
        find: (app, name) => this.#registry.get(app, name),
      },
      open: {
        rtmpPort: () => this.#rtmp.port,
        publicStreams: () =>
          this.streams()
            .filter(({ app }) => this.#gatekeeper.isOpen(app) && this.#settings.of(app).play.listed)
            .map(publicView),
        onSuccessor: () => {
          this.#successorAt = systemClock.now();
        },
        ready: () => this.#state === 'running',
      },
      api: {
        token: () => this.#config.api.token ?? null,
        server: () => this.#viewServer(),
        streams: () => this.streams(),
        kick: (app, name, blockSeconds) => this.#kick(app, name, blockSeconds),
      },
      metrics: {
        packaging: this.#figures,
        streams: () =>
          this.#viewed().map(([stream, view]) => streamFigures(stream, this.#outputOf(stream), view)),
        rtmp: () => ({ connections: this.#rtmp.connectionCount, refused: this.#rtmp.refusedCount }),
        ingest: () =>
          this.#ingest.with(
            this.#registry.list().flatMap(({ state, stats }) => (state === 'closed' ? [] : [stats])),
          ),
        storeBytes: () => this.#storage?.store.bytes ?? 0,
        storeQueuedBytes: () => this.#storage?.queuedBytes() ?? 0,
        fileErrors: () => this.#storage?.fileErrors() ?? {},
        mediaMemory: () => ({ used: mediaBlocks.bytesInUse, reserved: mediaBlocks.reservedBytes }),
        denied: () => this.#gatekeeper.denied,
        hooks: () => this.#hooks.figures(),
        transcoding: () => this.#transcoding.figures,
      },
      counters: this.#counters,
      incidents: this.#httpIncidents,
    });
  }

  /**
   * @param onOwned called as soon as no other process uses the storage
   * @returns the streams that an earlier process had and that still have viewers to go on with
   */
  async #openStorage(onOwned: () => Promise<void>): Promise<readonly Stream[]> {
    let restored = () => {};
    this.#restoring = new Promise((resolve) => {
      restored = resolve;
    });
    try {
      const { storage: options } = this.#config;
      return this.#restore(
        await openStorage({
          ...options,
          clock: systemClock,
          systemTime: Date.now,
          onOwned,
          onFileError: this.#incidents.fileFailed,
          log: this.#log,
        }),
      );
    } finally {
      this.#restoring = null;
      restored();
    }
  }

  #restore(storage: Storage): readonly Stream[] {
    this.#storage = storage;
    const outputs = new HlsOutputs({
      clock: systemClock,
      store: storage.store,
      settings: (app) => this.#settings.of(app).hls,
      persistent: storage.persistent,
      journal: storage.journal,
      playlistFiles: storage.playlistFiles,
      isOpen: (app) => this.#gatekeeper.isOpen(app),
      figures: this.#figures,
      onListed: (stream) => this.#streamHooks.segmentListed(stream),
      prepare: (stream, packager) => this.#transcoding.prepare(stream, packager),
      onStored: (stream) =>
        this.#reporter.segmentStored(stream, this.#outputOf(stream)?.losesSegments ?? false),
      onStoreError: (stream, error, uri, action) => {
        if (action === 'put') return this.#reporter.segmentLost(stream, error, uri);
        if (action === 'get') this.#reporter.segmentUnreadable(stream, error);
        this.#incidents.segmentFailed(stream.path, uri, action, error);
      },
    });
    this.#outputs = outputs;
    const { waiting, ended } = restoreStreams(storage.states, {
      outputs,
      registry: this.#registry,
      graceMs: (app) => this.#settings.of(app).publish.graceWindow * 1000,
      now: Date.now(),
    });
    for (const stream of ended) this.#retire(stream);
    // What was open when the last process wrote it may not be any more.
    outputs.settingsChanged();
    storage.startCleaning((name) => outputs.holds(name));
    return waiting;
  }

  #viewed(): [Stream, StreamView][] {
    const now = systemClock.now();
    return this.#registry.list().flatMap((stream): [Stream, StreamView][] => {
      const view = viewStream(stream, this.#outputOf(stream), this.#transcoding, now, DEFAULT_APP);
      return view === null ? [] : [[stream, view]];
    });
  }

  #viewServer(): ServerView {
    return {
      version: VERSION,
      uptime: (systemClock.now() - this.#startedAt) / 1000,
      ...this.address,
      defaultApp: DEFAULT_APP,
      ...processFigures(),
      storeBytes: this.#storage?.store.bytes ?? 0,
      rtmpConnections: this.#rtmp.connectionCount,
    };
  }

  #kick(app: string, name: string, blockSeconds: number): boolean {
    const stream = this.#registry.get(app, name);
    if (stream === null) return false;
    this.#log.info({ stream: stream.path, blockSeconds }, 'ended by an operator');
    this.#registry.block(app, name, blockSeconds * 1000);
    stream.close('SLUICE_PUBLISH_KICKED');
    return true;
  }

  async #close(): Promise<void> {
    const beganAt = systemClock.now();
    this.#state = 'closing';
    this.#log.info({ streams: this.#registry.list().length }, 'stopping');
    // A start that is under way ends first; whether it works no longer matters.
    await this.#starting?.catch(() => undefined);
    this.#state = 'closing';
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#stopMachineWatch?.();
    this.#rtmp.stopListening();
    this.#leaves = this.#canLeave();
    await shutDown(
      {
        clock: systemClock,
        registry: this.#registry,
        rtmp: this.#rtmp,
        transcoding: this.#transcoding,
        hooks: this.#hooks,
        slates: this.#slates,
        pictures: this.#pictures,
        outputs: this.#outputs,
        storage: this.#storage,
        http: this.#http,
        leaves: this.#leaves,
        isWatched: () => systemClock.now() - this.#lastViewerAt < VIEWER_MEMORY_MS,
      },
      beganAt,
    );
    this.#log.info({ ms: Math.round(systemClock.now() - beganAt) }, 'stopped');
  }

  /** With segments in memory only to a process that waits for them: without one players are to see the end. */
  #canLeave(): boolean {
    if (this.#storage === null) return false;
    const isAwaited = systemClock.now() - this.#successorAt < SUCCESSOR_LIFE_MS;
    return this.#storage.persistent || (this.#storage.goesOn && isAwaited);
  }

  async #endOrphans(): Promise<void> {
    const processes = await endOrphans();
    if (processes > 0) this.#log.info({ processes }, 'ended what a gateway that was killed had left running');
  }

  #outputOf(stream: Stream): HlsPackager | null {
    return this.#outputs?.of(stream) ?? null;
  }

  /** Without its output a stream is worth nothing; the encoder will reconnect and begin a new one. */
  #outputFailed(stream: Stream, error: unknown): void {
    const known = error instanceof SluiceError;
    const code = known ? error.code : 'SLUICE_INTERNAL';
    const reason = known ? error.message : 'an output failed';
    this.#log.error(
      { stream: stream.path, code, ...(known ? {} : { err: error }) },
      `stream closed: ${reason}`,
    );
    // Not in the middle of the delivery that failed.
    queueMicrotask(() => stream.close(code));
  }

  #streamChanged(stream: Stream): void {
    if (stream.state === 'live' && this.#outputOf(stream) === null) this.#outputs?.begin(stream);
    this.#reporter.stateChanged(stream);
    this.#streamHooks.stateChanged(stream);
    if (stream.state !== 'closed') return;
    this.#ingest.end(stream.stats);
    this.#retire(stream, () => {
      this.#reporter.ended(stream);
      this.#streamHooks.ended(stream);
    });
  }

  /** @param ended called when the playlist has ENDLIST */
  #retire(stream: Stream, ended = () => {}): void {
    void this.#outputs
      ?.retire(stream, () => {
        this.#registry.remove(stream);
        this.#transcoding.forget(stream);
      })
      .then(ended)
      .catch((error: unknown) => this.#outputFailed(stream, error));
  }
}
