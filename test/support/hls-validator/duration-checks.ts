import type { ProblemList } from './report.ts';
import type { TransportSegment } from './ts.ts';
import { clockRate, timestampDifference } from './ts.ts';
import type { AnalysedSegment, Variant } from './variant.ts';

function startOf(media: TransportSegment, useVideo: boolean): number | undefined {
  return useVideo ? media.video?.units[0]?.pts : media.audio?.packets[0]?.pts;
}

/** Sound without pictures is cut where the pictures of the other variants are, so only V11 is exact for it. */
const besidePicturesSeconds = 0.1;

function slackOf(variant: Variant, media: TransportSegment): number {
  return variant.besidePictures && !media.video ? besidePicturesSeconds : 0;
}

/** P12: EXTINF against the start of the next segment, alone and summed up since the last discontinuity. */
export function compareDuration(
  variant: Variant,
  previous: AnalysedSegment,
  current: AnalysedSegment,
  problems: ProblemList,
): void {
  const useVideo =
    previous.media.video?.units[0] !== undefined && current.media.video?.units[0] !== undefined;
  const from = startOf(previous.media, useVideo);
  const to = startOf(current.media, useVideo);
  const frame = (useVideo ? previous.media.video : previous.media.audio)?.frameDuration;
  if (from === undefined || to === undefined || frame === undefined) return;
  const measured = timestampDifference(to, from) / clockRate;
  const declared = previous.record.duration;
  const tolerance = frame / clockRate + 0.001 + slackOf(variant, current.media);
  variant.run.declared += declared;
  variant.run.measured += measured;
  const drift = variant.run.declared - variant.run.measured;
  if (Math.abs(declared - measured) > tolerance) {
    problems.error(
      'P12',
      `EXTINF of the segment before is ${declared}, its media lasts ${measured.toFixed(5)} s`,
    );
  } else if (Math.abs(drift) > tolerance) {
    problems.error('P12', `the EXTINF so far are ${drift.toFixed(5)} s off the media time`);
  } else {
    return;
  }
  variant.run = { declared: 0, measured: 0 };
}

/** P12 where no next segment continues the time line: the duration must lie between the ends of the tracks. */
export function checkOwnDuration(
  variant: Variant,
  { record, media }: AnalysedSegment,
  problems: ProblemList,
): void {
  const ends: number[] = [];
  const { video, audio } = media;
  // A single picture does not tell how long it lasts.
  const videoFrame = video?.frameDuration ?? variant.videoFrame;
  if (video?.units.length && videoFrame !== undefined) {
    ends.push(Math.max(...video.units.map((unit) => unit.pts)) + videoFrame);
  }
  const lastAudio = audio?.packets.at(-1);
  if (lastAudio && audio?.frameDuration !== undefined) {
    ends.push(lastAudio.pts + lastAudio.frames * audio.frameDuration);
  }
  const start = startOf(media, video?.units[0] !== undefined);
  const frame = (video && videoFrame) ?? audio?.frameDuration;
  if (start === undefined || frame === undefined) return;
  const tolerance = frame / clockRate + 0.001 + slackOf(variant, media);
  const shortest = (Math.min(...ends) - start) / clockRate;
  const longest = (Math.max(...ends) - start) / clockRate;
  if (record.duration < shortest - tolerance || record.duration > longest + tolerance) {
    problems.error(
      'P12',
      `EXTINF of segment ${record.mediaSequence} is ${record.duration}, its media lasts ${longest.toFixed(5)} s`,
    );
  }
}
