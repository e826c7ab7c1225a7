import type { VideoEncoding } from './encoders.ts';

export interface VideoOutput extends VideoEncoding {
  readonly kind: 'video';
  readonly name: string;
  /** Pixels; null keeps the ratio to the other, or the size of the source when both are. */
  readonly width: number | null;
  readonly height: number | null;
  /** 2 leaves out every second frame, but no keyframe. */
  readonly frameDivisor: number;
}

export interface AudioOutput {
  readonly kind: 'audio';
  readonly name: string;
  /** Bits per second. */
  readonly bitrate: number;
  readonly sampleRate: 44_100 | 48_000;
  readonly channels: 1 | 2;
}

export type TrackOutput = VideoOutput | AudioOutput;
