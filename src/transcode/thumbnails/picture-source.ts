import { flvConfigTag, flvFileHeader, flvTag } from '../../formats/flv/writer.ts';
import { matroskaFrame, matroskaHeader } from '../../formats/matroska/writer.ts';
import { AnnexBWriter } from '../../formats/mpegts/access-unit.ts';
import type { H264Parameters, Track, VideoCodec, VideoTrack } from '../../media/track.ts';

/** One picture as ffmpeg reads it. */
export interface PictureSource {
  /** ffmpeg's name of the container. */
  readonly format: string;
  /** What ffmpeg is given for a keyframe. */
  readonly read: (keyframe: Uint8Array) => Uint8Array;
}

/** What Matroska carries. */
const MATROSKA: ReadonlySet<VideoCodec> = new Set<VideoCodec>(['hevc', 'vvc', 'av1', 'vp9', 'vp8']);

/** How ffmpeg reads keyframes of a track, with all that decodes them; null for a codec that cannot be handed to it. */
export function pictureSource(track: Track): PictureSource | null {
  if (track.kind !== 'video') return null;
  const { h264 } = track;
  if (h264 !== null) return { format: 'h264', read: (data) => annexB(data, h264) };
  if (track.flvHeader !== null) return { format: 'flv', read: (data) => flvFile(track, data) };
  if (MATROSKA.has(track.codec)) return { format: 'matroska', read: (data) => matroskaFile(track, data) };
  return null;
}

function annexB(data: Uint8Array, parameters: H264Parameters): Uint8Array {
  const writer = new AnnexBWriter();
  const out = new Uint8Array(writer.measure(data, parameters, true));
  writer.write(data, parameters, out, 0);
  return out;
}

function flvFile(track: VideoTrack, data: Uint8Array): Uint8Array {
  const config = flvConfigTag(track, 0);
  const frame = flvTag(track, { timestampMs: 0, compositionOffsetMs: 0, keyframe: true, data });
  return Buffer.concat([flvFileHeader(true, false), ...(config === null ? [] : [config]), frame]);
}

function matroskaFile(track: VideoTrack, data: Uint8Array): Uint8Array {
  return Buffer.concat([
    matroskaHeader(track),
    matroskaFrame(track, { timestampMs: 0, keyframe: true, data }),
  ]);
}
