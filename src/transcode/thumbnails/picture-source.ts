import { AnnexBWriter } from '../../formats/mpegts/access-unit.ts';
import type { Packet } from '../../media/packet.ts';
import type { H264Parameters } from '../../media/track.ts';

/** One picture as ffmpeg reads it. */
export interface PictureSource {
  /** ffmpeg's name of the container. */
  readonly format: string;
  readonly read: () => Uint8Array;
}

/** A keyframe with all that decodes it; null for a codec that cannot be handed to ffmpeg. */
export function pictureSource(keyframe: Packet): PictureSource | null {
  const { track, data } = keyframe;
  if (track.kind !== 'video') return null;
  const { h264 } = track;
  if (h264 !== null) return { format: 'h264', read: () => annexB(data, h264) };
  return null;
}

function annexB(data: Uint8Array, parameters: H264Parameters): Uint8Array {
  const writer = new AnnexBWriter();
  const out = new Uint8Array(writer.measure(data, parameters, true));
  writer.write(data, parameters, out, 0);
  return out;
}
