import type { Packet } from '../../media/packet.ts';
import type { Ticks } from '../../media/time.ts';
import type { AudioTrack, VideoTrack } from '../../media/track.ts';
import type { LeadingSegment } from '../../packaging/aligned-rendition.ts';

/** A segment of the source, and what renditions are made from. */
export interface SourceSegment {
  readonly number: number;
  /** Which uninterrupted run of the publisher it belongs to. */
  readonly epoch: number;
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
  readonly pictures: Packet[];
  readonly sound: Packet[];
  /** As the source's playlist has it; null while it is not listed yet. */
  listed: LeadingSegment | 'lost' | null;
}

/** The newest segments of the source: those that a rendition still has to be made from. */
export class SourceWindow {
  #segments: SourceSegment[] = [];
  /** By presentation time: what comes out of an encoder belongs to the segment of what went in. */
  readonly #byPicture = new Map<Ticks, SourceSegment>();
  #bytes = 0;

  get segments(): readonly SourceSegment[] {
    return this.#segments;
  }

  /** The one that is being cut; null before the first. */
  get newest(): SourceSegment | null {
    return this.#segments.at(-1) ?? null;
  }

  /** Size of the pictures held. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(segment: Pick<SourceSegment, 'number' | 'epoch' | 'video' | 'audio'>): void {
    this.#segments.push({ ...segment, pictures: [], sound: [], listed: null });
  }

  add(packet: Packet): void {
    const segment = this.newest;
    if (segment === null) return;
    if (packet.track === segment.audio) segment.sound.push(packet);
    if (packet.track !== segment.video) return;
    segment.pictures.push(packet);
    this.#byPicture.set(packet.pts, segment);
    this.#bytes += packet.data.length;
  }

  get(number: number): SourceSegment | null {
    return this.#segments.find((segment) => segment.number === number) ?? null;
  }

  /** The segment that has a picture of this time. */
  ofPicture(pts: Ticks): SourceSegment | null {
    return this.#byPicture.get(pts) ?? null;
  }

  /** Forgets the segments before this number. */
  release(before: number): void {
    for (
      let first = this.#segments[0];
      first !== undefined && first.number < before;
      first = this.#segments[0]
    ) {
      for (const { pts, data } of first.pictures) {
        if (this.#byPicture.get(pts) === first) this.#byPicture.delete(pts);
        this.#bytes -= data.length;
      }
      this.#segments.shift();
    }
  }
}
