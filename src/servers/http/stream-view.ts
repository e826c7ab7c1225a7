import { reasonNotInTs } from '../../formats/mpegts/muxer.ts';
import type { Stream } from '../../live/stream.ts';
import type { Track } from '../../media/track.ts';
import { healthOf, sortedBySeverity, type Warning } from '../../media/warning.ts';
import type { HlsPackager } from '../../packaging/hls-packager.ts';
import { CODEC_FIX } from '../../packaging/packaging-warnings.ts';
import type { TrackConversion } from '../../transcode/conversion/conversion.ts';
import type { RungView } from '../../transcode/ladder/rung-view.ts';
import type { PublicStreamView, StreamView, TrackView } from './api-schemas.ts';
import { multivariantPath } from './hls-address.ts';

export type { PublicStreamView, StreamView, TrackView };

/** What ffmpeg does for a stream; see `Transcoding`. */
export interface TranscodingViews {
  renditions(stream: Stream): RungView[];
  conversions(stream: Stream): readonly TrackConversion[];
}

/** Null for a stream that never had a publisher. */
export function viewStream(
  stream: Stream,
  packager: HlsPackager | null,
  transcoding: TranscodingViews,
  now: number,
  defaultApp: string,
): StreamView | null {
  const { app, name, state, stats, startedAt, publisher, epoch } = stream;
  if (startedAt === null || state === 'idle') return null;
  const warnings = warningsOf(stream, packager, transcoding);
  const conversions = transcoding.conversions(stream);
  return {
    app,
    name,
    state: state === 'closed' ? 'ended' : state,
    slate: stream.showsSlate,
    hls: multivariantPath(app, name, defaultApp),
    publisher: publisher === null ? null : { address: publisher.address, encoder: publisher.encoder },
    startedAt: new Date(startedAt).toISOString(),
    uptime: round((now - startedAt) / 1000, 1),
    bitrate: Math.round(stats.bitrate),
    bytes: stats.bytes,
    frameRate: stats.frameRate === null ? null : round(stats.frameRate, 2),
    keyframeInterval: stats.keyframeInterval === null ? null : round(stats.keyframeInterval, 3),
    targetDuration: packager?.targetDuration ?? null,
    mediaSequence: packager?.rendition.window.segments[0]?.mediaSequence ?? null,
    tracks: (epoch?.tracks ?? []).map((track) =>
      viewTrack(
        track,
        packager,
        conversions.find(({ trackId }) => trackId === track.id),
      ),
    ),
    renditions: transcoding.renditions(stream),
    health: healthOf(warnings),
    warnings,
  };
}

/** What everybody may see of it. */
export function publicView({
  publisher,
  renditions,
  tracks,
  warnings,
  ...view
}: StreamView): PublicStreamView {
  // What ffmpeg says about this computer, and where it was looked for, is not for everybody.
  return {
    ...view,
    renditions: renditions.map(withoutError),
    tracks: tracks.map((track) => {
      const { reason, ...rest } = withoutError(track);
      return reason === undefined ? rest : { ...rest, reason: withoutDetail(reason) };
    }),
    warnings: warnings.map(publicWarning),
  };
}

function publicWarning(warning: StreamView['warnings'][number]): StreamView['warnings'][number] {
  switch (warning.code) {
    case 'track-not-converted':
      return { ...warning, message: `${withoutDetail(warning.message)}.` };
    case 'segments-lost':
      return { ...warning, fix: 'Tell whoever runs this server. Its log says what is wrong.' };
    default:
      return warning;
  }
}

/** What stands before the words of others. */
function withoutDetail(text: string): string {
  return text.split(': ', 1)[0] ?? '';
}

/** What the packager does not know: it gets what came out. */
function conversionWarning({ trackId, policy, reason, state, error }: TrackConversion): Warning[] {
  const fix = CODEC_FIX[trackId.startsWith('v') ? 'video' : 'audio'];
  if (policy !== 'transcode') return [];
  if (state === 'failed') {
    const message = `Track ${trackId} cannot be converted now: ${error?.message ?? reason}.`;
    return [{ code: 'track-not-converted', severity: 'problem', message, fix }];
  }
  const message = `Track ${trackId} is converted by ffmpeg, which costs CPU time and delay: ${reason}.`;
  return [{ code: 'track-converted', severity: 'notice', message, fix }];
}

function withoutError<T extends { readonly error: string | null }>(view: T): T {
  return { ...view, error: null };
}

/** Everything there is to say about a stream, the worst first. */
export function warningsOf(
  stream: Stream,
  packager: HlsPackager | null,
  transcoding: Pick<TranscodingViews, 'conversions'>,
): Warning[] {
  const { keyframeInterval, damagedMessages } = stream.stats;
  const warnings = [
    ...(packager?.warnings(keyframeInterval) ?? []),
    ...transcoding.conversions(stream).flatMap(conversionWarning),
    ...stream.findings(),
  ];
  if (damagedMessages > 0) {
    const messages = damagedMessages === 1 ? 'A message' : `${damagedMessages} messages`;
    warnings.push({
      code: 'damaged-media',
      severity: 'warning',
      message: `${messages} from the encoder could not be parsed and had to be dropped.`,
      fix: 'Restart the encoder or update it. If it stays, its output is broken.',
    });
  }
  return sortedBySeverity(warnings);
}

function viewTrack(
  track: Track,
  packager: HlsPackager | null,
  conversion: TrackConversion | undefined,
): TrackView {
  const { id, kind, codec, codecString } = track;
  const carried = packager?.carries(track) ?? false;
  const inHls = carried || conversion?.state === 'running';
  const policy = conversion?.policy ?? (carried ? 'remux' : 'drop');
  const why =
    policy === 'remux'
      ? (reasonNotInTs(track) ?? `another ${kind} track is in HLS already`)
      : (conversion?.reason ?? '');
  const base = {
    ...{ id, kind, codec, codecString, inHls, policy },
    ...(carried ? {} : { reason: why }),
    conversion: conversion?.state ?? null,
    error: conversion?.error?.message ?? null,
  };
  return track.kind === 'video'
    ? { ...base, width: track.width, height: track.height, frameRate: track.frameRate }
    : { ...base, sampleRate: track.sampleRate, channels: track.channels };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
