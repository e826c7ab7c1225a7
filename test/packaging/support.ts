import type { SegmentInfo } from '../../src/formats/m3u8/playlist.ts';
import type { Packet } from '../../src/media/packet.ts';
import { ticksFromMs, ticksFromSeconds } from '../../src/media/time.ts';
import type { Track } from '../../src/media/track.ts';

export function packetAt(track: Track, ms: number, keyframe = track.kind === 'audio'): Packet {
  const dts = ticksFromMs(ms);
  return { track, dts, pts: dts, keyframe, data: new Uint8Array(1) };
}

export function segmentInfo(mediaSequence: number, seconds: number, discontinuity = false): SegmentInfo {
  return {
    mediaSequence,
    uri: `s-${mediaSequence}.ts`,
    duration: ticksFromSeconds(seconds),
    bytes: 1000,
    programDateTime: 0,
    discontinuity,
    independent: true,
  };
}
