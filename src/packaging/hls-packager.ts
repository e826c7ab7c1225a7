import { readX264Settings } from '../codecs/x264-settings.ts';
import type { MediaWindow, SegmentInfo, Variant } from '../formats/m3u8/playlist.ts';
import { reasonNotInTs, TsMuxer } from '../formats/mpegts/muxer.ts';
import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';
import type { Epoch, MediaSink, Packet } from '../media/packet.ts';
import {
  type EpochMs,
  msFromTicks,
  secondsFromTicks,
  type Ticks,
  ticksFromSamples,
  ticksFromSeconds,
} from '../media/time.ts';
import type { AudioTrack, Track, VideoTrack } from '../media/track.ts';
import type { Warning } from '../media/warning.ts';
import { BandwidthMeter } from './bandwidth.ts';
import { FrameRateMeter } from './frame-rate.ts';
import { type ListedFigures, PackagingFigures } from './packaging-figures.ts';
import { packagingWarnings } from './packaging-warnings.ts';
import type { RenditionDescription, RenditionState } from './rendition-state.ts';
import { SegmentHistory } from './segment-history.ts';
import type { SegmentStore } from './segment-store.ts';
import { Segmenter } from './segmenter.ts';
import { chooseTargetDuration, longestSegment } from './target-duration.ts';
import { WallAnchor } from './wall-anchor.ts';

/** Larger segments are cut wherever they are; nobody can play a rate this high over HTTP anyway. */
const MAX_SEGMENT_BYTES = 50 * 1024 * 1024;
/** What may wait for the store; when it hangs, later segments are lost rather than filling the memory. */
const MAX_UNSTORED_BYTES = 64 * 1024 * 1024;
const DEFAULT_FRAME = ticksFromSeconds(0.04);

export interface HlsPackagerOptions {
  readonly clock: Clock;
  readonly store: SegmentStore;
  /** Where this rendition's segments live in the store; ends with a slash or is empty. */
  readonly storePrefix: string;
  /** What a segment is called, by its number in this rendition. Never the same twice, for all times. */
  readonly segmentName: (number: number) => string;
  /** EXT-X-MEDIA-SEQUENCE of the first segment. */
  readonly firstMediaSequence: number;
  /** EXT-X-DISCONTINUITY-SEQUENCE of the first segment. Small: hls.js uses it as an array index. */
  readonly firstDiscontinuitySequence: number;
  /** Seconds. */
  readonly segmentDuration: number;
  /** Seconds; keyframes further apart than this do not make longer segments. */
  readonly maxSegmentDuration: number;
  readonly listedSegments: number;
  /** What the listed and retired segments may take together; a stream that needs more fails. */
  readonly maxBytes: number;
  /** A segment could not be stored and is not listed, or could not be deleted. */
  readonly onStoreError: (error: unknown, uri: string) => void;
  /** What was listed before a restart, whose segments the store has; null for a new rendition. */
  readonly resume: RenditionState | null;
  /**
   * The store has a new segment, and `packager.state` includes it. It is listed when this resolves, so that nothing
   * that a player has seen is forgotten in a crash.
   */
  readonly beforeListing: (() => Promise<void>) | null;
  /** The playlist has changed. */
  readonly onListed: () => void;
  /** Where totals of several packagers are kept. */
  readonly figures?: PackagingFigures;
}

interface OpenSegment {
  readonly start: Ticks;
  readonly discontinuity: boolean;
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
  readonly #muxer = new TsMuxer();
  readonly #segmenter: Segmenter;
  readonly #history: SegmentHistory;
  readonly #bandwidth = new BandwidthMeter();
  readonly #frameRate = new FrameRateMeter();
  readonly #anchor = new WallAnchor();
  #video: VideoTrack | null = null;
  #audio: AudioTrack | null = null;
  #tracks: readonly Track[] = [];
  #segment: OpenSegment | null = null;
  /** The newest listed segment's media: what a change announces only once there is a segment of it. */
  #described: RenditionDescription | null = null;
  /** Given out when a segment is listed, so that one the store refused leaves no hole in the numbers. */
  #nextMediaSequence: number;
  /** Number of the next segment's name. */
  #nextName: number;
  /** The store refused a segment since the last one listed. */
  #lost = false;
  #targetDuration: number | null = null;
  /** The next segment does not continue the last one. */
  #interrupted = false;
  #announcedKeyframeInterval: Ticks | null = null;
  #lastFrame: { track: Track; dts: Ticks } | null = null;
  #forcedCuts = 0;
  /** What viewers see; behind the history while a new segment is being written down. */
  #published: MediaWindow;
  /** Bytes handed to the store and not stored yet. */
  #unstoredBytes = 0;
  readonly #figures: PackagingFigures;
  #newest: ListedFigures | null = null;
  /** Store writes in order; the playlist follows it. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: HlsPackagerOptions) {
    this.#options = options;
    this.#figures = options.figures ?? new PackagingFigures();
    this.#segmenter = new Segmenter(
      ticksFromSeconds(options.segmentDuration),
      longestSegment(options.maxSegmentDuration),
    );
    this.#history = new SegmentHistory(options.listedSegments, options.firstDiscontinuitySequence);
    if (options.resume !== null) this.#resume(options.resume);
    this.#published = this.#history.window;
    this.#nextMediaSequence = options.firstMediaSequence;
    this.#nextName = options.firstMediaSequence;
  }

  /** What the playlist lists; its `segments` are empty before the first one is finished. */
  get window(): MediaWindow {
    return this.#published;
  }

  /** What it takes to go on after a restart; null before the first segment. */
  get state(): RenditionState | null {
    if (this.#described === null) return null;
    return {
      ...this.#history.window,
      retired: this.#history.retired,
      description: this.#described,
      bandwidth: { peak: this.#bandwidth.peak, average: this.#bandwidth.average },
    };
  }

  /** Listed media in ms: how long an ended playlist and its segments are worth keeping. */
  get windowMs(): number {
    return msFromTicks(this.#history.duration);
  }

  get nextMediaSequence(): number {
    return this.#nextMediaSequence;
  }

  /** What a stream that follows this one under the same name begins with. */
  get nextDiscontinuitySequence(): number {
    const { discontinuitySequence, segments } = this.#history.window;
    return discontinuitySequence + segments.filter((segment) => segment.discontinuity).length + 1;
  }

  /** Seconds; null before the first segment. */
  get targetDuration(): number | null {
    return this.#targetDuration;
  }

  /** The newest segment listed; null before the first. */
  get newest(): ListedFigures | null {
    return this.#newest;
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
    });
  }

  /** The variant to offer, measured; null before the first segment. `uri` is that of its media playlist. */
  variant(uri: string): Variant | null {
    if (this.#described === null || this.#published.segments.length === 0) return null;
    return {
      uri,
      bandwidth: this.#bandwidth.peak,
      averageBandwidth: this.#bandwidth.average,
      ...this.#described,
    };
  }

  /** Whether this segment can be fetched. */
  has(uri: string): boolean {
    return this.#history.has(uri);
  }

  /** A finished segment by its name in the playlist; null when unknown or expired. */
  async segment(uri: string): Promise<Uint8Array | null> {
    return this.#history.has(uri) ? this.#options.store.get(this.#options.storePrefix + uri) : null;
  }

  epoch(epoch: Epoch): void {
    this.end();
    this.#tracks = epoch.tracks;
    this.#video = epoch.tracks.find(isCarriedVideo) ?? null;
    this.#audio = epoch.tracks.find(isCarriedAudio) ?? null;
    this.#muxer.setTracks({ video: this.#video, audio: this.#audio });
    this.#anchor.reset(epoch.start, epoch.startedAt);
    this.#frameRate.reset();
    this.#lastFrame = null;
    this.#interrupted = this.#nextName > this.#options.firstMediaSequence || this.#options.resume !== null;
  }

  packet(packet: Packet): void {
    if (!this.carries(packet.track)) return;
    if (this.#history.bytes + this.#muxer.segmentBytes > this.#options.maxBytes) {
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
    this.#writing = this.#writing.then(() => {
      this.#history.end();
      this.#publish();
    });
  }

  /** Resolves when everything handed to the store so far is listed. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Deletes every segment. The packager must not be used afterwards. */
  async discard(): Promise<void> {
    await this.#writing;
    await Promise.all(this.#history.uris().map((uri) => this.#delete(uri)));
  }

  #resume(state: RenditionState): void {
    this.#history.resume(state);
    this.#targetDuration = state.targetDuration;
    this.#segmenter.limit(this.#limit());
    this.#described = state.description;
    this.#bandwidth.resume(state.bandwidth.peak, state.bandwidth.average, this.#history.duration);
  }

  #publish(): void {
    this.#published = this.#history.window;
    this.#options.onListed();
  }

  #limit(): Ticks {
    return longestSegment(this.#targetDuration ?? this.#options.maxSegmentDuration);
  }

  #beginSegment(packet: Packet, leading: Track): void {
    const { dts, pts, keyframe, track } = packet;
    this.#segment = {
      start: dts,
      discontinuity: this.#interrupted,
      independent: track === leading && keyframe,
      delay: pts - dts,
      end: dts,
    };
    this.#interrupted = false;
    this.#segmenter.begin(leading, dts, this.#segment.independent);
    this.#muxer.beginSegment();
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
    const last = this.#lastFrame;
    this.#lastFrame = { track, dts };
    return last === null || last.track !== track
      ? DEFAULT_FRAME
      : Math.min(dts - last.dts, ticksFromSeconds(1));
  }

  #finishSegment(end: Ticks): void {
    const segment = this.#segment;
    if (segment === null) return;
    this.#segment = null;
    const closedAt = this.#options.clock.now();
    const duration = Math.min(end - segment.start, this.#limit());
    const data = this.#muxer.endSegment();
    if (duration <= 0) return;
    if (this.#targetDuration === null) this.#fixTargetDuration(duration);
    const { clock, segmentName } = this.#options;
    const uri = segmentName(this.#nextName++);
    const { discontinuity, independent, start } = segment;
    const programDateTime = this.#anchor.wallTime(start);
    this.#anchor.observe(end, clock.now(), duration);
    const info = { uri, duration, bytes: data.length, programDateTime, discontinuity, independent };
    if (this.#unstoredBytes + data.length > MAX_UNSTORED_BYTES) {
      // The hole is before the next segment, and behind those that wait.
      this.#interrupted = true;
      this.#figures.segmentsLost++;
      this.#figures.storeErrors++;
      const waiting = new SluiceError('SLUICE_STORE_BUSY', `${this.#unstoredBytes} bytes wait for the store`);
      this.#options.onStoreError(waiting, uri);
      return;
    }
    const description = this.#describe();
    this.#unstoredBytes += data.length;
    this.#writing = this.#writing.then(() => this.#store(info, data, description, closedAt));
  }

  #describe(): RenditionDescription {
    const video = this.#video;
    return {
      codecs: [video, this.#audio].flatMap((track) => track?.codecString ?? []),
      resolution: video === null || video.width === 0 ? null : { width: video.width, height: video.height },
      frameRate: video === null ? null : this.#frameRate.rate(video.frameRate),
    };
  }

  async #store(
    info: Omit<SegmentInfo, 'mediaSequence'>,
    data: Buffer,
    description: RenditionDescription,
    closedAt: EpochMs,
  ): Promise<void> {
    const { clock, store, storePrefix, onStoreError, beforeListing } = this.#options;
    try {
      await store.put(storePrefix + info.uri, data);
    } catch (error) {
      this.#lost = true;
      this.#figures.segmentsLost++;
      this.#figures.storeErrors++;
      onStoreError(error, info.uri);
      return;
    } finally {
      this.#unstoredBytes -= data.length;
    }
    const mediaSequence = this.#nextMediaSequence++;
    const discontinuity = info.discontinuity || this.#lost;
    this.#lost = false;
    this.#bandwidth.add(info.bytes, info.duration, this.#targetDuration ?? 1);
    this.#described = description;
    this.#history.append({ ...info, mediaSequence, discontinuity }, clock.now());
    if (beforeListing !== null) await beforeListing();
    this.#publish();
    const now = clock.now();
    this.#figures.listing.observe((now - closedAt) / 1000);
    const seconds = secondsFromTicks(info.duration);
    this.#newest = { duration: seconds, lateness: (now - info.programDateTime) / 1000 - seconds };
    await Promise.all(this.#history.takeExpired(clock.now()).map((uri) => this.#delete(uri)));
  }

  async #delete(uri: string): Promise<void> {
    const { store, storePrefix, onStoreError } = this.#options;
    try {
      await store.delete(storePrefix + uri);
    } catch (error) {
      this.#figures.storeErrors++;
      onStoreError(error, uri);
    }
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
    this.#history.begin(this.#targetDuration);
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
