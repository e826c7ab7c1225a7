import { run } from './ffmpeg.ts';

const CLOCK_RATE = 90_000;

/** Where the frames of a segment are that a decoder gets out of it, in ticks of 1/90000 s, in order of time. */
export interface FrameTimes {
  readonly video: readonly number[];
  readonly audio: readonly { readonly start: number; readonly end: number }[];
}

/** Decodes a segment on its own, as a player does that has just changed to it. @throws Error when ffprobe complains */
export async function decodeTimes(segment: Uint8Array): Promise<FrameTimes> {
  const entries = 'frame=media_type,pts,nb_samples:stream=codec_type,sample_rate';
  const { stdout, stderr } = await run(
    'ffprobe',
    [
      ...['-v', 'error', '-f', 'mpegts', '-show_streams', '-show_frames', '-show_entries', entries],
      '-of',
      'json',
      'pipe:0',
    ],
    { stdin: segment },
  );
  if (stderr !== '') throw new Error(`ffprobe says: ${stderr.slice(0, 2000)}`);
  const { frames, streams } = JSON.parse(stdout) as {
    readonly frames: readonly { media_type: string; pts: number; nb_samples?: number }[];
    readonly streams: readonly { codec_type: string; sample_rate?: string }[];
  };
  const rate = Number(streams.find(({ codec_type }) => codec_type === 'audio')?.sample_rate);
  const of = (kind: string) =>
    frames.filter(({ media_type }) => media_type === kind).sort((a, b) => a.pts - b.pts);
  return {
    video: of('video').map(({ pts }) => pts),
    audio: of('audio').map(({ pts, nb_samples = 0 }) => ({
      start: pts,
      end: pts + (nb_samples * CLOCK_RATE) / rate,
    })),
  };
}
