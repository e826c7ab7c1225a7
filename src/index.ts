/**
 * Sluice as a library.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify';
 * import { createGateway } from 'sluice-live';
 *
 * const gateway = createGateway({ rtmp: { port: 1935 } });
 * const app = Fastify();
 * await app.register(gateway.plugin, { prefix: '/live' });
 * gateway.on('live', ({ name }) => console.log(`${name} is live`));
 * await app.listen({ port: 8080 });
 * await gateway.start();
 * ```
 *
 * @packageDocumentation
 */
export { type PlaybackGrant, signPlayback } from './access/playback-token.ts';
export type { ConfigChanges } from './config/changes.ts';
export type { Config, ConfigInput } from './config/schema.ts';
export { createGateway } from './gateway.ts';
export type { Gateway, GatewayAddress, GatewayOptions } from './gateway-interface.ts';
export { type ErrorCode, SluiceError } from './media/errors.ts';
export type { AudioTrack, Track, VideoTrack } from './media/track.ts';
export type { Health, Severity, Warning } from './media/warning.ts';
export type { StreamView, TrackView } from './servers/http/stream-view.ts';
export type { GatewayEvents, Logger, StreamIdentity } from './servers/stream-reporter.ts';
export type { CodecPolicy } from './transcode/conversion/codec-policy.ts';
export type { TrackConversion } from './transcode/conversion/conversion.ts';
export type { LadderEvent } from './transcode/ladder/ladder-options.ts';
export type { RungState, RungView } from './transcode/ladder/rung-view.ts';
