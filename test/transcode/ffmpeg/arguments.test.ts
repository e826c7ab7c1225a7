import { describe, expect, it } from 'vitest';
import type { Track } from '../../../src/media/track.ts';
import { trackArguments } from '../../../src/transcode/ffmpeg/arguments.ts';
import { HARDWARE_ENCODERS } from '../../../src/transcode/ffmpeg/encoders.ts';
import type { TrackOutput, VideoOutput } from '../../../src/transcode/ffmpeg/outputs.ts';
import { audioOutput, packetsOf, trackOf, videoOutput } from './support.ts';

const video = trackOf(packetsOf('h264_aac', 'video'));
const audio = trackOf(packetsOf('h264_aac', 'audio'));

function argumentsOf(
  outputs: readonly TrackOutput[],
  over: { version?: [number, number]; input?: Track } = {},
) {
  const [major, minor] = over.version ?? [7, 1];
  const context = { version: { major, minor, text: '' }, threads: 0, frameRate: 25 };
  return trackArguments('flv', over.input ?? video, outputs, context);
}

/** What follows an option, or undefined. */
function value(args: readonly string[], option: string): string | undefined {
  const index = args.indexOf(option);
  return index < 0 ? undefined : args[index + 1];
}

function graphOf(outputs: readonly TrackOutput[]): string {
  return value(argumentsOf(outputs), '-filter_complex') ?? '';
}

describe('the arguments of ffmpeg', () => {
  it('decode once and encode to a pipe each', () => {
    const args = argumentsOf([
      videoOutput({ name: '720p', width: 1280, height: 720, bitrate: 2_500_000 }),
      videoOutput({ name: '360p', width: 640, height: 360, bitrate: 700_000 }),
      videoOutput({ name: '160p', width: 284, height: 160, bitrate: 200_000 }),
    ]);
    expect(args.filter((argument) => argument === '-i')).toHaveLength(1);
    expect(value(args, '-filter_complex')).toBe(
      '[0:v:0]split=3[i0][i1][i2];' +
        '[i0]scale=w=1280:h=720:flags=bicubic,setsar=1,format=yuv420p[o0];' +
        '[i1]scale=w=640:h=360:flags=bicubic,setsar=1,format=yuv420p[o1];' +
        '[i2]scale=w=284:h=160:flags=bicubic,setsar=1,format=yuv420p[o2]',
    );
    expect(args.filter((argument) => argument.startsWith('pipe:'))).toEqual([
      'pipe:0',
      'pipe:1',
      'pipe:3',
      'pipe:4',
    ]);
    expect(args.filter((_, index) => args[index - 1] === '-map')).toEqual(['[o0]', '[o1]', '[o2]']);
    expect(args.filter((_, index) => args[index - 1] === '-b:v')).toEqual(['2500000', '700000', '200000']);
  });

  it('never touch the terminal and tell how bad each line is', () => {
    const args = argumentsOf([videoOutput()]);
    expect(args.slice(0, 5)).toEqual(['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+warning']);
    expect(args.indexOf('-nostdin')).toBeLessThan(args.indexOf('-i'));
  });

  it('keep times, and put keyframes where the source has them and nowhere else', () => {
    const args = argumentsOf([videoOutput()]);
    expect(args).toContain('-copyts');
    expect(value(args, '-fps_mode')).toBe('passthrough');
    expect(value(args, '-enc_time_base')).toBe('1:1000');
    expect(value(args, '-force_key_frames')).toBe('expr:eq(mod(round(t*1000),2),0)');
    expect(value(args, '-sc_threshold')).toBe('0');
    expect(value(args, '-forced-idr')).toBe('1');
    expect(value(args, '-bf')).toBe('0');
    expect(Number(value(args, '-g'))).toBeGreaterThan(50_000);
  });

  it.each([
    [[4, 4], '-vsync', '-fps_mode'],
    [[5, 0], '-vsync', '-fps_mode'],
    [[5, 1], '-fps_mode', '-vsync'],
    [[8, 0], '-fps_mode', '-vsync'],
    [[99, 0], '-fps_mode', '-vsync'],
  ] as const)('of version %j have %s', ([major, minor], there, absent) => {
    const args = argumentsOf([videoOutput()], { version: [major, minor] });
    expect(value(args, there)).toBe('passthrough');
    expect(args).not.toContain(absent);
  });

  it('bound the rate', () => {
    const args = argumentsOf([videoOutput({ bitrate: 1_000_000 })]);
    expect([value(args, '-b:v'), value(args, '-maxrate'), value(args, '-bufsize')]).toEqual([
      ...['1000000', '1100000', '1500000'],
    ]);
  });

  it('add keyframes where they are asked for', () => {
    expect(value(argumentsOf([videoOutput({ gop: 2 })]), '-force_key_frames')).toBe(
      'expr:eq(mod(round(t*1000),2),0)+gte(t,prev_forced_t+2)',
    );
  });

  it.each([
    [{ width: 641, height: 361 }, 'w=640:h=360'],
    [{ width: 1, height: 1 }, 'w=2:h=2'],
    [{ width: null, height: 360 }, 'w=-2:h=360'],
    [{ width: 640, height: null }, 'w=640:h=-2'],
    [{ width: null, height: null }, "w='max(2,trunc(iw/2)*2)':h='max(2,trunc(ih/2)*2)'"],
  ])('scale %j to even sizes', (size, scaled) => {
    expect(graphOf([videoOutput(size)])).toContain(`scale=${scaled}:`);
  });

  it('leave out frames, counted from each keyframe', () => {
    expect(graphOf([videoOutput({ frameDivisor: 2 })])).toContain(
      "[0:v:0]select='mod(pts,2)+isnan(prev_selected_n)+gte(n-prev_selected_n,2)',scale=",
    );
    expect(graphOf([videoOutput()])).not.toContain('select');
  });

  it('make AAC of sound, with silence in gaps', () => {
    const args = argumentsOf([audioOutput({ bitrate: 96_000, sampleRate: 44_100, channels: 1 })], {
      input: audio,
    });
    expect(value(args, '-filter_complex')).toBe(
      '[0:a:0]aresample=44100:async=1,aformat=sample_fmts=fltp:sample_rates=44100:channel_layouts=mono[o0]',
    );
    expect([value(args, '-c:a'), value(args, '-b:a'), value(args, '-ar'), value(args, '-ac')]).toEqual([
      ...['aac', '96000', '44100', '1'],
    ]);
  });

  it('decode large pictures with more threads, small ones without delay', () => {
    const decoderThreads = (input: Track) => value(argumentsOf([videoOutput()], { input }), '-threads');
    expect(decoderThreads(video)).toBe('1');
    expect(decoderThreads({ ...video, width: 3840, height: 2160 } as Track)).toBe('3');
  });
});

describe('hardware encoders', () => {
  const argumentsFor = (encoder: string, over: Partial<VideoOutput> = {}) =>
    argumentsOf([videoOutput({ encoder, width: 640, height: 360, preset: 'veryfast', ...over })]);

  it.each(HARDWARE_ENCODERS)('%s: rate, no B-frames, keyframes only where they are forced', (encoder) => {
    const args = argumentsFor(encoder, { profile: 'main' });
    expect(value(args, '-c:v')).toBe(encoder);
    expect(value(args, '-b:v')).toBe('200000');
    expect(value(args, '-maxrate')).toBe('220000');
    expect(value(args, '-bufsize')).toBe('300000');
    expect(value(args, '-bf')).toBe('0');
    expect(value(args, '-g')).toBe('65000');
    expect(value(args, '-profile:v')).toBe('main');
    expect(value(args, '-force_key_frames')).toBe('expr:eq(mod(round(t*1000),2),0)');
    expect(args).not.toContain('-sc_threshold');
  });

  it('h264_nvenc has presets of its own and gives frames out at once', () => {
    const args = argumentsFor('h264_nvenc');
    expect(value(args, '-preset')).toBe('p2');
    expect(value(args, '-rc')).toBe('vbr');
    expect(value(args, '-no-scenecut')).toBe('1');
    expect(value(args, '-forced-idr')).toBe('1');
    expect(value(args, '-delay')).toBe('0');
    expect(value(argumentsFor('h264_nvenc', { preset: 'p6' }), '-preset')).toBe('p6');
    expect(value(args, '-filter_complex')).toContain('format=yuv420p');
  });

  it('h264_vaapi gets pictures that were carried to its device, once for all outputs', () => {
    const output = videoOutput({ encoder: 'h264_vaapi', profile: 'baseline' });
    const args = argumentsOf([output, output]);
    expect(args.filter((argument) => argument === '-vaapi_device')).toHaveLength(1);
    expect(args.indexOf('-vaapi_device')).toBeLessThan(args.indexOf('-i'));
    expect(value(args, '-vaapi_device')).toBe('/dev/dri/renderD128');
    expect(value(args, '-filter_complex')).toContain('setsar=1,format=nv12,hwupload[o0]');
    expect(value(args, '-profile:v')).toBe('constrained_baseline');
    expect(args).not.toContain('-preset');
    expect(value(args, '-async_depth')).toBe('1');
    expect(argumentsOf([output], { version: [5, 1] })).toContain('-async_depth');
    expect(argumentsOf([output], { version: [5, 0] })).not.toContain('-async_depth');
  });

  it('h264_qsv has no preset below veryfast', () => {
    const args = argumentsFor('h264_qsv', { preset: 'ultrafast' });
    expect(value(args, '-preset')).toBe('veryfast');
    expect(value(args, '-filter_complex')).toContain('format=nv12');
    expect(value(args, '-forced_idr')).toBe('1');
    expect(value(args, '-async_depth')).toBe('1');
  });

  it('h264_videotoolbox has no presets', () => {
    const args = argumentsFor('h264_videotoolbox');
    expect(args).not.toContain('-preset');
    expect(value(args, '-realtime')).toBe('1');
  });
});

describe('newer codecs', () => {
  it('libx265 without B-frames and open groups', () => {
    const args = argumentsOf([videoOutput({ codec: 'hevc', encoder: 'libx265' })]);
    expect(value(args, '-x265-params')).toMatch(/keyint=-1:.*scenecut=0:bframes=0:open-gop=0/);
    expect(value(args, '-forced-idr')).toBe('1');
  });

  it('libsvtav1 in the order of presentation', () => {
    const args = argumentsOf([videoOutput({ codec: 'av1', encoder: 'libsvtav1', preset: 'veryfast' })]);
    expect(value(args, '-preset')).toBe('10');
    expect(value(args, '-svtav1-params')).toContain('pred-struct=1');
  });
});
