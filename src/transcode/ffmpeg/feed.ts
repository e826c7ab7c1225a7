import { flvConfigTag, flvFileHeader, flvTag } from '../../formats/flv/writer.ts';
import { matroskaFrame, matroskaHeader } from '../../formats/matroska/writer.ts';
import type { Packet } from '../../media/packet.ts';
import type { Track } from '../../media/track.ts';
import type { SourceTimes } from './source-times.ts';

/** What ffmpeg gets to read, piece by piece. */
export interface Feed {
  /** ffmpeg's name of the container. */
  readonly format: 'flv' | 'matroska';
  /** The beginning; to be written before any packet. */
  readonly header: Buffer;
  /**
   * @param ms presentation time in ffmpeg's time
   * @throws SluiceError SLUICE_FLV_MALFORMED for a packet that is too large for the container
   */
  packet(packet: Packet, ms: number): Buffer;
}

/**
 * FLV for the codecs it has always had, Matroska for all others: each version of ffmpeg reads both, and neither makes it
 * look around in the stream before it begins.
 *
 * @throws SluiceError SLUICE_INTERNAL for a codec that neither of them has
 */
export function makeFeed(track: Track, times: SourceTimes): Feed {
  const isFlv = track.flvHeader !== null || ['h264', 'aac', 'mp3'].includes(track.codec);
  return isFlv ? flvFeed(track, times) : matroskaFeed(track);
}

function flvFeed(track: Track, times: SourceTimes): Feed {
  const video = track.kind === 'video';
  const config = flvConfigTag(track, 0);
  let lastDts = 0;
  return {
    format: 'flv',
    header: Buffer.concat([flvFileHeader(video, !video), ...(config === null ? [] : [config])]),
    packet: (packet, ms) => {
      // It is only carried along; what it must not do is go back or come after `ms`. Old codecs have no room for two times.
      const dts = track.codec === 'h264' ? Math.min(Math.max(times.ms(packet.dts), lastDts), ms) : ms;
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

function matroskaFeed(track: Track): Feed {
  return {
    format: 'matroska',
    header: matroskaHeader(track),
    packet: ({ keyframe, data }, ms) => matroskaFrame(track, { timestampMs: ms, keyframe, data }),
  };
}
