import { readX264Settings } from '../codecs/x264-settings.ts';
import type { SegmentInfo } from '../formats/m3u8/playlist.ts';
import { reasonNotInTs, TsMuxer } from '../formats/mpegts/muxer.ts';
import { SluiceError } from '../media/errors.ts';
import type { Epoch, MediaSink, Packet } from '../media/packet.ts';
import type { SegmentBody } from '../media/segment-body.ts';
import { msFromTicks, type Ticks, ticksFromSamples, ticksFromSeconds } from '../media/time.ts';
import type { AudioTrack, Track, VideoTrack } from '../media/track.ts';
import type { Warning } from '../media/warning.ts';
import { AlignedRendition, type LeadingSegment } from './aligned-rendition.ts';
import { FrameRateMeter } from './frame-rate.ts';
import { packagingWarnings } from './packaging-warnings.ts';
import { type Numbering, Rendition, type RenditionOptions } from './rendition.ts';
import type { AlignedState, RenditionDescription, RenditionState } from './rendition-state.ts';
import { Segmenter } from './segmenter.ts';
import { chooseTargetDuration, longestSegment } from './target-duration.ts';
import { WallAnchor } from './wall-anchor.ts';

/** Larger segments are cut wherever they are; nobody can play a rate this high over HTTP anyway. */
const MAX_SEGMENT_BYTES = 50 * 1024 * 1024;
const DEFAULT_FRAME = ticksFromSeconds(0.04);
const LONGEST_FRAME = ticksFromSeconds(1);

export interface HlsPackagerOptions extends RenditionOptions {
  /** What a segment is called, by its number, and in which aligned rendition. Never the same twice, for all times. */
  readonly segmentName: (number: number, rendition?: string) => string;
  /** What was listed of other renditions before a restart. */
  readonly resumeAligned: readonly AlignedState[];
  /** EXT-X-MEDIA-SEQUENCE of the first segment. */
  readonly firstMediaSequence: number;
  /** Seconds. */
  readonly segmentDuration: number;
  /** Seconds; keyframes further apart than this do not make longer segments. */
  readonly maxSegmentDuration: number;
  /** What the listed and retired segments may take together; a stream that needs more fails. */
  readonly maxBytes: number;
  /** An aligned rendition is no longer there. */
  readonly onDropped: (name: string) => void;
}

/** Told where the segments begin and what became of them, so that other renditions can be cut alike. */
export interface CutObserver {
  /** The packet that is being delivered begins a segment. Numbers only grow. */
  segmentBegan(number: number): void;
  segmentListed(number: number, segment: LeadingSegment): void;
  /** It will never be listed. */
  segmentLost(number: number): void;
}

interface OpenSegment {
  readonly number: number;
  readonly start: Ticks;
  discontinuity: boolean;
  readonly independent: boolean;
  /** How much later than decoded its first picture is shown. */
  readonly delay: Ticks;
  /** Newest end of media in it, on the decode times of the leading track as `start` is. */
  end: Ticks;
}

/**
 * Cuts one stream into MPEG-TS segments and keeps the playlist that lists them. Works inside the packet call; only
 * the store may take longer, and segments are listed in order when it has them.
 */
export class HlsPackager implements MediaSink {
  readonly #options: HlsPackagerOptions;
  /** Looked at for each packet. */
  readonly #maxBytes: number;
  readonly #muxer = new TsMuxer();
  readonly #segmenter: Segmenter;
  readonly #rendition: Rendition;
  readonly #aligned = new Map<string, AlignedRendition>();
  readonly #frameRate = new FrameRateMeter();
  readonly #anchor: WallAnchor;
  #video: VideoTrack | null = null;
  #audio: AudioTrack | null = null;
  #tracks: readonly Track[] = [];
  #segment: OpenSegment | null = null;
  /** Given out when a segment is listed, so that one the store refused leaves no hole in the numbers. */
  #nextMediaSequence: number;
  /** Of the next segment to begin. */
  #nextNumber: number;
  /** The store refused a segment since the last one listed. */
  #lost = false;
  #targetDuration: number | null = null;
  /** The next segment does not continue the last one. */
  #interrupted = false;
  #announcedKeyframeInterval: Ticks | null = null;
  /** Decode time of the newest picture; not a number when the next distance means nothing. */
  #lastPicture: Ticks = Number.NaN;
  #forcedCuts = 0;
  #storeErrors = 0;
  #observer: CutObserver | null = null;

  constructor(options: HlsPackagerOptions) {
    this.#options = {
      ...options,
      onStoreError: (error, uri, action) => {
        this.#storeErrors++;
        options.onStoreError(error, uri, action);
      },
    };
    this.#maxBytes = options.maxBytes;
    this.#segmenter = new Segmenter(
      ticksFromSeconds(options.segmentDuration),
      longestSegment(options.maxSegmentDuration),
    );
    this.#rendition = new Rendition(this.#options);
    const newest = options.resume?.segments.at(-1);
    this.#anchor = new WallAnchor(newest && newest.programDateTime + msFromTicks(newest.duration));
    if (options.resume !== null) {
      this.#targetDuration = options.resume.targetDuration;
      this.#segmenter.limit(this.#limit());
    }
    for (const { name, ...state } of options.resumeAligned) this.#align(name, state);
    this.#nextMediaSequence = options.firstMediaSequence;
    this.#nextNumber = options.firstMediaSequence;
  }

  /** The rendition that is cut here: the source as it came. */
  get rendition(): Rendition {
    return this.#rendition;
  }

  /** Other renditions of the same time, by name, in the order in which they were added. */
  get aligned(): ReadonlyMap<string, AlignedRendition> {
    return this.#aligned;
  }

  /** What it takes to go on with them after a restart. */
  get alignedStates(): AlignedState[] {
    return [...this.#aligned].flatMap(([name, { current }]) => {
      const state = current?.state ?? null;
      return state === null ? [] : [{ ...state, name }];
    });
  }

  get nextMediaSequence(): number {
    return this.#nextMediaSequence;
  }

  /** Seconds; null before the first segment. */
  get targetDuration(): number | null {
    return this.#targetDuration;
  }

  /** Segments of any rendition that could not be stored or not deleted. */
  get storeErrors(): number {
    return this.#storeErrors;
  }

  /** Segments of a rendition could not be stored, until all have been for a while. */
  get losesSegments(): boolean {
    return this.#rendition.isLosing || [...this.#aligned.values()].some(({ current }) => current?.isLosing);
  }

  /** The tracks that the segments carry. */
  carries(track: Track): boolean {
    return track === this.#video || track === this.#audio;
  }

  /** @param keyframeInterval seconds between the encoder's last two keyframes, or null */
  warnings(keyframeInterval: number | null): Warning[] {
    return packagingWarnings({
      tracks: this.#tracks,
      carries: (track) => this.carries(track),
      keyframeInterval: this.#video === null ? null : keyframeInterval,
      segmentDuration: this.#options.segmentDuration,
      targetDuration: this.#targetDuration,
      forcedCuts: this.#forcedCuts,
      losesSegments: this.losesSegments,
    });
  }

  /** A rendition that follows the cuts of this one: begins it, or goes on with the one that is there. */
  align(name: string): AlignedRendition {
    return this.#aligned.get(name) ?? this.#align(name, null);
  }

  #align(name: string, resume: RenditionState | null): AlignedRendition {
    const { segmentName } = this.#options;
    const rendition = new AlignedRendition({
      ...this.#options,
      resume,
      segmentName: (number) => segmentName(number, name),
    });
    this.#aligned.set(name, rendition);
    return rendition;
  }

  /** Takes a rendition away at once, with its segments: players go to another one. */
  drop(name: string): void {
    const rendition = this.#aligned.get(name);
    if (rendition === undefined) return;
    this.#aligned.delete(name);
    this.#options.onDropped(name);
    void rendition.discard();
  }

  /** At most one observer; null ends it. */
  observe(observer: CutObserver | null): void {
    this.#observer = observer;
  }

  /** What is being cut, or else the next segment, does not continue the one before: in no rendition. */
  interrupt(): void {
    if (this.#segment === null) this.#interrupted = true;
    else this.#segment.discontinuity = true;
  }

  /** Whether this segment can be fetched. */
  has(uri: string): boolean {
    return this.#rendition.has(uri) || [...this.#aligned.values()].some((aligned) => aligned.has(uri));
  }

  /** A finished segment by its name in the playlist, held by the caller; null when unknown or expired. */
  async segment(uri: string): Promise<SegmentBody | null> {
    if (this.#rendition.has(uri)) return this.#rendition.segment(uri);
    for (const aligned of this.#aligned.values()) {
      if (aligned.has(uri)) return aligned.segment(uri);
    }
    return null;
  }

  epoch(epoch: Epoch): void {
    this.end();
    this.#tracks = epoch.tracks;
    this.#video = epoch.tracks.find(isCarriedVideo) ?? null;
    this.#audio = epoch.tracks.find(isCarriedAudio) ?? null;
    this.#muxer.setTracks({ video: this.#video, audio: this.#audio });
    this.#anchor.reset(epoch.start, epoch.startedAt);
    this.#frameRate.reset();
    this.#lastPicture = Number.NaN;
    this.#interrupted = this.#nextNumber > this.#options.firstMediaSequence || this.#options.resume !== null;
  }

  packet(packet: Packet): void {
    if (!this.carries(packet.track)) return;
    if (this.#rendition.bytes + this.#muxer.segmentBytes > this.#maxBytes) {
      throw new SluiceError('SLUICE_RTMP_LIMIT', 'the stream holds more bytes than its segments may');
    }
    const leading = this.#video ?? this.#audio;
    if (this.#segment === null) {
      // Audio before the first picture would only delay it.
      if (packet.track !== leading || !packet.keyframe) return;
      this.#announcedKeyframeInterval ??= announcedKeyframeInterval(packet);
      this.#beginSegment(packet, leading);
    } else {
      const tooBig = this.#muxer.segmentBytes + packet.data.length > MAX_SEGMENT_BYTES;
      const decision = tooBig ? 'forced-cut' : this.#segmenter.decide(packet);
      if (decision === 'forced-cut') this.#forcedCuts++;
      if (decision !== 'append') {
        const hole = packet.dts - this.#segment.start > this.#limit() + DEFAULT_FRAME;
        // After a hole in the media that no segment may span, the next one cannot claim to continue.
        this.#finishSegment(hole ? this.#segment.end : packet.dts);
        this.#interrupted ||= hole;
        this.#beginSegment(packet, leading ?? packet.track);
      }
    }
    this.#muxer.write(packet);
    this.#measure(packet, leading);
  }

  /** The publisher is gone: what there is becomes a segment at once, so that viewers get the last pictures. */
  end(): void {
    if (this.#segment !== null) this.#finishSegment(this.#segment.end);
  }

  close(): void {
    this.end();
    this.#rendition.end();
  }

  /** Resolves when everything handed to the store so far is listed. */
  async settled(): Promise<void> {
    await Promise.all([this.#rendition, ...this.#aligned.values()].map((rendition) => rendition.settled()));
  }

  /** Deletes every segment. The packager must not be used afterwards. */
  async discard(): Promise<void> {
    this.#muxer.discard();
    const all = [this.#rendition, ...this.#aligned.values()];
    await Promise.all(all.map((rendition) => rendition.discard()));
  }

  #limit(): Ticks {
    return longestSegment(this.#targetDuration ?? this.#options.maxSegmentDuration);
  }

  #beginSegment(packet: Packet, leading: Track): void {
    const { dts, pts, keyframe, track } = packet;
    const number = this.#nextNumber++;
    this.#segment = {
      number,
      start: dts,
      discontinuity: this.#interrupted,
      independent: track === leading && keyframe,
      delay: pts - dts,
      end: dts,
    };
    this.#interrupted = false;
    this.#segmenter.begin(leading, dts, this.#segment.independent);
    this.#muxer.beginSegment();
    this.#observer?.segmentBegan(number);
  }

  #measure({ track, dts }: Packet, leading: Track | null): void {
    const segment = this.#segment;
    if (segment === null) return;
    const end = dts + this.#frameDuration(track, dts);
    // Sound is not reordered: it plays beside pictures that were decoded earlier.
    segment.end = Math.max(segment.end, track === leading ? end : end - segment.delay);
    if (track.kind === 'video') this.#frameRate.frame(dts);
  }

  /** How long this frame is shown: by its samples for audio, as long as the one before it for video. */
  #frameDuration(track: Track, dts: Ticks): number {
    if (track.kind === 'audio') return Math.round(ticksFromSamples(track.samplesPerFrame, track.sampleRate));
    const distance = dts - this.#lastPicture;
    this.#lastPicture = dts;
    return Number.isNaN(distance) ? DEFAULT_FRAME : Math.min(distance, LONGEST_FRAME);
  }

  #finishSegment(end: Ticks): void {
    const segment = this.#segment;
    if (segment === null) return;
    this.#segment = null;
    const closedAt = this.#options.clock.now();
    const duration = Math.min(end - segment.start, this.#limit());
    const body = this.#muxer.endSegment(end);
    const { number, discontinuity, independent, start } = segment;
    if (duration <= 0) {
      body.release();
      this.#observer?.segmentLost(number);
      return;
    }
    if (this.#targetDuration === null) this.#fixTargetDuration(duration);
    const { clock, segmentName } = this.#options;
    const programDateTime = this.#anchor.wallTime(start);
    this.#anchor.observe(end, clock.now(), duration);
    const taken = this.#rendition.add(
      {
        uri: segmentName(number),
        duration,
        programDateTime,
        discontinuity,
        independent,
        body,
        description: this.#describe(),
        closedAt,
      },
      this.#numbering,
      (listed) => this.#listed(number, listed),
    );
    if (taken) return;
    // The hole is before the next segment, and behind those that wait.
    this.#interrupted = true;
    this.#observer?.segmentLost(number);
  }

  /** Numbers are given in the order in which the store took the segments: one that it refused leaves no hole. */
  readonly #numbering: Numbering = ({ discontinuity }) => {
    const interrupted = discontinuity || this.#lost;
    this.#lost = false;
    return { mediaSequence: this.#nextMediaSequence++, discontinuity: interrupted };
  };

  #listed(number: number, info: SegmentInfo | null): void {
    if (info === null) {
      this.#lost = true;
      this.#observer?.segmentLost(number);
      return;
    }
    const { figures } = this.#options;
    const { newest } = this.#rendition;
    if (figures !== undefined && newest !== null) {
      figures.duration.observe(newest.duration);
      figures.lateness.observe(Math.max(0, newest.lateness));
    }
    const discontinuitySequence = this.#rendition.nextDiscontinuitySequence - 1;
    const targetDuration = this.#targetDuration ?? 1;
    this.#observer?.segmentListed(number, { info, discontinuitySequence, targetDuration });
  }

  #describe(): RenditionDescription {
    const video = this.#video;
    return {
      codecs: [video, this.#audio].flatMap((track) => track?.codecString ?? []),
      resolution: video === null || video.width === 0 ? null : { width: video.width, height: video.height },
      frameRate: video === null ? null : this.#frameRate.rate(video.frameRate),
    };
  }

  #fixTargetDuration(first: Ticks): void {
    const { segmentDuration, maxSegmentDuration } = this.#options;
    this.#targetDuration = chooseTargetDuration({
      wanted: ticksFromSeconds(segmentDuration),
      longest: ticksFromSeconds(maxSegmentDuration),
      first,
      announcedKeyframeInterval: this.#announcedKeyframeInterval,
    });
    this.#segmenter.limit(this.#limit());
    this.#rendition.begin(this.#targetDuration);
  }
}

function isCarriedVideo(track: Track): track is VideoTrack {
  return track.kind === 'video' && reasonNotInTs(track) === null;
}

function isCarriedAudio(track: Track): track is AudioTrack {
  return track.kind === 'audio' && reasonNotInTs(track) === null;
}

/** Only x264 with scene cuts tells something that the first segment does not show: how uneven keyframes will get. */
function announcedKeyframeInterval({ track, data }: Packet): Ticks | null {
  if (track.kind !== 'video' || track.h264 === null || track.frameRate === null) return null;
  const settings = readX264Settings(data, track.h264.nalLengthSize);
  return settings?.sceneCut ? ticksFromSeconds(settings.keyint / track.frameRate) : null;
}
