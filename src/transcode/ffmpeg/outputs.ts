import type { VideoEncoding } from './encoders.ts';

export interface VideoOutput extends VideoEncoding {
  readonly kind: 'video';
  readonly name: string;
  /**
   * Pixels, made even because colour is stored for two by two of them; null keeps the ratio to the other, or the size of
   * the source when both are.
   */
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

/** The size a picture gets when this one is asked for. */
export function evenSize(size: number): number {
  return Math.max(2, size - (size % 2));
}
