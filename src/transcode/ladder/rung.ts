import type { Packet } from '../../media/packet.ts';
import type { EpochMs, Ticks } from '../../media/time.ts';
import type { AlignedRendition } from '../../packaging/aligned-rendition.ts';
import type { RungPlan } from './rungs.ts';
import type { SourceSegment, SourceWindow } from './source-window.ts';

interface CompleteSegment {
  readonly number: number;
  readonly pictures: readonly Packet[];
  readonly closedAt: EpochMs;
}

/** One rendition on its way from an encoder's packets to segments that lie beside those of the source. */
export class Rung {
  readonly plan: RungPlan;
  readonly rendition: AlignedRendition;
  readonly #window: SourceWindow;
  #open: { readonly segment: SourceSegment; readonly pictures: Packet[] } | null = null;
  /** Waits for the source's segment to be listed. */
  #complete: CompleteSegment[] = [];
  /** Everything before this number is done, or will never be. */
  #next: number;
  #newest: Ticks | null = null;

  /** @param next number of the first segment that it will have */
  constructor(plan: RungPlan, rendition: AlignedRendition, window: SourceWindow, next: number) {
    this.plan = plan;
    this.rendition = rendition;
    this.#window = window;
    this.#next = next;
  }

  /** Number of the oldest segment that it still needs pictures of. */
  get next(): number {
    return this.#next;
  }

  /** Number of the oldest source segment that it still needs. */
  get oldest(): number {
    return this.#complete[0]?.number ?? this.#next;
  }

  /** Whether something encoded waits for the source's segment to be listed. */
  get isWaiting(): boolean {
    return this.#complete.length > 0;
  }

  /** Presentation time of the newest picture; null before the first. */
  get newest(): Ticks | null {
    return this.#newest;
  }

  /**
   * Takes the next picture.
   *
   * @returns false when it lies beside no picture of the source, or a segment would begin without its keyframe
   */
  push(packet: Packet, now: EpochMs): boolean {
    const segment = this.#window.ofPicture(packet.pts);
    if (segment === null) return false;
    const [first] = segment.pictures;
    const leading = first?.keyframe === true && packet.pts < first.pts;
    if (segment.number < this.#next || leading) {
      // The source is cut in the order of decoding, and this comes in the order of showing. With nothing open it is of a
      // segment that an earlier encoder finished, or needs one that is not there.
      this.#open?.pictures.push(packet);
      return true;
    }
    this.#newest = packet.pts;
    if (this.#open?.segment !== segment) {
      this.finish(now);
      // Where the source was cut without a keyframe, any of its pictures may be shown first.
      if (first?.keyframe && (first.pts !== packet.pts || !packet.keyframe)) return false;
      this.#next = segment.number;
      this.#open = { segment, pictures: [] };
    }
    this.#open.pictures.push(packet);
    return true;
  }

  /** No more pictures of the open segment come. */
  finish(now: EpochMs): void {
    if (this.#open === null) return;
    const { segment, pictures } = this.#open;
    this.#open = null;
    this.#next = segment.number + 1;
    this.#complete.push({ number: segment.number, pictures, closedAt: now });
    this.flush();
  }

  /** The encoder is gone: the next one begins with `next`, or with this later number. */
  restart(next: number): void {
    this.#open = null;
    this.#newest = null;
    this.#next = Math.max(this.#next, next);
  }

  /** Lists what the source has listed. */
  flush(): void {
    for (let head = this.#complete[0]; head !== undefined; head = this.#complete[0]) {
      const segment = this.#window.get(head.number);
      if (segment !== null && segment.listed === null) return;
      this.#complete.shift();
      const [first] = head.pictures;
      if (segment === null || segment.listed === null || segment.listed === 'lost') continue;
      if (first === undefined || first.track.kind !== 'video') continue;
      const { audio, sound } = segment;
      const { pictures, closedAt } = head;
      this.rendition.add(segment.listed, { video: first.track, audio, pictures, sound, closedAt });
    }
  }
}
