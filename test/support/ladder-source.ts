import { LIVE, type Running, start } from './ffmpeg.ts';

interface TinyRung {
  readonly name: string;
  readonly size: string;
  /** Kilobits per second. */
  readonly bitrate: number;
}

/** Renditions small enough for a slow machine to encode many of. The source must be larger. */
export const TINY_LADDER: [TinyRung, TinyRung, 'audio'] = [
  { name: 'mid', size: '120p', bitrate: 150 },
  { name: 'low', size: '90p', bitrate: 80 },
  'audio',
];
export const TINY_RUNGS = ['mid', 'low', 'audio'] as const;

export interface SourceOptions {
  readonly size?: string;
  readonly rate?: number;
  /** Seconds between keyframes. */
  readonly interval?: number;
  /** Between two reference pictures. */
  readonly bFrames?: number;
  /** What becomes of the picture before it is encoded; it names the pixel format. */
  readonly filter?: string;
  /** Where ffmpeg is. */
  readonly program?: string;
}

/** ffmpeg as an encoder with a keyframe every so often and a tone, until it is stopped. */
export function publishSource(url: string, options: SourceOptions = {}): Running {
  const { size = '320x180', rate = 25, bFrames = 0, filter = 'format=yuv420p', program = 'ffmpeg' } = options;
  const keyframes = String(rate * (options.interval ?? 2));
  return start(program, [
    ...['-v', 'error', '-nostdin', '-re', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}`],
    ...[
      ...LIVE.tone,
      '-vf',
      filter,
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-threads',
      '1',
      '-b:v',
      '400k',
    ],
    ...['-g', keyframes, '-keyint_min', keyframes, '-sc_threshold', '0', '-bf', String(bFrames)],
    ...[...LIVE.aac, '-f', 'flv', url],
  ]);
}
