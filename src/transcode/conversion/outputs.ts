import type { AudioTrack, Track, VideoTrack } from '../../media/track.ts';
import type { AudioOutput, VideoOutput } from '../track-encoder.ts';

/** Seconds between keyframes where the source has fewer: what segments of the usual length need. */
const LONGEST_GOP = 2;
/** Of sources that do not tell. */
const USUAL_FRAME_RATE = 30;
const HIGH_FRAME_RATE = 35;
const UNKNOWN_SIZE_BITRATE = 3_000_000;

/** Bits per second of H.264 up to this many pixels, at up to 30 frames per second. */
const BITRATES: readonly { readonly pixels: number; readonly bitrate: number }[] = [
  { pixels: 320 * 240, bitrate: 400_000 },
  { pixels: 640 * 360, bitrate: 900_000 },
  { pixels: 854 * 480, bitrate: 1_600_000 },
  { pixels: 1280 * 720, bitrate: 3_200_000 },
  { pixels: 1920 * 1088, bitrate: 6_000_000 },
  { pixels: 2560 * 1440, bitrate: 10_000_000 },
  { pixels: 3840 * 2160, bitrate: 18_000_000 },
];
const LARGEST_BITRATE = 30_000_000;

/** Bits per second for a picture of the source's size; generous, because it replaces the source. */
export function bitrateFor({ width, height, frameRate }: VideoTrack): number {
  const pixels = width * height;
  const base =
    pixels === 0
      ? UNKNOWN_SIZE_BITRATE
      : (BITRATES.find((row) => pixels <= row.pixels)?.bitrate ?? LARGEST_BITRATE);
  return (frameRate ?? USUAL_FRAME_RATE) > HIGH_FRAME_RATE ? base * 1.5 : base;
}

export interface OutputSettings {
  /** ffmpeg's name of the H.264 encoder. */
  readonly encoder: string;
  readonly preset: string;
  /** Kilobits per second. */
  readonly audioBitrate: number;
}

/** What a track is converted to: H.264 of the same size, or AAC with as many channels. */
export function outputFor(track: Track, settings: OutputSettings): VideoOutput | AudioOutput {
  return track.kind === 'video' ? videoOutput(track, settings) : audioOutput(track, settings);
}

function videoOutput(track: VideoTrack, { encoder, preset }: OutputSettings): VideoOutput {
  return {
    kind: 'video',
    name: 'source',
    width: null,
    height: null,
    bitrate: bitrateFor(track),
    frameDivisor: 1,
    codec: 'h264',
    encoder,
    preset,
    profile: null,
    gop: LONGEST_GOP,
  };
}

function audioOutput({ sampleRate, channels }: AudioTrack, { audioBitrate }: OutputSettings): AudioOutput {
  return {
    kind: 'audio',
    name: 'source',
    bitrate: audioBitrate * 1000,
    // Within its family a rate changes without a remainder.
    sampleRate: sampleRate > 0 && 44_100 % sampleRate === 0 ? 44_100 : 48_000,
    channels: channels === 1 ? 1 : 2,
  };
}
