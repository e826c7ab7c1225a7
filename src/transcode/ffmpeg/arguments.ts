import type { Track } from '../../media/track.ts';
import { commandArguments } from './command.ts';
import { type EncodingContext, encoderFamily, videoOptions } from './encoders.ts';
import { type AudioOutput, evenSize, type TrackOutput, type VideoOutput } from './outputs.ts';
import { KEYFRAME_BY_MS } from './source-times.ts';

/** Beyond this one thread may not decode fast enough; more of them cost a frame of delay each. */
const ONE_THREAD_PIXELS = 1920 * 1088;
const BIG_PICTURE_THREADS = '3';
/** stdout, then the descriptors after stderr. */
const FIRST_EXTRA_PIPE = 3;

/** One decoder, any number of encoders, all through pipes. */
export function trackArguments(
  format: string,
  input: Track,
  outputs: readonly TrackOutput[],
  context: EncodingContext,
): string[] {
  return commandArguments({
    input: {
      options: [
        ...deviceOptions(outputs),
        // It knows from the header what it gets, and must not wait for seconds of it before it begins.
        ...['-probesize', '32', '-analyzeduration', '1', '-threads', decoderThreads(input)],
        ...['-copyts', '-f', format],
      ],
      source: 'pipe:0',
    },
    filters: graph(input, outputs),
    outputs: outputs.map((output, index) => ({
      target: `pipe:${index === 0 ? 1 : FIRST_EXTRA_PIPE + index - 1}`,
      options: [
        ...['-map', `[o${index}]`],
        ...(output.kind === 'video' ? videoOptions(output, context) : audioOptions(output)),
        ...['-flush_packets', '1', '-f', 'flv', '-flvflags', 'no_duration_filesize+no_metadata'],
      ],
    })),
  });
}

function deviceOptions(outputs: readonly TrackOutput[]): string[] {
  const all = outputs.map((output) =>
    output.kind === 'video' ? (encoderFamily(output.encoder)?.inputOptions ?? []) : [],
  );
  return [
    ...new Map(all.filter(([first]) => first !== undefined).map((options) => [options[0], options])).values(),
  ].flat();
}

function decoderThreads(track: Track): string {
  return track.kind === 'video' && track.width * track.height > ONE_THREAD_PIXELS ? BIG_PICTURE_THREADS : '1';
}

function graph(input: Track, outputs: readonly TrackOutput[]): string {
  const source = input.kind === 'video' ? '0:v:0' : '0:a:0';
  const chains = outputs.map((output) =>
    output.kind === 'video' ? pictureFilters(output) : soundFilters(output),
  );
  const [only] = chains;
  if (chains.length === 1 && only !== undefined) return `[${source}]${only.join(',')}[o0]`;
  const split = input.kind === 'video' ? 'split' : 'asplit';
  return [
    `[${source}]${split}=${chains.length}${chains.map((_, index) => `[i${index}]`).join('')}`,
    ...chains.map((filters, index) => `[i${index}]${filters.join(',')}[o${index}]`),
  ].join(';');
}

function pictureFilters(output: VideoOutput): string[] {
  const { frameDivisor, width, height } = output;
  return [
    // Counted from each keyframe, so that the distance to the next is the same in every group of pictures.
    ...(frameDivisor > 1
      ? [`select='${KEYFRAME_BY_MS}+isnan(prev_selected_n)+gte(n-prev_selected_n,${frameDivisor})'`]
      : []),
    `scale=w=${scaledSize(width, 'iw', height)}:h=${scaledSize(height, 'ih', width)}:flags=bicubic`,
    'setsar=1',
    ...(encoderFamily(output.encoder)?.filters ?? ['format=yuv420p']),
  ];
}

function scaledSize(size: number | null, ofInput: string, other: number | null): string {
  if (size !== null) return String(evenSize(size));
  return other === null ? `'max(2,trunc(${ofInput}/2)*2)'` : '-2';
}

function soundFilters({ sampleRate, channels }: AudioOutput): string[] {
  const layout = channels === 1 ? 'mono' : 'stereo';
  return [
    // Gaps become silence, so that samples can be counted.
    `aresample=${sampleRate}:async=1`,
    `aformat=sample_fmts=fltp:sample_rates=${sampleRate}:channel_layouts=${layout}`,
  ];
}

function audioOptions({ bitrate, sampleRate, channels }: AudioOutput): string[] {
  return ['-c:a', 'aac', '-b:a', String(bitrate), '-ar', String(sampleRate), '-ac', String(channels)];
}
