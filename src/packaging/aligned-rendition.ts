import type { SegmentInfo } from '../formats/m3u8/playlist.ts';
import { TsMuxer } from '../formats/mpegts/muxer.ts';
import type { Packet } from '../media/packet.ts';
import type { SegmentBody } from '../media/segment-body.ts';
import type { EpochMs, Ticks } from '../media/time.ts';
import type { AudioTrack, VideoTrack } from '../media/track.ts';
import { FrameRateMeter } from './frame-rate.ts';
import { Rendition, type RenditionOptions } from './rendition.ts';

/** A segment of the leading rendition that has been listed. */
export interface LeadingSegment {
  readonly info: SegmentInfo;
  /** Discontinuities before it, its own included. */
  readonly discontinuitySequence: number;
  /** Seconds. */
  readonly targetDuration: number;
}

/** The same time in other media. */
export interface AlignedMedia {
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
  /** In decode order, beginning at a keyframe where the leading segment does. */
  readonly pictures: readonly Packet[];
  readonly sound: readonly Packet[];
  /** When its last packet came. */
  readonly closedAt: EpochMs;
}

export interface AlignedRenditionOptions extends Omit<RenditionOptions, 'firstDiscontinuitySequence'> {
  /** What a segment is called, by its media sequence number. Never the same twice, for all times. */
  readonly segmentName: (number: number) => string;
}

/**
 * A rendition that is cut where the leading one is: same boundaries, numbers, dates and discontinuities, so that a
 * player changes between them without a seam (RFC 8216 6.2.4). A hole in it begins its playlist anew.
 */
export class AlignedRendition {
  readonly #options: AlignedRenditionOptions;
  readonly #muxer = new TsMuxer();
  readonly #frameRate = new FrameRateMeter();
  #rendition: Rendition | null = null;
  /** Playlists that a hole ended; their segments go a window later. */
  #past: Rendition[] = [];
  #newest: number | null = null;
  /** Have lost a segment: what was handed to the store behind it would get its number. */
  readonly #broken = new WeakSet<Rendition>();
  /** Nothing is added any more. */
  #discarded = false;
  #video: VideoTrack | null = null;
  #audio: AudioTrack | null = null;

  constructor(options: AlignedRenditionOptions) {
    this.#options = options;
    const { resume } = options;
    if (resume === null) return;
    const { discontinuitySequence: firstDiscontinuitySequence } = resume;
    this.#rendition = new Rendition({ ...options, firstDiscontinuitySequence });
    this.#newest = resume.segments.at(-1)?.mediaSequence ?? null;
  }

  /** Null before the first segment. */
  get current(): Rendition | null {
    return this.#rendition;
  }

  /**
   * Muxes and lists what was going on while the leading segment was. In order of the leading segments. After `discard`
   * it does nothing: an encoder that is still ending may be late.
   */
  add({ info, discontinuitySequence, targetDuration }: LeadingSegment, media: AlignedMedia): void {
    if (this.#discarded) return;
    const { uri: _, mediaSequence, discontinuity, ...same } = info;
    if (this.#rendition === null || this.#newest !== mediaSequence - 1) {
      if (this.#rendition !== null) this.#leave(this.#rendition);
      this.#rendition = new Rendition({
        ...this.#options,
        firstDiscontinuitySequence: discontinuitySequence - (discontinuity ? 1 : 0),
        resume: null,
      });
      this.#rendition.begin(targetDuration);
    }
    const rendition = this.#rendition;
    this.#newest = mediaSequence;
    const [first] = media.video === null ? media.sound : media.pictures;
    const body = this.#mux(media, first === undefined ? 0 : first.dts + info.duration);
    /** The next one cannot follow what is not there. */
    const lost = () => {
      if (this.#rendition === rendition) this.#newest = null;
    };
    const taken = rendition.add(
      {
        ...same,
        uri: this.#options.segmentName(mediaSequence),
        discontinuity,
        independent: info.independent && first?.keyframe === true,
        body,
        description: {
          codecs: [media.video, media.audio].flatMap((track) => track?.codecString ?? []),
          resolution: media.video === null ? null : { width: media.video.width, height: media.video.height },
          frameRate: media.video === null ? null : this.#frameRate.rate(media.video.frameRate),
        },
        closedAt: media.closedAt,
      },
      () => (this.#broken.has(rendition) ? null : { mediaSequence, discontinuity }),
      (listed) => {
        if (listed !== null) return;
        this.#broken.add(rendition);
        lost();
      },
    );
    if (!taken) lost();
  }

  has(uri: string): boolean {
    return this.#all().some((rendition) => rendition.has(uri));
  }

  async segment(uri: string): Promise<SegmentBody | null> {
    for (const rendition of this.#all()) {
      if (rendition.has(uri)) return rendition.segment(uri);
    }
    return null;
  }

  end(): void {
    this.#rendition?.end();
  }

  async settled(): Promise<void> {
    await this.#rendition?.settled();
  }

  async discard(): Promise<void> {
    this.#discarded = true;
    await Promise.all(this.#all().map((rendition) => rendition.discard()));
  }

  /** Players may have read its playlist just now. */
  #leave(rendition: Rendition): void {
    this.#past.push(rendition);
    this.#options.clock.after(rendition.windowMs, () => {
      this.#past = this.#past.filter((other) => other !== rendition);
      void rendition.discard();
    });
  }

  #all(): Rendition[] {
    return this.#rendition === null ? this.#past : [this.#rendition, ...this.#past];
  }

  /** @param until decode time at which the next segment begins */
  #mux({ video, audio, pictures, sound }: AlignedMedia, until: Ticks): SegmentBody {
    if (video !== this.#video || audio !== this.#audio) {
      if (video !== this.#video) this.#frameRate.reset();
      this.#video = video;
      this.#audio = audio;
      this.#muxer.setTracks({ video, audio });
    }
    this.#muxer.beginSegment();
    let next = 0;
    for (const picture of pictures) {
      for (let frame = sound[next]; frame !== undefined && frame.dts < picture.dts; frame = sound[++next]) {
        this.#muxer.write(frame);
      }
      this.#muxer.write(picture);
      this.#frameRate.frame(picture.dts);
    }
    for (const frame of sound.slice(next)) this.#muxer.write(frame);
    return this.#muxer.endSegment(until);
  }
}
