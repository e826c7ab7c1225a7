import { parseSps } from '../../codecs/h264.ts';
import type { AudioTrack, Track, VideoTrack } from '../../media/track.ts';
import type { Warning } from '../../media/warning.ts';

/** H.264 profiles that browsers and phones do not decode (H.264 annex A). */
const UNPLAYABLE_PROFILES: ReadonlyMap<number, string> = new Map([
  [44, 'CAVLC 4:4:4'],
  [83, 'Scalable Baseline'],
  [86, 'Scalable High'],
  [88, 'Extended'],
  [110, 'High 10'],
  [118, 'Multiview High'],
  [122, 'High 4:2:2'],
  [128, 'Stereo High'],
  [244, 'High 4:4:4'],
]);
/** 4K at 60 fps; hardware decoders end here. */
const HIGHEST_LEVEL = 52;
/** HE-AAC is described by its core rate, which is half of what is heard, and not all encoders say that it is HE-AAC. */
const COMMON_SAMPLE_RATES = new Set([22_050, 24_000, 44_100, 48_000]);

/** What the codecs' own headers say that players will not like. */
export function formatWarnings(tracks: readonly Track[]): Warning[] {
  const video = tracks.find((track) => track.kind === 'video');
  const audio = tracks.find((track) => track.kind === 'audio');
  return [
    ...(video === undefined ? [] : videoWarnings(video)),
    ...(audio === undefined ? [] : audioWarnings(audio)),
  ];
}

function videoWarnings({ h264 }: VideoTrack): Warning[] {
  const sps = h264?.sps[0];
  // The demuxer made the track out of it, so it parses.
  if (sps === undefined) return [];
  const { profile, level, interlaced } = parseSps(sps);
  const warnings: Warning[] = [];
  const name = UNPLAYABLE_PROFILES.get(profile);
  if (name !== undefined) {
    warnings.push({
      code: 'video-profile',
      severity: 'problem',
      message: `The video is H.264 ${name}, which most browsers and phones do not play.`,
      fix: 'In OBS: Settings > Advanced > Video > Color Format: NV12, and Settings > Output > Output Mode "Advanced" > Streaming > Profile: high. With ffmpeg: -pix_fmt yuv420p -profile:v high.',
    });
  }
  if (level > HIGHEST_LEVEL) {
    warnings.push({
      code: 'video-level',
      severity: 'warning',
      message: `The video is H.264 level ${level / 10}; most devices decode up to ${HIGHEST_LEVEL / 10}.`,
      fix: 'Send a smaller picture or fewer frames. In OBS: Settings > Video > Output (Scaled) Resolution, and Common FPS Values.',
    });
  }
  if (interlaced) {
    warnings.push({
      code: 'video-interlaced',
      severity: 'warning',
      message: 'The video is interlaced; players show moving edges as combs.',
      fix: 'Deinterlace before sending. In OBS: right-click the source > Deinterlacing. With ffmpeg: -vf bwdif.',
    });
  }
  return warnings;
}

function audioWarnings({ codec, sampleRate, channels }: AudioTrack): Warning[] {
  const warnings: Warning[] = [];
  if (codec === 'aac' && sampleRate > 0 && !COMMON_SAMPLE_RATES.has(sampleRate)) {
    warnings.push({
      code: 'audio-sample-rate',
      severity: 'notice',
      message: `The audio has a sample rate of ${sampleRate / 1000} kHz; not all players take other rates than 44.1 and 48 kHz.`,
      fix: 'In OBS: Settings > Audio > Sample Rate: 48 kHz. With ffmpeg: -ar 48000.',
    });
  }
  if (channels > 2) {
    warnings.push({
      code: 'audio-channels',
      severity: 'notice',
      message: `The audio has ${channels} channels; some players take stereo only.`,
      fix: 'In OBS: Settings > Audio > Channels: Stereo. With ffmpeg: -ac 2.',
    });
  }
  return warnings;
}
