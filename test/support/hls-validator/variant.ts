import type { MediaPlaylist } from './m3u8.ts';
import type { AudioFacts, TransportSegment, VideoFacts } from './ts.ts';

// What is remembered of one variant from look to look.

export type SegmentRecord = {
  mediaSequence: number;
  url: string;
  /** Without the query, which may carry a changing token. */
  identity: string;
  duration: number;
  discontinuity: boolean;
  discontinuityNumber: number;
  gap: boolean;
  time: number | undefined;
};

export type AnalysedSegment = { record: SegmentRecord; media: TransportSegment };

/** Where the tracks of a segment begin and end, in ticks of its own 33-bit clock. */
export type SegmentSpan = {
  video: { first: number; last: number; frame: number | undefined; keyframe: boolean } | undefined;
  audio: { first: number; end: number; frame: number } | undefined;
};

export type RemovedSegment = { record: SegmentRecord; mustLiveUntil: number };

export type Variant = {
  key: string;
  url: string;
  frameRate: number | undefined;
  independentSegments: boolean;
  targetDuration: number | undefined;
  playlistType: string | undefined;
  firstMediaSequence: number;
  previous: MediaPlaylist | undefined;
  previousPollAt: number;
  lastChangeAt: number;
  records: Map<number, SegmentRecord>;
  sequenceByIdentity: Map<string, number>;
  longestWindow: number;
  discontinuitySeen: boolean;
  ended: boolean;
  removed: RemovedSegment[];
  lastAnalysed: AnalysedSegment | undefined;
  /** How long a picture lasts, by the newest segment with more than one, in ticks. */
  videoFrame: number | undefined;
  /** EXTINF and media time since the last discontinuity, in seconds. */
  run: { declared: number; measured: number };
  rates: { duration: number; bytes: number; mediaSequence: number }[];
  /** By media sequence number; missing where there was no media. */
  spans: Map<number, SegmentSpan>;
  /** Segments that were held against those of the first variant. */
  aligned: Set<number>;
  /** The first variant has pictures. */
  besidePictures: boolean;
  /** The look that found it in the multivariant playlist last. */
  listedAtPoll: number;
  facts: MeasuredFacts;
  segmentProbed: boolean;
  overhead: { total: number; elementary: number };
};

export type MeasuredFacts = {
  streamTypes: number[];
  video: VideoFacts | undefined;
  audio: AudioFacts | undefined;
  captions: boolean;
};

export function newVariant(key: string): Variant {
  return {
    key,
    url: key,
    frameRate: undefined,
    independentSegments: false,
    targetDuration: undefined,
    playlistType: undefined,
    firstMediaSequence: 0,
    previous: undefined,
    previousPollAt: 0,
    lastChangeAt: 0,
    records: new Map(),
    sequenceByIdentity: new Map(),
    longestWindow: 0,
    discontinuitySeen: false,
    ended: false,
    removed: [],
    lastAnalysed: undefined,
    videoFrame: undefined,
    run: { declared: 0, measured: 0 },
    rates: [],
    spans: new Map(),
    aligned: new Set(),
    besidePictures: false,
    listedAtPoll: 0,
    facts: { streamTypes: [], video: undefined, audio: undefined, captions: false },
    segmentProbed: false,
    overhead: { total: 0, elementary: 0 },
  };
}

export function withoutQuery(url: string): string {
  const parsed = new URL(url);
  return parsed.origin + parsed.pathname;
}

export function windowDuration(playlist: MediaPlaylist): number {
  return playlist.segments.reduce((sum, segment) => sum + segment.duration, 0);
}

export function lastSequence(playlist: MediaPlaylist): number {
  return playlist.mediaSequence + playlist.segments.length - 1;
}

export function trackRemoved(variant: Variant, playlist: MediaPlaylist): void {
  const previous = variant.previous;
  if (!previous || playlist.mediaSequence <= previous.mediaSequence) return;
  // It may have left right after the last look, so the window counts from there.
  const mustLiveUntil =
    variant.previousPollAt + Math.max(variant.longestWindow, windowDuration(previous)) * 1000;
  for (let number = previous.mediaSequence; number < playlist.mediaSequence; number += 1) {
    const record = variant.records.get(number);
    if (record && !record.gap && number <= lastSequence(previous))
      variant.removed.push({ record, mustLiveUntil });
  }
}

/** Puts the segments not met before on record and returns them; numbers that changed their meaning are taken over. */
export function recordSegments(variant: Variant, playlist: MediaPlaylist): SegmentRecord[] {
  const fresh: SegmentRecord[] = [];
  for (const segment of playlist.segments) {
    const url = new URL(segment.uri, variant.url).href;
    const identity = withoutQuery(url);
    const known = variant.records.get(segment.mediaSequence);
    const record: SegmentRecord = {
      mediaSequence: segment.mediaSequence,
      url,
      identity,
      duration: segment.duration,
      discontinuity: segment.discontinuity,
      discontinuityNumber: segment.discontinuityNumber,
      gap: segment.gap,
      time: known?.identity === identity ? known.time : undefined,
    };
    variant.records.set(segment.mediaSequence, record);
    if (!variant.sequenceByIdentity.has(identity)) fresh.push(record);
    variant.sequenceByIdentity.set(identity, segment.mediaSequence);
  }
  return fresh;
}

/** Comes after all checks of a look, because they compare with the look before. */
export function rememberPlaylist(variant: Variant, playlist: MediaPlaylist, askedAt: number): void {
  variant.previous = playlist;
  variant.previousPollAt = askedAt;
  variant.ended ||= playlist.endList;
  variant.longestWindow = Math.max(variant.longestWindow, windowDuration(playlist));
}

export function rememberSegment(variant: Variant, analysed: AnalysedSegment, bytes: number): void {
  const { media, record } = analysed;
  variant.lastAnalysed = analysed;
  variant.videoFrame = media.video?.frameDuration ?? variant.videoFrame;
  variant.rates.push({ duration: record.duration, bytes, mediaSequence: record.mediaSequence });
  variant.spans.set(record.mediaSequence, spanOf(media));
  variant.facts = {
    streamTypes: media.streams.map((stream) => stream.streamType),
    video: media.video,
    audio: media.audio,
    captions: variant.facts.captions || media.video?.hasCaptions === true,
  };
  variant.overhead.total += media.overhead.totalBytes;
  variant.overhead.elementary += media.overhead.elementaryBytes;
}

function spanOf({ video, audio }: TransportSegment): SegmentSpan {
  const firstUnit = video?.units[0];
  const [firstPacket, lastPacket] = [audio?.packets[0], audio?.packets.at(-1)];
  const audioFrame = audio?.frameDuration;
  return {
    video: video &&
      firstUnit && {
        first: firstUnit.pts,
        last: Math.max(...video.units.map(({ pts }) => pts)),
        frame: video.frameDuration,
        keyframe: firstUnit.keyframe,
      },
    audio:
      firstPacket && lastPacket && audioFrame !== undefined
        ? {
            first: firstPacket.pts,
            end: lastPacket.pts + lastPacket.frames * audioFrame,
            frame: audioFrame,
          }
        : undefined,
  };
}

/** A variant that was not listed for a while may begin anew, further on, with nothing of what it had before. */
export function beginAnew(variant: Variant, playlist: MediaPlaylist, now: number): void {
  variant.lastChangeAt = now;
  if (variant.previous && playlist.mediaSequence > lastSequence(variant.previous)) {
    variant.firstMediaSequence = playlist.mediaSequence;
    variant.lastAnalysed = undefined;
  }
}
