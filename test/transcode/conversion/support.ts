import { aacTrack } from '../../../src/codecs/aac.ts';
import type { SluiceError } from '../../../src/media/errors.ts';
import type { Epoch, EpochReason, MediaSink, Packet } from '../../../src/media/packet.ts';
import { msFromTicks, ticksFromMs } from '../../../src/media/time.ts';
import type { AudioCodec, AudioTrack, Track, VideoCodec, VideoTrack } from '../../../src/media/track.ts';
import type { Ffmpeg } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import type { TrackEncoder, TrackEncoderOptions } from '../../../src/transcode/track-encoder.ts';

export function ffmpegWith(decoders: readonly string[], encoders = ['libx264', 'aac']): Ffmpeg {
  return {
    path: '/usr/bin/ffmpeg',
    origin: 'PATH',
    version: { major: 5, minor: 1, text: '5.1' },
    decoders: new Set(decoders),
    encoders: new Set(encoders),
    filters: new Set(),
  };
}

export function video(codec: VideoCodec, id = 'v0', over: Partial<VideoTrack> = {}): VideoTrack {
  return {
    ...{ id, kind: 'video', codec, config: Uint8Array.of(1), codecString: null, flvHeader: null },
    ...{ width: 640, height: 360, frameRate: 25, h264: null },
    ...over,
  };
}

export function audio(codec: AudioCodec, id = 'a0', over: Partial<AudioTrack> = {}): AudioTrack {
  if (codec === 'aac') return { ...aacTrack(id, Uint8Array.of(0x11, 0x90)), ...over };
  return {
    ...{ id, kind: 'audio', codec, config: new Uint8Array(0), codecString: null, flvHeader: null },
    ...{ sampleRate: 48_000, channels: 2, samplesPerFrame: 960, adts: null },
    ...over,
  };
}

export function packet(track: Track, ms: number, keyframe = track.kind === 'audio', size = 10): Packet {
  const dts = ticksFromMs(ms);
  return { track, dts, pts: dts, keyframe, data: new Uint8Array(size) };
}

export function epochOf(tracks: readonly Track[], ms = 0, reason: EpochReason = 'start'): Epoch {
  return { reason, tracks, start: ticksFromMs(ms), startedAt: 1_700_000_000_000 + ms };
}

/** Notes what comes: `epoch start v0:h264 a0:aac`, `v0 40`, `end`, `close`. */
export class Notes implements MediaSink {
  readonly lines: string[] = [];
  readonly epochs: Epoch[] = [];
  readonly packets: Packet[] = [];
  /** Thrown at the next packet. */
  fault: Error | null = null;

  epoch(epoch: Epoch): void {
    this.epochs.push(epoch);
    const tracks = epoch.tracks.map(({ id, codec }) => `${id}:${codec}`).join(' ');
    this.lines.push(`epoch ${epoch.reason} ${tracks}`);
  }

  packet(noted: Packet): void {
    if (this.fault !== null) throw this.fault;
    if (!this.epochs.at(-1)?.tracks.includes(noted.track)) throw new Error('a packet of no announced track');
    this.packets.push(noted);
    this.lines.push(`${noted.track.id} ${msFromTicks(noted.dts)}`);
  }

  end(): void {
    this.lines.push('end');
  }

  close(): void {
    this.lines.push('close');
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

/** An encoder that does what the test says. */
export class FakeEncoder implements TrackEncoder {
  readonly options: TrackEncoderOptions;
  readonly written: Packet[] = [];
  readonly pid = 1;
  queuedBytes = 0;
  told: 'nothing' | 'finish' | 'stop' = 'nothing';
  exited = false;
  output: Track;

  constructor(options: TrackEncoderOptions) {
    this.options = options;
    // As FlvDemuxer calls them.
    this.output = options.input.kind === 'video' ? video('h264', 'v0') : audio('aac', 'a0');
  }

  write(written: Packet): void {
    this.written.push(written);
  }

  finish(): void {
    if (this.told === 'nothing') this.told = 'finish';
  }

  stop(): void {
    this.told = 'stop';
  }

  /** Gives out what was made of the next `count` packets. */
  give(count = this.written.length): void {
    for (const { dts, pts, keyframe } of this.written.splice(0, count)) {
      this.options.onPacket(0, { track: this.output, dts, pts, keyframe, data: new Uint8Array(5) });
    }
  }

  exit(error: SluiceError | null = null): void {
    this.exited = true;
    this.options.onExit({ error, stderr: '' });
  }
}
