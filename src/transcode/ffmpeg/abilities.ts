import { SluiceError } from '../../media/errors.ts';
import type { AudioCodec, Track, VideoCodec } from '../../media/track.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import type { TrackOutput } from './outputs.ts';

/** ffmpeg's decoders of a codec, each of which will do. */
const DECODERS: Readonly<Record<VideoCodec | AudioCodec, readonly string[]>> = {
  h264: ['h264'],
  hevc: ['hevc'],
  vvc: ['vvc', 'libvvdec'],
  // The native `av1` is only the frame of a hardware decoder.
  av1: ['libdav1d', 'libaom-av1'],
  vp9: ['vp9', 'libvpx-vp9'],
  vp8: ['vp8', 'libvpx'],
  h263: ['flv'],
  vp6: ['vp6f'],
  screen: ['flashsv'],
  mpeg4: ['mpeg4'],
  aac: ['aac', 'libfdk_aac'],
  mp3: ['mp3float', 'mp3'],
  opus: ['opus', 'libopus'],
  flac: ['flac'],
  ac3: ['ac3', 'ac3_fixed'],
  eac3: ['eac3'],
  speex: ['speex', 'libspeex'],
  nellymoser: ['nellymoser'],
  g711a: ['pcm_alaw'],
  g711u: ['pcm_mulaw'],
  adpcm: ['adpcm_swf'],
  pcm: ['pcm_s16le'],
};

/** CodecID of video tags whose codec has a brother under the same name. */
const FLV_VIDEO_DECODERS: Readonly<Record<number, readonly string[]>> = {
  5: ['vp6a'],
  6: ['flashsv2'],
  8: ['h263'],
};
/** SoundSize of audio tags: set for 16 bits. */
const FLV_SAMPLES_OF_16_BITS = 0x02;

/** ffmpeg's decoders of this very track, each of which will do. */
export function decodersOf({ kind, codec, flvHeader }: Track): readonly string[] {
  if (flvHeader !== null) {
    const special = kind === 'video' ? FLV_VIDEO_DECODERS[flvHeader & 0x0f] : undefined;
    if (special !== undefined) return special;
    if (codec === 'pcm' && (flvHeader & FLV_SAMPLES_OF_16_BITS) === 0) return ['pcm_u8'];
  }
  return DECODERS[codec];
}

/** What comes out of ffmpeg comes as FLV, which has had room for newer codecs since this version. */
const ENHANCED_FLV = { major: 6, minor: 1 };

/** Whether this ffmpeg can decode a track. */
function canDecode(ffmpeg: Ffmpeg, track: Track): boolean {
  return decodersOf(track).some((decoder) => ffmpeg.decoders.has(decoder));
}

/** SLUICE_FFMPEG_UNABLE with what this ffmpeg lacks for a job, or null when it lacks nothing. */
export function inability(ffmpeg: Ffmpeg, input: Track, outputs: readonly TrackOutput[]): SluiceError | null {
  const what = lackOf(ffmpeg, input, outputs);
  if (what === null) return null;
  return new SluiceError('SLUICE_FFMPEG_UNABLE', `ffmpeg ${ffmpeg.version.text} (${ffmpeg.path}) ${what}`);
}

function lackOf(ffmpeg: Ffmpeg, input: Track, outputs: readonly TrackOutput[]): string | null {
  if (!canDecode(ffmpeg, input)) return `has no decoder for ${input.codec}`;
  const { major, minor } = ffmpeg.version;
  const isOld = major < ENHANCED_FLV.major || (major === ENHANCED_FLV.major && minor < ENHANCED_FLV.minor);
  for (const output of outputs) {
    if (output.kind !== input.kind) return `cannot make ${output.kind} of ${input.kind}`;
    const encoder = output.kind === 'video' ? output.encoder : 'aac';
    if (!ffmpeg.encoders.has(encoder)) return `has no encoder ${encoder}`;
    if (isOld && output.kind === 'video' && output.codec !== 'h264')
      return `is too old for ${output.codec}: ${ENHANCED_FLV.major}.${ENHANCED_FLV.minor} is the oldest`;
  }
  return null;
}
