import { reasonNotInTs } from '../../formats/mpegts/muxer.ts';
import type { Stream } from '../../live/stream.ts';
import type { Track } from '../../media/track.ts';
import { type Health, healthOf, sortedBySeverity, type Warning } from '../../media/warning.ts';
import type { HlsPackager } from '../../packaging/hls-packager.ts';
import { multivariantPath } from './hls-address.ts';

/** One track in `/api/streams`. */
export interface TrackView {
  readonly id: string;
  readonly kind: 'video' | 'audio';
  readonly codec: string;
  readonly codecString: string | null;
  readonly width?: number;
  readonly height?: number;
  readonly frameRate?: number | null;
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly inHls: boolean;
  /** Why not, when `inHls` is false. */
  readonly reason?: string;
}

/** One stream in `/api/streams`. */
export interface StreamView {
  readonly app: string;
  readonly name: string;
  readonly state: 'live' | 'grace' | 'ended';
  /** Multivariant playlist, relative to the gateway's root. */
  readonly hls: string;
  readonly publisher: { readonly address: string; readonly encoder: string | null } | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Seconds since `startedAt`. */
  readonly uptime: number;
  /** Bits per second of media. */
  readonly bitrate: number;
  readonly bytes: number;
  readonly frameRate: number | null;
  /** Seconds. */
  readonly keyframeInterval: number | null;
  readonly targetDuration: number | null;
  readonly mediaSequence: number | null;
  readonly tracks: readonly TrackView[];
  /** Poor when viewers suffer, fair when they notice something. */
  readonly health: Health;
  /** The worst first. */
  readonly warnings: readonly Warning[];
}

/** What `/api/streams` shows to everybody: not where somebody publishes from. */
export type PublicStreamView = Omit<StreamView, 'publisher'>;

/** Null for a stream that never had a publisher. */
export function viewStream(
  stream: Stream,
  packager: HlsPackager | null,
  now: number,
  defaultApp: string,
): StreamView | null {
  const { app, name, state, stats, startedAt, publisher, epoch } = stream;
  if (startedAt === null || state === 'idle') return null;
  const warnings = warningsOf(stream, packager);
  return {
    app,
    name,
    state: state === 'closed' ? 'ended' : state,
    hls: multivariantPath(app, name, defaultApp),
    publisher: publisher === null ? null : { address: publisher.address, encoder: publisher.encoder },
    startedAt: new Date(startedAt).toISOString(),
    uptime: round((now - startedAt) / 1000, 1),
    bitrate: Math.round(stats.bitrate),
    bytes: stats.bytes,
    frameRate: stats.frameRate === null ? null : round(stats.frameRate, 2),
    keyframeInterval: stats.keyframeInterval === null ? null : round(stats.keyframeInterval, 3),
    targetDuration: packager?.targetDuration ?? null,
    mediaSequence: packager?.window.segments[0]?.mediaSequence ?? null,
    tracks: (epoch?.tracks ?? []).map((track) => viewTrack(track, packager)),
    health: healthOf(warnings),
    warnings,
  };
}

/** Everything there is to say about a stream, the worst first. */
export function warningsOf(stream: Stream, packager: HlsPackager | null): Warning[] {
  const { keyframeInterval, damagedMessages } = stream.stats;
  const warnings = [...(packager?.warnings(keyframeInterval) ?? []), ...stream.findings()];
  if (damagedMessages > 0) {
    warnings.push({
      code: 'damaged-media',
      severity: 'warning',
      message: `${damagedMessages} messages from the encoder could not be parsed and were dropped.`,
      fix: 'Restart the encoder or update it. If it stays, its output is broken.',
    });
  }
  return sortedBySeverity(warnings);
}

function viewTrack(track: Track, packager: HlsPackager | null): TrackView {
  const { id, kind, codec, codecString } = track;
  const inHls = packager?.carries(track) ?? false;
  const reason = inHls ? {} : { reason: reasonNotInTs(track) ?? `another ${kind} track is in HLS already` };
  const base = { id, kind, codec, codecString, inHls, ...reason };
  return track.kind === 'video'
    ? { ...base, width: track.width, height: track.height, frameRate: track.frameRate }
    : { ...base, sampleRate: track.sampleRate, channels: track.channels };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
