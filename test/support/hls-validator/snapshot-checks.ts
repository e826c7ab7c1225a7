import type { MediaPlaylist, PlaylistSegment } from './m3u8.ts';
import type { ProblemList } from './report.ts';
import type { SegmentRecord, Variant } from './variant.ts';
import { lastSequence, withoutQuery } from './variant.ts';

function identityOf(segment: PlaylistSegment, base: string): string {
  return withoutQuery(new URL(segment.uri, base).href);
}

/** P4, P5, P14: what may change between two versions is narrow: append at the end, remove at the front, end. */
export function compareSnapshots(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const previous = variant.previous;
  if (!previous) return;
  if (variant.ended) compareEnded(previous, playlist, problems);
  if (playlist.mediaSequence < previous.mediaSequence) {
    problems.error(
      'P4',
      `MEDIA-SEQUENCE went back from ${previous.mediaSequence} to ${playlist.mediaSequence}`,
    );
    return;
  }
  if (lastSequence(playlist) < lastSequence(previous)) {
    problems.error(
      'P4',
      `segments ${lastSequence(playlist) + 1} to ${lastSequence(previous)} were withdrawn`,
    );
  }
  // How often segments moved is not interesting: one wrong number moves all of them.
  for (const segment of playlist.segments) {
    const identity = identityOf(segment, variant.url);
    const knownSequence = variant.sequenceByIdentity.get(identity);
    if (knownSequence !== undefined && knownSequence !== segment.mediaSequence) {
      problems.error('P4', `a segment moved from ${knownSequence} to ${segment.mediaSequence}`, 'moved');
      continue;
    }
    const record = variant.records.get(segment.mediaSequence);
    if (record) compareRecord(record, segment, identity, problems);
  }
  compareDiscontinuities(variant, previous, playlist, problems);
}

function compareEnded(previous: MediaPlaylist, playlist: MediaPlaylist, problems: ProblemList): void {
  if (!playlist.endList) problems.error('P14', 'ENDLIST was withdrawn');
  else if (
    playlist.mediaSequence !== previous.mediaSequence ||
    playlist.segments.length !== previous.segments.length
  ) {
    problems.error('P14', 'the playlist changed after ENDLIST');
  }
}

function compareRecord(
  record: SegmentRecord,
  segment: PlaylistSegment,
  identity: string,
  problems: ProblemList,
): void {
  const name = `segment ${segment.mediaSequence}`;
  if (record.identity !== identity) {
    problems.error('P5', `${name} was ${record.identity} and is now ${identity}`);
    return;
  }
  if (record.duration !== segment.duration) {
    problems.error('P5', `${name}: EXTINF changed from ${record.duration} to ${segment.duration}`);
  }
}

/** A number is DISCONTINUITY-SEQUENCE plus the tags before it, so it stays with its segment whatever is removed. */
function compareDiscontinuities(
  variant: Variant,
  previous: MediaPlaylist,
  playlist: MediaPlaylist,
  problems: ProblemList,
): void {
  for (const segment of playlist.segments) {
    const record = variant.records.get(segment.mediaSequence);
    if (!record || record.identity !== identityOf(segment, variant.url)) continue;
    if (record.discontinuity !== segment.discontinuity) {
      problems.error('P4', `segment ${segment.mediaSequence} gained or lost its DISCONTINUITY`);
      return;
    }
    if (record.discontinuityNumber !== segment.discontinuityNumber) {
      problems.error(
        'P4',
        `segment ${segment.mediaSequence} changed from discontinuity ${record.discontinuityNumber} to ${segment.discontinuityNumber}`,
      );
      return;
    }
  }
  if ((playlist.discontinuitySequence ?? 0) < (previous.discontinuitySequence ?? 0)) {
    problems.error('P4', 'DISCONTINUITY-SEQUENCE went back');
  }
}
