import { FlvDemuxer } from '../../formats/flv/demuxer.ts';
import { FlvTagReader } from '../../formats/flv/tag-reader.ts';
import { TAG_TYPE } from '../../formats/flv/tags.ts';
import { AudioClock } from '../../media/audio-clock.ts';
import { SluiceError } from '../../media/errors.ts';
import type { Frame } from '../../media/frame.ts';
import type { Packet } from '../../media/packet.ts';
import { type Ticks, ticksFromSamples } from '../../media/time.ts';
import { evenSize, type TrackOutput, type VideoOutput } from './outputs.ts';
import type { SourceTimes } from './source-times.ts';

/** ffmpeg writes 31 bits of its milliseconds into FLV: after 25 days they begin again. */
const TIMESTAMP_WRAP = 2 ** 31;

/** One of the pipes that an encoder writes to. */
export interface EncodedOutput {
  /**
   * @returns the packets that are complete now
   * @throws SluiceError SLUICE_TRANSCODE_FAILED: not what was asked for
   */
  push(chunk: Buffer): Packet[];
  /** Millisecond of the newest packet in ffmpeg's time, or -Infinity. */
  readonly newestMs: number;
}

export interface EncodedOutputOptions {
  readonly output: TrackOutput;
  readonly times: SourceTimes;
  /** Presentation before decoding time of what comes out. */
  readonly lead: () => Ticks;
}

/** Reads what an encoder made, and gives each packet the time of what it was made from. */
export function makeEncodedOutput({ output, times, lead }: EncodedOutputOptions): EncodedOutput {
  const frames: Frame[] = [];
  const tags = new FlvTagReader();
  const demuxer = new FlvDemuxer(
    (frame) => frames.push(frame),
    (reason) => {
      throw reason;
    },
  );
  const toPacket = output.kind === 'video' ? pictures(output, times, lead) : sound(output.sampleRate, times);
  let newestMs = Number.NEGATIVE_INFINITY;
  let wraps = 0;
  let lastTimestamp = 0;

  function read(chunk: Buffer): Packet[] {
    for (const { type, timestamp, body } of tags.push(chunk)) {
      if (type === TAG_TYPE.VIDEO) demuxer.pushVideo(timestamp, body);
      else if (type === TAG_TYPE.AUDIO) demuxer.pushAudio(timestamp, body);
    }
    return frames.splice(0).flatMap((frame) => {
      check(frame, output);
      if (lastTimestamp - frame.timestamp > TIMESTAMP_WRAP / 2) wraps++;
      lastTimestamp = frame.timestamp;
      const timestamp = frame.timestamp + wraps * TIMESTAMP_WRAP;
      newestMs = timestamp + frame.compositionOffset;
      return toPacket({ ...frame, timestamp }) ?? [];
    });
  }

  return {
    push: (chunk) => {
      try {
        return read(chunk);
      } catch (cause) {
        if (!(cause instanceof SluiceError) || cause.code === 'SLUICE_TRANSCODE_FAILED') throw cause;
        throw wrong(output, cause.message, cause);
      }
    },
    get newestMs() {
      return newestMs;
    },
  };
}

function pictures(output: VideoOutput, times: SourceTimes, lead: () => Ticks): (frame: Frame) => Packet {
  let lastPts = Number.NEGATIVE_INFINITY;
  return ({ track, timestamp, compositionOffset, keyframe, data }) => {
    const source = times.at(timestamp + compositionOffset);
    if (source === null) throw wrong(output, 'a frame that no frame of the source became');
    if (source.pts <= lastPts) throw wrong(output, 'frames in another order than the source has them');
    if (source.keyframe && !keyframe) throw wrong(output, 'no keyframe where the source has one');
    lastPts = source.pts;
    return {
      track,
      dts: source.pts - lead(),
      pts: source.pts,
      keyframe: output.gop === null ? source.keyframe : keyframe,
      data,
    };
  };
}

/** Samples are counted, because whole milliseconds would click. */
function sound(sampleRate: number, times: SourceTimes): (frame: Frame) => Packet | null {
  const clock = new AudioClock();
  return ({ track, timestamp, data }) => {
    const samples = track.kind === 'audio' ? track.samplesPerFrame : 0;
    const pts = clock.next(times.ticks(timestamp), ticksFromSamples(samples, sampleRate));
    // What an encoder puts before the first sample is only there to warm up the decoder.
    if (pts < times.start) return null;
    return { track, dts: pts, pts, keyframe: true, data };
  };
}

function check({ track }: Frame, output: TrackOutput): void {
  const codec = output.kind === 'video' ? output.codec : 'aac';
  if (track.codec !== codec) throw wrong(output, `${track.codec} in place of ${codec}`);
  if (track.kind === 'video' && output.kind === 'video') checkSize(track, output);
}

function checkSize(track: { readonly width: number; readonly height: number }, output: VideoOutput): void {
  const is = (size: number, wanted: number | null) =>
    size === 0 || wanted === null || size === evenSize(wanted);
  if (is(track.width, output.width) && is(track.height, output.height)) return;
  throw wrong(output, `a picture of ${track.width}×${track.height}`);
}

function wrong(output: TrackOutput, what: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_TRANSCODE_FAILED', `ffmpeg made ${what} (${output.name})`, { cause });
}
