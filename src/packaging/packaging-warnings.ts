import { reasonNotInTs } from '../formats/mpegts/muxer.ts';
import type { Track } from '../media/track.ts';
import type { Warning } from '../media/warning.ts';

/** Keyframes this much further apart than the wanted segment length are worth a word. */
const TOLERATED = 1.75;
/** Players keep three target durations from the end (RFC 8216 6.3.3). */
const PLAYER_DISTANCE = 3;

const KEYFRAME_FIX =
  'In OBS: Settings > Output > Output Mode "Advanced" > Streaming > Keyframe Interval: 2 s. With ffmpeg: -g 60 at 30 fps (frames per second × 2).';

/** What to change so that a track can travel as it is. */
export const CODEC_FIX = {
  video: 'Send H.264. In OBS: Settings > Output > Streaming > Video Encoder: an H.264 encoder.',
  audio: 'Send AAC. In OBS: Settings > Output > Streaming > Audio Encoder: an AAC encoder.',
};
/** HLS carries one track of a kind, so no codec helps the others. */
const FURTHER_TRACK_FIX = {
  video: 'Send one video track. In OBS: Settings > Stream > Enable Multitrack Video: off.',
  audio:
    'Send one audio track. In OBS: Settings > Output > Output Mode "Advanced" > Streaming > Twitch VOD Track: off.',
};

export interface PackagingState {
  readonly tracks: readonly Track[];
  readonly carries: (track: Track) => boolean;
  /** Seconds. */
  readonly keyframeInterval: number | null;
  readonly segmentDuration: number;
  readonly targetDuration: number | null;
  readonly forcedCuts: number;
  /** Segments cannot be stored now. */
  readonly losesSegments: boolean;
}

export function packagingWarnings(state: PackagingState): Warning[] {
  const warnings: Warning[] = [];
  const { keyframeInterval: interval, segmentDuration, targetDuration, forcedCuts } = state;
  if (state.losesSegments) {
    warnings.push({
      code: 'segments-lost',
      severity: 'problem',
      message: 'Segments cannot be stored and are lost, so viewers miss them. The encoder is not at fault.',
      fix: 'Make room where the gateway keeps segments (storage.directory, storage.maxBytes), or see to its disk. Its log says what is wrong.',
    });
  }
  if (interval !== null && interval > segmentDuration * TOLERATED) {
    warnings.push({
      code: 'keyframe-interval-long',
      severity: 'warning',
      message: `Keyframes come every ${interval.toFixed(1)} s${effectOf(interval, state)}.`,
      fix: KEYFRAME_FIX,
    });
  }
  if (forcedCuts > 0) {
    const segments = forcedCuts === 1 ? 'A segment' : `${forcedCuts} segments`;
    warnings.push({
      code: 'segments-without-keyframe',
      severity: 'warning',
      message: `${segments} had to begin without a keyframe, because the next one came later than the playlist's target duration of ${targetDuration ?? '?'} s allows. Viewers who join there wait for a picture.`,
      fix: KEYFRAME_FIX,
    });
  }
  for (const track of state.tracks) {
    if (state.carries(track)) continue;
    const reason = reasonNotInTs(track);
    warnings.push({
      code: 'track-not-in-hls',
      // A further track is a rendition less; one that cannot travel leaves viewers without picture or sound.
      severity: reason === null ? 'notice' : 'problem',
      message:
        reason === null
          ? `Track ${track.id} is a further ${track.kind} track; HLS carries the first one.`
          : `Track ${track.id} is not in the HLS output: ${reason}.`,
      fix: (reason === null ? FURTHER_TRACK_FIX : CODEC_FIX)[track.kind],
    });
  }
  return warnings;
}

function effectOf(interval: number, { segmentDuration, targetDuration }: PackagingState): string {
  const longer = `, so segments are longer than ${segmentDuration} s`;
  if (targetDuration === null) return longer;
  // Nothing waits for those: what they cost is told with the segments without a keyframe.
  if (Math.round(interval) > targetDuration) return '';
  return `${longer} and viewers are about ${targetDuration * PLAYER_DISTANCE} s behind`;
}
