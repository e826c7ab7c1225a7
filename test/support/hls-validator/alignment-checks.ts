import type { MediaPlaylist } from './m3u8.ts';
import type { Problem } from './report.ts';
import { ProblemList } from './report.ts';
import { clockRate, timestampDifference } from './ts.ts';
import type { SegmentRecord, SegmentSpan, Variant } from './variant.ts';
import { lastSequence } from './variant.ts';

// A player that changes from one variant to another goes on with the next number. That is without a seam only if a
// number means the same stretch of time everywhere.

export type Seen = { variant: Variant; playlist: MediaPlaylist };

/** How many segments a variant may be behind the first one: it is made from it. */
const allowedLag = 2;
/** Dates and EXTINF are rounded. */
const toleranceMs = 1 + 1e-6;
/** A millisecond, as the times of the source have, and a tick of rounding. */
const timestampTolerance = clockRate / 1000 + 1;

/** V12. */
export function checkLag(reference: Seen, other: Seen, problems: ProblemList): void {
  if (reference.playlist.segments.length === 0) return;
  if (other.playlist.segments.length === 0) {
    problems.error('V12', 'is listed without a segment');
    return;
  }
  const lag = lastSequence(reference.playlist) - lastSequence(other.playlist);
  if (lag > allowedLag) problems.error('V12', `is ${lag} segments behind ${reference.variant.key}`, 'behind');
}

/** V9 to V11 for what both variants have and was not compared before: by media sequence number. */
export function alignmentProblems(
  reference: Seen,
  other: Seen,
): { mediaSequence: number; problems: Problem[] }[] {
  const found: { mediaSequence: number; problems: Problem[] }[] = [];
  for (const { mediaSequence } of other.playlist.segments) {
    const [theirs, own] = [reference.variant, other.variant].map(({ records }) => records.get(mediaSequence));
    if (!theirs || !own || other.variant.aligned.has(mediaSequence)) continue;
    other.variant.aligned.add(mediaSequence);
    const problems = new ProblemList();
    if (compareTimes(theirs, own, problems)) {
      compareDiscontinuity(theirs, own, problems);
      const [theirSpan, span] = [reference, other].map(({ variant }) => variant.spans.get(mediaSequence));
      if (theirSpan && span) compareSpans(theirSpan, span, problems);
    }
    if (problems.all.length > 0) found.push({ mediaSequence, problems: problems.all });
  }
  return found;
}

/** V10; true when both numbers mean the same time. Where they do not, nothing else can be the same. */
function compareTimes(theirs: SegmentRecord, own: SegmentRecord, problems: ProblemList): boolean {
  const longer = (own.duration - theirs.duration) * 1000;
  if (Math.abs(longer) > toleranceMs) {
    problems.error('V10', `EXTINF is ${own.duration}, in the first variant ${theirs.duration}`);
  }
  if (theirs.time === undefined || own.time === undefined) return true;
  const later = own.time - theirs.time;
  if (Math.abs(later) > toleranceMs) {
    problems.error('V10', `the date is ${later.toFixed(0)} ms off that in the first variant`);
  }
  return Math.abs(later) <= toleranceMs;
}

/** V9. */
function compareDiscontinuity(theirs: SegmentRecord, own: SegmentRecord, problems: ProblemList): void {
  if (theirs.discontinuity !== own.discontinuity) {
    problems.error('V9', `only ${own.discontinuity ? 'this' : 'the first'} variant has a DISCONTINUITY`);
  }
  if (theirs.discontinuityNumber !== own.discontinuityNumber) {
    problems.error(
      'V9',
      `its discontinuity number is ${own.discontinuityNumber}, in the first variant ${theirs.discontinuityNumber}`,
    );
  }
}

/** V11. A variant may leave out the pictures, or every second one, and nothing else. */
function compareSpans(theirs: SegmentSpan, own: SegmentSpan, problems: ProblemList): void {
  const ms = (ticks: number) => ((ticks / clockRate) * 1000).toFixed(1);
  if (own.video && theirs.video) {
    const offset = timestampDifference(own.video.first, theirs.video.first);
    if (Math.abs(offset) > 1) {
      problems.error('V11', `the first picture is ${ms(offset)} ms off that of the first variant`);
    }
    if (theirs.video.keyframe && !own.video.keyframe) {
      problems.error('V11', 'the first picture is no keyframe, that of the first variant is one');
    }
    const frame = theirs.video.frame ?? own.video.frame ?? 0;
    const allowed = Math.max(frame, (own.video.frame ?? 0) - frame) + timestampTolerance;
    const missing = timestampDifference(own.video.last, theirs.video.last);
    if (Math.abs(missing) > allowed) {
      problems.error('V11', `the last picture is ${ms(missing)} ms off that of the first variant`);
    }
  } else if (own.video) {
    problems.error('V11', 'has pictures, the first variant has none');
  }
  if (own.audio && theirs.audio) {
    const allowed = Math.max(own.audio.frame, theirs.audio.frame) + timestampTolerance;
    const start = timestampDifference(own.audio.first, theirs.audio.first);
    const end = timestampDifference(own.audio.end, theirs.audio.end);
    if (Math.abs(start) > allowed)
      problems.error('V11', `sound begins ${ms(start)} ms off that of the first variant`);
    if (Math.abs(end) > allowed)
      problems.error('V11', `sound ends ${ms(end)} ms off that of the first variant`);
  } else if (own.audio || theirs.audio) {
    problems.error('V11', `only ${own.audio ? 'this' : 'the first'} variant has sound`);
  }
}
