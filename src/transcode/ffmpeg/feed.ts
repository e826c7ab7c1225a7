import { flvConfigTag, flvFileHeader, flvTag } from '../../formats/flv/writer.ts';
import type { Packet } from '../../media/packet.ts';
import type { Track } from '../../media/track.ts';
import type { SourceTimes } from './source-times.ts';

/** What ffmpeg gets to read, piece by piece. */
export interface Feed {
  /** ffmpeg's name of the container. */
  readonly format: string;
  /** The beginning; to be written before any packet. */
  readonly header: Buffer;
  /** @param ms presentation time in ffmpeg's time */
  packet(packet: Packet, ms: number): Buffer;
}

/** A track as FLV: what every version of ffmpeg reads without having to look around first. */
export function makeFeed(track: Track, times: SourceTimes): Feed {
  const video = track.kind === 'video';
  const config = flvConfigTag(track, 0);
  let lastDts = 0;
  return {
    format: 'flv',
    header: Buffer.concat([flvFileHeader(video, !video), ...(config === null ? [] : [config])]),
    packet: (packet, ms) => {
      const reordered = track.codec === 'h264';
      // The demuxer only carries it along; what must not happen is that it goes back or stands after `ms`.
      const dts = reordered ? Math.min(Math.max(times.ms(packet.dts), lastDts), ms) : ms;
      lastDts = dts;
      return flvTag(track, {
        timestampMs: dts,
        compositionOffsetMs: ms - dts,
        keyframe: packet.keyframe,
        data: packet.data,
      });
    },
  };
}
