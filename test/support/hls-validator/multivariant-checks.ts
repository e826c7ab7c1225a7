import type { Seen } from './alignment-checks.ts';
import { averageBitRate, peakBitRate } from './bit-rates.ts';
import type { MultivariantPlaylist } from './m3u8.ts';
import type { Problem } from './report.ts';
import { ProblemList } from './report.ts';
import type { VideoFacts } from './ts.ts';
import { clockRate } from './ts.ts';
import type { MeasuredFacts, Variant } from './variant.ts';
import { withoutQuery } from './variant.ts';

/** V1 to V7: what the playlist declares, against what its variants turned out to be. */
export function multivariantProblems(
  playlist: MultivariantPlaylist,
  base: string,
  variants: ReadonlyMap<string, Variant>,
): Problem[] {
  const problems = new ProblemList();
  checkCaptions(playlist, variants, problems);
  for (const { uri, attributes } of playlist.variants) {
    const variant = variants.get(withoutQuery(new URL(uri, base).href));
    for (const type of ['AUDIO', 'VIDEO', 'SUBTITLES']) {
      const group = attributes.get(type);
      if (group !== undefined && !hasGroup(playlist, type, group)) {
        problems.error('V7', `${uri}: ${type} group "${group}" does not exist`);
      }
    }
    if (!variant || variant.facts.streamTypes.length === 0) continue;
    checkCodecs(uri, attributes.get('CODECS'), variant.facts, problems);
    checkPicture(
      uri,
      attributes.get('RESOLUTION'),
      attributes.get('FRAME-RATE'),
      variant.facts.video,
      problems,
    );
    checkBitRates(uri, attributes, variant, problems);
  }
  return problems.all;
}

function hasGroup(playlist: MultivariantPlaylist, type: string, group: string): boolean {
  return playlist.media.some(
    ({ attributes }) => attributes.get('TYPE') === type && attributes.get('GROUP-ID') === group,
  );
}

/** V6. */
function checkCaptions(
  playlist: MultivariantPlaylist,
  variants: ReadonlyMap<string, Variant>,
  problems: ProblemList,
): void {
  const declared = playlist.variants.map(({ attributes }) => attributes.get('CLOSED-CAPTIONS'));
  const none = declared.filter((value) => value === 'NONE').length;
  if (none > 0 && none < declared.length) {
    problems.error('V6', 'CLOSED-CAPTIONS=NONE stands on some variants and not on all');
  }
  if (declared.length > 0 && declared.every((value) => value === undefined)) {
    problems.warning(
      'V6',
      'no CLOSED-CAPTIONS attribute; Apple players then show a caption track that is not there',
    );
  }
  for (const group of declared) {
    if (group !== undefined && group !== 'NONE' && !hasGroup(playlist, 'CLOSED-CAPTIONS', group)) {
      problems.error('V6', `caption group "${group}" does not exist`);
    }
  }
  if (none > 0 && [...variants.values()].some((variant) => variant.facts.captions)) {
    problems.error('V6', 'CLOSED-CAPTIONS=NONE, but the video carries captions');
  }
}

const mpegAudioCodecs: ReadonlySet<string> = new Set(['mp4a.40.34', 'mp4a.69', 'mp4a.6b']);
/** ADTS announces only the core of HE-AAC, so the declaration may say more than the header. */
const acceptedForLowComplexity: ReadonlySet<string> = new Set(['mp4a.40.2', 'mp4a.40.5', 'mp4a.40.29']);

function audioMatches(codec: string, facts: MeasuredFacts): boolean {
  const { audio } = facts;
  if (!audio) return false;
  if (audio.streamType === 0x03 || audio.streamType === 0x04) return mpegAudioCodecs.has(codec);
  if (audio.streamType !== 0x0f) return !codec.startsWith('mp4a.');
  if (audio.codec === undefined) return codec.startsWith('mp4a.40.');
  return audio.codec === 'mp4a.40.2' ? acceptedForLowComplexity.has(codec) : codec === audio.codec;
}

/** V1. */
function checkCodecs(
  uri: string,
  declared: string | undefined,
  facts: MeasuredFacts,
  problems: ProblemList,
): void {
  if (declared === undefined) {
    problems.error('V1', `${uri}: no CODECS`);
    return;
  }
  const codecs = declared.split(',').map((codec) => codec.trim().toLowerCase());
  const isVideo = (codec: string) => /^(avc|hvc|hev|vvc|vvi|dvh|av01|vp0)/.test(codec);
  const video = codecs.filter(isVideo);
  const audio = codecs.filter((codec) => !isVideo(codec));
  const expectedVideo = facts.video?.codec;
  if (video.length !== (facts.video ? 1 : 0) || (expectedVideo !== undefined && video[0] !== expectedVideo)) {
    problems.error(
      'V1',
      `${uri}: CODECS="${declared}", the video is ${expectedVideo ?? (facts.video ? 'unknown' : 'absent')}`,
    );
  }
  const audioFits = facts.audio
    ? audio.length === 1 && audio.every((codec) => audioMatches(codec, facts))
    : audio.length === 0;
  if (!audioFits) {
    problems.error('V1', `${uri}: CODECS="${declared}", the audio is ${facts.audio?.codec ?? 'absent'}`);
  }
}

/** V2 and V3. */
function checkPicture(
  uri: string,
  resolution: string | undefined,
  frameRate: string | undefined,
  video: VideoFacts | undefined,
  problems: ProblemList,
): void {
  if (!video) {
    if (resolution !== undefined) problems.error('V2', `${uri}: RESOLUTION without video`);
    if (frameRate !== undefined) problems.error('V3', `${uri}: FRAME-RATE without video`);
    return;
  }
  if (resolution === undefined) problems.error('V2', `${uri}: no RESOLUTION`);
  else if (video.sequence && resolution !== `${video.sequence.width}x${video.sequence.height}`) {
    problems.error(
      'V2',
      `${uri}: RESOLUTION=${resolution}, the SPS says ${video.sequence.width}x${video.sequence.height}`,
    );
  }
  if (frameRate === undefined) {
    problems.error('V3', `${uri}: no FRAME-RATE`);
    return;
  }
  // Timestamps come from whole milliseconds; in a very short segment that alone is more than half a percent.
  const seconds = ((video.frameDuration ?? 0) * (video.units.length - 1)) / clockRate;
  const tolerance = 0.005 + 0.001 / Math.max(seconds, 0.001);
  const fits = (measured: number) => Math.abs(Number(frameRate) / measured - 1) <= tolerance;
  if (video.framesPerSecond !== undefined && !fits(video.framesPerSecond)) {
    problems.error('V3', `${uri}: FRAME-RATE=${frameRate} does not match the frames of the segments`);
  }
}

/**
 * V4 and V5. What is listed now was measured before it was declared; what was seen earlier may have been measured by
 * a process that is gone, so the margins for live streams hold: the peak may be 25 % over, the average 10 %.
 */
function checkBitRates(
  uri: string,
  attributes: ReadonlyMap<string, string>,
  variant: Variant,
  problems: ProblemList,
): void {
  const bandwidth = Number(attributes.get('BANDWIDTH'));
  const peak = peakBitRate(variant.rates, variant.targetDuration ?? 1);
  if (peak !== undefined && bandwidth * 1.25 < peak) {
    problems.error('V4', `${uri}: BANDWIDTH=${bandwidth} is below the measured peak by more than 25 %`);
  }
  const listed = new Set(variant.previous?.segments.map(({ mediaSequence }) => mediaSequence));
  const rates = variant.rates.filter(({ mediaSequence }) => listed.has(mediaSequence));
  const listedPeak = peakBitRate(rates, variant.targetDuration ?? 1);
  // EXTINF is rounded.
  if (listedPeak !== undefined && bandwidth * 1.0001 + 1 < listedPeak) {
    problems.error('V4', `${uri}: BANDWIDTH=${bandwidth} is below the peak of the listed segments`);
  }
  const declared = attributes.get('AVERAGE-BANDWIDTH');
  if (declared === undefined) {
    problems.error('V5', `${uri}: no AVERAGE-BANDWIDTH`);
    return;
  }
  if (Number(declared) > bandwidth) problems.error('V5', `${uri}: AVERAGE-BANDWIDTH is above BANDWIDTH`);
  const average = averageBitRate(variant.rates);
  // The rule speaks of an hour; a handful of segments proves nothing.
  if (average !== undefined && variant.rates.length >= 10 && average > Number(declared) * 1.1) {
    problems.warning(
      'V5',
      `${uri}: AVERAGE-BANDWIDTH=${declared} is below the measured average by more than 10 %`,
    );
  }
  if (average !== undefined && variant.rates.length >= 10 && Number(declared) > average * 1.5) {
    problems.warning(
      'V5',
      `${uri}: AVERAGE-BANDWIDTH=${declared} is above the measured average by more than half`,
    );
  }
}

/** V8. */
export function compareVariants(seen: readonly Seen[]): Problem[] {
  const problems = new ProblemList();
  const reference = seen[0];
  if (!reference) return [];
  for (const other of seen.slice(1)) {
    if (other.playlist.targetDuration !== reference.playlist.targetDuration) {
      problems.error('V8', `${other.variant.key} has another TARGETDURATION than ${reference.variant.key}`);
    }
    if (other.playlist.serverControl !== reference.playlist.serverControl) {
      problems.error('V8', `${other.variant.key} has another SERVER-CONTROL than ${reference.variant.key}`);
    }
  }
  return problems.all;
}
