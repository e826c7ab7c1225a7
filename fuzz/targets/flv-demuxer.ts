import { FlvDemuxer } from '../../src/formats/flv/demuxer.ts';
import { AnnexBWriter } from '../../src/formats/mpegts/access-unit.ts';
import type { Frame } from '../../src/media/frame.ts';
import { parts } from '../support/pieces.ts';
import { check, failure } from '../support/tolerate.ts';

/** Parts: 0 for audio or 1 for video u8, then the message body. */
export const maxLength = 4096;

const ALLOWED = new Set([null, 'SLUICE_FLV_MALFORMED', 'SLUICE_CODEC_MALFORMED']);

/** Legacy and Enhanced RTMP messages of one publication, sequence headers and frames. */
export function fuzz(data: Buffer): void {
  const demuxer = new FlvDemuxer(checkFrame, ({ code }) =>
    check(code === 'SLUICE_FLV_MALFORMED', `${code} of a lost frame`),
  );
  for (const part of parts(data)) {
    const body = part.subarray(1);
    const video = ((part[0] ?? 0) & 1) === 1;
    const code = failure(() => (video ? demuxer.pushVideo(0xffff_ffff, body) : demuxer.pushAudio(0, body)));
    check(ALLOWED.has(code), `${code} from the demuxer`);
  }
}

function checkFrame({ track, timestamp, compositionOffset, nanoseconds, data, keyframe }: Frame): void {
  check(data.length > 0, 'an empty frame');
  check(timestamp >>> 0 === timestamp, `timestamp ${timestamp}`);
  check(Math.abs(compositionOffset) <= 2 ** 23, `composition offset ${compositionOffset}`);
  check(nanoseconds >= 0 && nanoseconds <= 999_999, `${nanoseconds} ns`);
  check(/^[av]\d{1,3}$/.test(track.id), `track ${track.id}`);
  // It goes into the playlist between quotes.
  check(track.codecString === null || /^[\w.-]+$/.test(track.codecString), `codec ${track.codecString}`);
  if (track.kind === 'audio') {
    check(track.sampleRate >= 0 && track.channels >= 0 && track.channels <= 255, 'impossible audio');
    return;
  }
  check(track.width >= 0 && track.height >= 0 && track.width + track.height <= 32_768, 'impossible picture');
  if (track.h264 === null) return;
  const writer = new AnnexBWriter();
  const size = writer.measure(data, track.h264, keyframe);
  check(writer.write(data, track.h264, new Uint8Array(size), 0) === size, 'an access unit of another size');
}
