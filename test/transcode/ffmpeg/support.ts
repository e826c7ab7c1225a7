import { FlvDemuxer } from '../../../src/formats/flv/demuxer.ts';
import { TAG_TYPE } from '../../../src/formats/flv/tags.ts';
import type { SluiceError } from '../../../src/media/errors.ts';
import type { Packet } from '../../../src/media/packet.ts';
import { msFromTicks, ticksFromMs } from '../../../src/media/time.ts';
import { systemClock } from '../../../src/servers/system-clock.ts';
import type { Ffmpeg } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import {
  type AudioOutput,
  startTrackEncoder,
  type TrackEncoder,
  type TrackEncoderOptions,
  type VideoOutput,
} from '../../../src/transcode/track-encoder.ts';
import { readClip } from '../../support/paced-publisher.ts';

/** What these tests take for granted of an ffmpeg: the program of any path. */
export function ffmpegAt(path: string): Ffmpeg {
  return {
    path,
    origin: 'PATH',
    version: { major: 5, minor: 1, text: '5.1' },
    encoders: new Set(['libx264', 'aac']),
    decoders: new Set(['h264', 'hevc', 'libdav1d', 'vp9', 'flv', 'aac', 'mp3', 'opus', 'ac3']),
    filters: new Set(),
  };
}

/** The packets of a track of a clip; the times are those of its tags. */
export function packetsOf(clip: string, kind: 'video' | 'audio'): Packet[] {
  const packets: Packet[] = [];
  const demuxer = new FlvDemuxer(
    ({ track, timestamp, compositionOffset, keyframe, data }) => {
      const dts = ticksFromMs(timestamp);
      packets.push({ track, dts, pts: dts + ticksFromMs(compositionOffset), keyframe, data });
    },
    (reason) => {
      throw reason;
    },
  );
  for (const { type, timestamp, body } of readClip(clip)) {
    if (type === TAG_TYPE.VIDEO && kind === 'video') demuxer.pushVideo(timestamp, body);
    if (type === TAG_TYPE.AUDIO && kind === 'audio') demuxer.pushAudio(timestamp, body);
  }
  return packets;
}

export function trackOf(packets: readonly Packet[]): Packet['track'] {
  const track = packets[0]?.track;
  if (track === undefined) throw new Error('no packets');
  return track;
}

export function videoOutput(over: Partial<VideoOutput> = {}): VideoOutput {
  return {
    kind: 'video',
    name: '160p',
    width: null,
    height: 160,
    bitrate: 200_000,
    frameDivisor: 1,
    codec: 'h264',
    encoder: 'libx264',
    preset: 'ultrafast',
    profile: null,
    gop: null,
    ...over,
  };
}

export function audioOutput(over: Partial<AudioOutput> = {}): AudioOutput {
  return { kind: 'audio', name: 'audio', bitrate: 64_000, sampleRate: 48_000, channels: 2, ...over };
}

export interface Encoded {
  readonly encoder: TrackEncoder;
  /** Of each output. */
  readonly packets: readonly Packet[][];
  readonly exited: Promise<{ readonly error: SluiceError | null; readonly stderr: string }>;
}

/** Starts an encoder that collects what it makes. */
export function startEncoder(
  options: Pick<TrackEncoderOptions, 'input' | 'outputs'> & Partial<TrackEncoderOptions>,
): Encoded {
  const packets: Packet[][] = options.outputs.map(() => []);
  let encoder: TrackEncoder | undefined;
  const exited = new Promise<{ error: SluiceError | null; stderr: string }>((resolve) => {
    encoder = startTrackEncoder({
      ffmpeg: ffmpegAt('ffmpeg'),
      niceness: 0,
      threads: 1,
      clock: systemClock,
      onPacket: (output, packet) => packets[output]?.push(packet),
      onExit: resolve,
      ...options,
    });
  });
  if (encoder === undefined) throw new Error('not started');
  return { encoder, packets, exited };
}

/** Encodes it all, as fast as it goes. @throws SluiceError why the encoder failed */
export async function encodeAll(
  input: readonly Packet[],
  options: Pick<TrackEncoderOptions, 'outputs'> & Partial<TrackEncoderOptions>,
): Promise<readonly Packet[][]> {
  const { encoder, packets, exited } = startEncoder({ input: trackOf(input), ...options });
  for (const packet of input) encoder.write(packet);
  encoder.finish();
  const { error } = await exited;
  if (error !== null) throw error;
  return packets;
}

/** `[pts in ms, keyframe]` of each, in the order of presentation. */
export function timesOf(packets: readonly Packet[]): [number, boolean][] {
  return packets
    .map(({ pts, keyframe }): [number, boolean] => [msFromTicks(pts), keyframe])
    .sort(([a], [b]) => a - b);
}
