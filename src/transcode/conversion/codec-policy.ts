import { reasonNotInTs } from '../../formats/mpegts/muxer.ts';
import type { SluiceError } from '../../media/errors.ts';
import type { AudioCodec, Track, VideoCodec } from '../../media/track.ts';
import { decodersOf } from '../ffmpeg/abilities.ts';
import type { Ffmpeg } from '../ffmpeg/ffmpeg.ts';

/** What happens to a track: it goes on as it is, or as H.264 or AAC, or not at all, or its publisher is refused. */
export type CodecPolicy = 'remux' | 'transcode' | 'drop' | 'reject';
/** `transcode.codecs` of the configuration. */
export type CodecPolicies = Readonly<Partial<Record<VideoCodec | AudioCodec, CodecPolicy | undefined>>>;

export interface TrackDecision {
  readonly track: Track;
  readonly policy: CodecPolicy;
  /** Why, as a sentence without its end. */
  readonly reason: string;
}

export interface PolicyInputs {
  readonly codecs: CodecPolicies;
  /** What was found, why nothing was, or null while it is being looked for. */
  readonly ffmpeg: Ffmpeg | SluiceError | null;
  /** ffmpeg's name of the H.264 encoder. */
  readonly videoEncoder: string;
}

/** Native AAC is in every ffmpeg. */
const AUDIO_ENCODER = 'aac';

/**
 * Decides for each track of an epoch. At most one track of a kind is converted: a playlist of MPEG-TS segments carries
 * one, so a second process would work for nobody.
 */
export function decideTracks(tracks: readonly Track[], inputs: PolicyInputs): TrackDecision[] {
  const decisions = tracks.map((track) => decide(track, inputs));
  return decisions.map((decision) => {
    const { track, policy } = decision;
    if (policy !== 'transcode') return decision;
    const carried = carriedTrack(decisions, track.kind, inputs.codecs);
    if (carried === track) return decision;
    const reason = `HLS in MPEG-TS carries one ${track.kind} track, and ${carried?.id} is there`;
    return { track, policy: 'drop', reason };
  });
}

function carriedTrack(
  decisions: readonly TrackDecision[],
  kind: Track['kind'],
  codecs: CodecPolicies,
): Track | undefined {
  const playable = decisions.filter(
    ({ track, policy }) => track.kind === kind && (policy === 'remux' || policy === 'transcode'),
  );
  // What can go as it is comes before what nobody asked to have converted.
  const first = playable.find(
    ({ track, policy }) => policy === 'remux' || codecs[track.codec] === 'transcode',
  );
  return (first ?? playable[0])?.track;
}

function decide(track: Track, { codecs, ffmpeg, videoEncoder }: PolicyInputs): TrackDecision {
  const name = track.codec.toUpperCase();
  const wanted = codecs[track.codec];
  const notInTs = reasonNotInTs(track);
  if (wanted === 'reject') return { track, policy: 'reject', reason: `transcode.codecs refuses ${name}` };
  if (wanted === 'drop') return { track, policy: 'drop', reason: `transcode.codecs leaves ${name} out` };
  if (wanted !== 'transcode' && notInTs === null) {
    return { track, policy: 'remux', reason: `MPEG-TS carries ${name} as it is` };
  }
  if (wanted === 'remux') {
    return { track, policy: 'drop', reason: `${name} cannot be remuxed into MPEG-TS` };
  }
  const unable = reasonNotConvertible(track, ffmpeg, videoEncoder);
  const why = notInTs ?? `transcode.codecs asks for ${name} to be converted`;
  if (unable === null) return { track, policy: 'transcode', reason: why };
  // A stream as it came is better than none.
  return { track, policy: notInTs === null ? 'remux' : 'drop', reason: `${why}, but ${unable}` };
}

function reasonNotConvertible(
  track: Track,
  ffmpeg: Ffmpeg | SluiceError | null,
  videoEncoder: string,
): string | null {
  if (ffmpeg === null) return null;
  if (ffmpeg instanceof Error) return `there is no ffmpeg to convert it: ${ffmpeg.message}`;
  const decoders = decodersOf(track);
  if (!decoders.some((decoder) => ffmpeg.decoders.has(decoder))) {
    return `ffmpeg ${ffmpeg.version.text} has no decoder for it (${decoders.join(' or ')})`;
  }
  const encoder = track.kind === 'video' ? videoEncoder : AUDIO_ENCODER;
  return ffmpeg.encoders.has(encoder) ? null : `ffmpeg ${ffmpeg.version.text} has no encoder ${encoder}`;
}
