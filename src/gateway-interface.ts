import type { EventEmitter } from 'node:events';
import type { FastifyPluginAsync } from 'fastify';
import type { ConfigChanges } from './config/changes.ts';
import type { ConfigInput } from './config/schema.ts';
import type { StreamView } from './servers/http/stream-view.ts';
import type { GatewayEvents, Logger } from './servers/stream-reporter.ts';

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
  /**
   * Takes new settings without dropping anybody.
   *
   * @returns what holds now, what holds for streams and encoders that begin from now on, and what only after a restart
   * @throws SluiceError SLUICE_CONFIG_INVALID; the old settings stay
   */
  reconfigure(config: ConfigInput): ConfigChanges;
  /**
   * Fastify plugin with everything under a prefix of your app: `await app.register(gateway.plugin, { prefix })`. Your hooks
   * hold for it too, but for `onSend`: playlists and segments go out as they are.
   */
  readonly plugin: FastifyPluginAsync;
  /** The streams as `/api/streams` shows them, and who publishes them. */
  streams(): StreamView[];
  readonly address: GatewayAddress;
}
