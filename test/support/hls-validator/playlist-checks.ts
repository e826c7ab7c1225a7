import type { MediaPlaylist } from './m3u8.ts';
import type { ProblemList } from './report.ts';
import { clockRate } from './ts.ts';
import type { Variant } from './variant.ts';
import { lastSequence, windowDuration } from './variant.ts';

/** P2 and P3. */
export function checkDurations(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const target = playlist.targetDuration;
  if (target === undefined) return;
  if (target < 1) problems.error('P2', `TARGETDURATION is ${target}`);
  if (variant.targetDuration !== undefined && variant.targetDuration !== target) {
    problems.error('P2', `TARGETDURATION changed from ${variant.targetDuration} to ${target}`);
  }
  variant.targetDuration = target;
  for (const { mediaSequence, duration } of playlist.segments) {
    if (duration > target + 0.5) {
      problems.error('P3', `segment ${mediaSequence} lasts ${duration} s, target duration is ${target} s`);
    } else if (Math.round(duration) > target) {
      problems.error(
        'P2',
        `EXTINF ${duration} of segment ${mediaSequence} rounds above the target duration ${target}`,
      );
    }
    if (duration === 0) problems.error('P2', `segment ${mediaSequence} lasts 0 s`);
  }
}

/** P6: a young playlist may be short, but from the first removal on the floor holds. */
export function checkWindow(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  if (playlist.endList || playlist.mediaSequence <= variant.firstMediaSequence) return;
  const target = playlist.targetDuration ?? variant.targetDuration ?? 0;
  const window = windowDuration(playlist);
  if (playlist.segments.length < 6) {
    problems.error('P6', `segments were removed although only ${playlist.segments.length} are left`, 'count');
  }
  if (window < 3 * target) {
    problems.error('P6', `segments were removed although only ${window.toFixed(3)} s are left`, 'window');
  }
}

/** P9 and P13. */
export function checkKind(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const removes = playlist.mediaSequence > variant.firstMediaSequence;
  variant.discontinuitySeen ||= playlist.segments.some((segment) => segment.discontinuity);
  if (playlist.discontinuitySequence === undefined) {
    if (variant.discontinuitySeen) problems.error('P9', 'DISCONTINUITY without DISCONTINUITY-SEQUENCE');
    else if (removes) problems.warning('P9', 'a sliding playlist has no DISCONTINUITY-SEQUENCE');
  }
  if (playlist.playlistType !== undefined && removes) {
    problems.error('P13', `segments are removed from a playlist of type ${playlist.playlistType}`);
  }
  if (playlist.playlistType === 'VOD' && !playlist.endList) problems.error('P13', 'type VOD without ENDLIST');
  if (variant.previous && variant.playlistType !== playlist.playlistType) {
    problems.error(
      'P13',
      `type changed from ${variant.playlistType ?? 'none'} to ${playlist.playlistType ?? 'none'}`,
    );
  }
  variant.playlistType = playlist.playlistType;
}

/** P11 as far as the playlists show it. */
export function checkIndependenceTag(
  variant: Variant,
  playlist: MediaPlaylist,
  inherited: boolean,
  problems: ProblemList,
): void {
  if (inherited && playlist.independentSegments) {
    problems.warning('P11', 'INDEPENDENT-SEGMENTS stands in the multivariant and in the media playlist');
  }
  variant.independentSegments = inherited || playlist.independentSegments;
}

/** P7: only a look that found nothing new proves a late update; the true gap is never shorter than what was seen. */
export function checkFreshness(
  variant: Variant,
  playlist: MediaPlaylist,
  { askedAt, now, segmentsDue, slack }: { askedAt: number; now: number; segmentsDue: boolean; slack: number },
  problems: ProblemList,
): void {
  const previous = variant.previous;
  if (!previous || lastSequence(playlist) !== lastSequence(previous) || playlist.endList || variant.ended) {
    variant.lastChangeAt = now;
    return;
  }
  const limit = 1500 * (playlist.targetDuration ?? 1);
  const unchangedFor = askedAt - variant.lastChangeAt;
  if (segmentsDue && unchangedFor > limit + slack) {
    const seconds = (unchangedFor / 1000).toFixed(1);
    // One stall is one finding, however long it lasts.
    problems.error('P7', `no segment for ${seconds} s after ${lastSequence(previous)}`);
    variant.lastChangeAt = Number.POSITIVE_INFINITY;
  }
}

function frameSeconds(variant: Variant): number {
  const { video, audio } = variant.facts;
  const ticks = video?.frameDuration ?? audio?.frameDuration;
  if (ticks !== undefined) return ticks / clockRate;
  return variant.frameRate === undefined ? 0.04 : 1 / variant.frameRate;
}

/** P8. Dates have whole milliseconds, so one millisecond belongs to the tolerance. */
export function checkDates(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const tolerance = frameSeconds(variant) * 1000 + 1;
  if (
    playlist.segments.length > 0 &&
    playlist.segments.every((segment) => segment.programDateTime === undefined)
  ) {
    problems.error('P8', 'no PROGRAM-DATE-TIME');
  }
  let expected: number | undefined;
  for (const segment of playlist.segments) {
    const { mediaSequence, programDateTime, discontinuity } = segment;
    if (discontinuity && programDateTime === undefined) {
      problems.warning('P8', `segment ${mediaSequence} has a DISCONTINUITY and no PROGRAM-DATE-TIME`);
    }
    if (programDateTime !== undefined && expected !== undefined) {
      const difference = programDateTime - expected;
      if (discontinuity ? difference < -1000 : Math.abs(difference) > tolerance) {
        problems.error(
          'P8',
          `date of segment ${mediaSequence} is ${difference.toFixed(0)} ms off its predecessor's end`,
        );
      }
    }
    const time = programDateTime ?? (discontinuity ? undefined : expected);
    const record = variant.records.get(mediaSequence);
    if (record && time !== undefined) {
      if (record.time !== undefined && Math.abs(record.time - time) > tolerance) {
        problems.error(
          'P8',
          `date of segment ${mediaSequence} changed by ${(time - record.time).toFixed(0)} ms`,
        );
      }
      record.time ??= time;
    }
    expected = time === undefined ? undefined : time + segment.duration * 1000;
  }
}
