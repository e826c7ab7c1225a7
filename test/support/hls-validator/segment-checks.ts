import { checkOwnDuration, compareDuration } from './duration-checks.ts';
import type { ProblemList } from './report.ts';
import type { TransportSegment } from './ts.ts';
import { clockRate, maximumPcrInterval, timestampDifference } from './ts.ts';
import type { AnalysedSegment, SegmentRecord, Variant } from './variant.ts';

/** P11 and M6 at the begin of a segment. */
export function checkIndependence(
  variant: Variant,
  record: SegmentRecord,
  media: TransportSegment,
  problems: ProblemList,
): void {
  const first = media.video?.units[0];
  if (!first || first.keyframe) return;
  if (variant.independentSegments) {
    problems.error('P11', 'INDEPENDENT-SEGMENTS is declared, but the first picture is not IDR');
  } else if (record.discontinuity || record.mediaSequence === variant.firstMediaSequence) {
    problems.error('M6', 'the first picture is not IDR');
  }
}

/** Everything that needs two segments: M3, M4, M9, M11, P12. */
export function compareSegments(variant: Variant, current: AnalysedSegment, problems: ProblemList): void {
  const previous = variant.lastAnalysed;
  const follows = previous?.record.mediaSequence === current.record.mediaSequence - 1;
  if (!previous || !follows) {
    variant.run = { declared: 0, measured: 0 };
    return;
  }
  if (current.record.discontinuity) {
    checkOwnDuration(variant, previous, problems);
    variant.run = { declared: 0, measured: 0 };
    return;
  }
  compareCounters(previous.media, current.media, problems);
  compareParameters(previous.media, current.media, problems);
  // A jump explains every other time difference; reporting those too would only hide the cause.
  if (compareTimestamps(previous.media, current.media, problems)) {
    compareClocks(previous.media, current.media, problems);
    compareDuration(variant, previous, current, problems);
  } else {
    checkOwnDuration(variant, previous, problems);
    variant.run = { declared: 0, measured: 0 };
  }
}

function compareCounters(previous: TransportSegment, current: TransportSegment, problems: ProblemList): void {
  for (const [pid, { first }] of current.counters) {
    const before = previous.counters.get(pid);
    if (!before || current.announcedDiscontinuity.has(pid)) continue;
    const expected = (before.last + 1) & 0x0f;
    if (first !== expected) {
      problems.error(
        'M3',
        `PID ${pid} begins with counter ${first}, the segment before ended with ${before.last}`,
      );
    }
  }
}

function describeStreams(media: TransportSegment): string {
  return media.streams.map(({ pid, streamType }) => `${pid}:${streamType}`).join(' ');
}

/** M11: other tracks or other parameters need a DISCONTINUITY. */
function compareParameters(
  previous: TransportSegment,
  current: TransportSegment,
  problems: ProblemList,
): void {
  const changed = (before: unknown, after: unknown) =>
    before !== undefined && after !== undefined && before !== after;
  if (previous.streams.length > 0 && current.streams.length > 0) {
    if (changed(describeStreams(previous), describeStreams(current))) {
      problems.error(
        'M11',
        `the tracks changed from ${describeStreams(previous)} to ${describeStreams(current)}`,
      );
    }
  }
  if (changed(previous.video?.sequenceHex, current.video?.sequenceHex))
    problems.error('M11', 'the SPS changed');
  if (
    changed(previous.audio?.sampleRate, current.audio?.sampleRate) ||
    changed(previous.audio?.channels, current.audio?.channels) ||
    changed(previous.audio?.codec, current.audio?.codec)
  ) {
    problems.error('M11', 'the audio format changed');
  }
}

/** M9; true when the time line goes on. */
function compareTimestamps(
  previous: TransportSegment,
  current: TransportSegment,
  problems: ProblemList,
): boolean {
  const before = problems.all.length;
  const lastUnit = previous.video?.units.at(-1);
  const firstUnit = current.video?.units[0];
  const frame = previous.video?.frameDuration ?? current.video?.frameDuration;
  if (lastUnit && firstUnit && frame !== undefined) {
    const gap = timestampDifference(firstUnit.dts, lastUnit.dts);
    // A source with a varying frame rate is measured by its own longest frame.
    const longest = Math.max(frame, previous.video?.longestFrame ?? 0);
    if (gap <= 0 || gap > longest + frame) {
      problems.error(
        'M9',
        `video DTS goes on after ${milliseconds(gap)} ms, a frame lasts ${milliseconds(frame)} ms`,
      );
    }
  }
  const lastAudio = previous.audio?.packets.at(-1);
  const firstAudio = current.audio?.packets[0];
  const audioFrame = previous.audio?.frameDuration;
  if (lastAudio && firstAudio && audioFrame !== undefined) {
    const expected = lastAudio.pts + lastAudio.frames * audioFrame;
    const difference = timestampDifference(firstAudio.pts, expected);
    if (Math.abs(difference) > audioFrame + 2) {
      problems.error(
        'M9',
        `audio PTS goes on ${milliseconds(difference)} ms off the end of the segment before`,
      );
    }
  }
  return problems.all.length === before;
}

function milliseconds(ticks: number): string {
  return ((ticks / clockRate) * 1000).toFixed(1);
}

function compareClocks(previous: TransportSegment, current: TransportSegment, problems: ProblemList): void {
  const last = previous.pcrs.at(-1);
  const first = current.pcrs[0];
  if (!last || !first) return;
  const interval = timestampDifference(first.seconds * clockRate, last.seconds * clockRate) / clockRate;
  if (interval <= 0 || interval > maximumPcrInterval + 1e-6) {
    problems.error(
      'M4',
      `${(interval * 1000).toFixed(1)} ms from the last PCR to the first of the next segment`,
    );
  }
}
