import type { FfmpegVersion } from './ffmpeg.ts';
import { KEYFRAME_BY_SECONDS } from './source-times.ts';

/** A picture to be encoded. */
export interface VideoEncoding {
  readonly codec: 'h264' | 'hevc' | 'av1';
  /** As ffmpeg calls it: `libx264`, `h264_nvenc` … */
  readonly encoder: string;
  /** Bits per second. */
  readonly bitrate: number;
  /** A name of x264's presets, or one of the encoder itself. */
  readonly preset: string;
  readonly profile: string | null;
  /** Seconds between keyframes besides those of the source. */
  readonly gop: number | null;
}

/** What the arguments also depend on. */
export interface EncodingContext {
  readonly version: FfmpegVersion;
  /** Of each encoder; 0 leaves it to a default. */
  readonly threads: number;
  /** Frames per second of the source, where known. */
  readonly frameRate: number | null;
}

/** Arguments of one encoder family. */
export interface VideoEncoder {
  /** Where the driver is told which device to use, before the input. */
  readonly inputOptions: readonly string[];
  /** The last filters: the pixel format, and the way onto the device. */
  readonly filters: readonly string[];
  readonly options: (encoding: VideoEncoding, context: EncodingContext) => readonly string[];
}

/** So long that only forced keyframes remain, and within the 16 bits of some drivers. */
const NO_GOP = 65_000;
/** The rate never exceeds the promised one by more, measured over `BUFFER_SECONDS`. */
const PEAK = 1.1;
const BUFFER_SECONDS = 1.5;
/** What the rate control of software encoders may look ahead: each frame of it is a frame of delay. */
const LOOKAHEAD_SECONDS = 0.2;
const USUAL_FRAME_RATE = 25;
/** Each thread beyond the first is one more frame of delay. */
const MAX_FRAME_THREADS = 4;
/** Where the graphics card is on nearly all Linux machines. */
const VAAPI_DEVICE = '/dev/dri/renderD128';

const YUV420 = ['format=yuv420p'];

const x264: VideoEncoder = {
  inputOptions: [],
  filters: YUV420,
  options: (encoding, context) => [
    ...['-preset', encoding.preset, ...profile(encoding), ...rate(encoding), ...softwareThreads(context)],
    // No B-frames: the order of decoding is that of showing, and decode times can be given again.
    ...['-bf', '0', '-sc_threshold', '0', '-g', String(NO_GOP), '-forced-idr', '1'],
    ...['-rc-lookahead', String(lookahead(context))],
  ],
};

/** x264's presets where an encoder counts its own from p1 (fastest) to p7. */
const NVENC_PRESETS: Readonly<Record<string, string>> = {
  ultrafast: 'p1',
  superfast: 'p1',
  veryfast: 'p2',
  faster: 'p3',
  fast: 'p3',
  medium: 'p4',
  slow: 'p5',
  slower: 'p6',
  veryslow: 'p7',
};

const nvenc: VideoEncoder = {
  inputOptions: [],
  filters: YUV420,
  options: (encoding) => [
    ...['-preset', NVENC_PRESETS[encoding.preset] ?? encoding.preset, ...profile(encoding)],
    ...['-rc', 'vbr', ...rate(encoding), '-bf', '0', '-g', String(NO_GOP)],
    ...['-no-scenecut', '1', '-forced-idr', '1', '-rc-lookahead', '0', '-delay', '0'],
  ],
};

const vaapi: VideoEncoder = {
  inputOptions: ['-vaapi_device', VAAPI_DEVICE],
  filters: ['format=nv12', 'hwupload'],
  options: (encoding, { version }) => [
    ...[...profile(encoding, { baseline: 'constrained_baseline' }), '-rc_mode', 'VBR', ...rate(encoding)],
    ...['-bf', '0', '-g', String(NO_GOP), '-idr_interval', '0'],
    // Before 5.1 it gives out each frame as soon as it has it, and does not know the option.
    ...(isSince51(version) ? ['-async_depth', '1'] : []),
  ],
};

const QSV_PRESETS: Readonly<Record<string, string>> = { ultrafast: 'veryfast', superfast: 'veryfast' };

const qsv: VideoEncoder = {
  inputOptions: [],
  filters: ['format=nv12'],
  options: (encoding) => [
    ...['-preset', QSV_PRESETS[encoding.preset] ?? encoding.preset, ...profile(encoding), ...rate(encoding)],
    ...['-bf', '0', '-g', String(NO_GOP), '-idr_interval', '0', '-forced_idr', '1'],
    ...['-look_ahead', '0', '-async_depth', '1'],
  ],
};

const videotoolbox: VideoEncoder = {
  inputOptions: [],
  filters: YUV420,
  options: (encoding) => [
    ...[...profile(encoding), ...rate(encoding), '-bf', '0', '-g', String(NO_GOP)],
    // Twice as many frames in flight otherwise.
    ...['-realtime', '1'],
  ],
};

const x265: VideoEncoder = {
  inputOptions: [],
  filters: YUV420,
  options: (encoding, context) => [
    ...['-preset', encoding.preset, ...rate(encoding), '-bf', '0', '-g', String(NO_GOP), '-forced-idr', '1'],
    '-x265-params',
    [
      ...['keyint=-1', 'min-keyint=1', 'scenecut=0', 'bframes=0', 'open-gop=0', 'repeat-headers=0'],
      ...[
        `rc-lookahead=${lookahead(context)}`,
        `frame-threads=${frameThreads(context)}`,
        'log-level=warning',
      ],
    ].join(':'),
  ],
};

/** x264's presets on the scale of SVT-AV1, where 13 is fastest. */
const SVT_PRESETS: Readonly<Record<string, string>> = {
  ultrafast: '12',
  superfast: '11',
  veryfast: '10',
  faster: '9',
  fast: '8',
  medium: '7',
  slow: '6',
  slower: '5',
  veryslow: '4',
};

const svtav1: VideoEncoder = {
  inputOptions: [],
  filters: YUV420,
  options: (encoding) => [
    ...['-preset', SVT_PRESETS[encoding.preset] ?? encoding.preset, '-b:v', String(encoding.bitrate)],
    ...['-g', String(NO_GOP), '-svtav1-params', 'rc=2:pred-struct=1:scd=0:force-key-frames=1'],
  ],
};

const FAMILIES: Readonly<Record<string, VideoEncoder>> = {
  libx264: x264,
  h264_nvenc: nvenc,
  h264_vaapi: vaapi,
  h264_qsv: qsv,
  h264_videotoolbox: videotoolbox,
  libx265: x265,
  libsvtav1: svtav1,
};

/** Hardware first, in the order in which they are tried. */
export const HARDWARE_ENCODERS = ['h264_nvenc', 'h264_qsv', 'h264_vaapi', 'h264_videotoolbox'] as const;

/** How an encoder is used, or null for one nobody has thought about. */
export function encoderFamily(encoder: string): VideoEncoder | null {
  return FAMILIES[encoder] ?? null;
}

/** All options of a video output up to its container. */
export function videoOptions(encoding: VideoEncoding, context: EncodingContext): readonly string[] {
  const family = encoderFamily(encoding.encoder);
  return [
    ...['-c:v', encoding.encoder, ...(family?.options(encoding, context) ?? rate(encoding))],
    ...['-force_key_frames', `expr:${keyframes(encoding.gop)}`],
    // Each frame once, at its own time. The newer name came with 5.1; the older one is going away.
    ...(isSince51(context.version) ? ['-fps_mode', 'passthrough'] : ['-vsync', 'passthrough']),
    ...['-enc_time_base', '1:1000'],
  ];
}

function keyframes(gop: number | null): string {
  return gop === null ? KEYFRAME_BY_SECONDS : `${KEYFRAME_BY_SECONDS}+gte(t,prev_forced_t+${gop})`;
}

/** A build whose version is unknown is a new one. */
function isSince51({ major, minor }: FfmpegVersion): boolean {
  return major > 5 || (major === 5 && minor >= 1);
}

function rate({ bitrate }: VideoEncoding): readonly string[] {
  const peak = Math.round(bitrate * PEAK);
  return [
    ...['-b:v', String(bitrate), '-maxrate', String(peak)],
    ...['-bufsize', String(Math.round(bitrate * BUFFER_SECONDS))],
  ];
}

function profile({ profile: name }: VideoEncoding, names: Readonly<Record<string, string>> = {}): string[] {
  return name === null ? [] : ['-profile:v', names[name] ?? name];
}

function lookahead({ frameRate }: EncodingContext): number {
  return Math.min(Math.max(Math.round((frameRate ?? USUAL_FRAME_RATE) * LOOKAHEAD_SECONDS), 2), 12);
}

function frameThreads({ threads }: EncodingContext): number {
  return Math.min(threads === 0 ? MAX_FRAME_THREADS : threads, MAX_FRAME_THREADS);
}

function softwareThreads(context: EncodingContext): readonly string[] {
  return ['-threads', String(context.threads === 0 ? frameThreads(context) : context.threads)];
}
