/**
 * A keyframe of a usual stream fits. Half a second of a stream is in flight, of which this is a quarter. What does not fit
 * behind the last message begins another: up to half is lost where all are a little larger than half of it.
 */
export const SLAB_BYTES = 64 * 1024;
/** 8 MiB that wait to be used again. */
const MAX_FREE = 128;

interface Slab {
  readonly memory: Buffer;
  /** Not a number: somebody keeps what is in it, for as long as he likes. */
  holders: number;
}

/**
 * Memory for messages of media, used again at once: that of the last second is still in the processor's cache, and left
 * to the garbage collector it would fill 30 MB before that looks for it (docs/performance.md).
 *
 * Messages lie in slabs side by side. Everybody who needs one beyond the call in which he was given it has to say so: with
 * `hold` and exactly one `release`, or with `keep` and nothing more. A slab that nobody holds is used again. One that is
 * kept, or was not released, never is: the garbage collector has it. So a `release` too few costs time, and one too many
 * costs a picture.
 *
 * Data that is not in a slab is nobody's business: all calls ignore it.
 */
export class SlabPool {
  readonly #slabs = new WeakMap<ArrayBufferLike, Slab>();
  /** The last one is used first. */
  readonly #free: Slab[] = [];

  /** Bytes that wait to be used again. */
  get reservedBytes(): number {
    return this.#free.length * SLAB_BYTES;
  }

  /** A slab, held by the caller. What is in it is left over from somebody else. */
  take(): Buffer {
    const slab = this.#free.pop() ?? this.#make();
    slab.holders = 1;
    return slab.memory;
  }

  /** Somebody needs these bytes until he releases them. */
  hold({ buffer }: Uint8Array): void {
    const slab = this.#slabs.get(buffer);
    if (slab !== undefined) slab.holders++;
  }

  /** One who held these bytes does not read them any more. */
  release({ buffer }: Uint8Array): void {
    const slab = this.#slabs.get(buffer);
    if (slab === undefined || --slab.holders !== 0) return;
    if (this.#free.length < MAX_FREE) this.#free.push(slab);
  }

  /** Somebody needs these bytes, and will not tell how long. */
  keep({ buffer }: Uint8Array): void {
    const slab = this.#slabs.get(buffer);
    if (slab !== undefined) slab.holders = Number.NaN;
  }

  #make(): Slab {
    const memory = Buffer.allocUnsafeSlow(SLAB_BYTES);
    const slab = { memory, holders: 0 };
    this.#slabs.set(memory.buffer, slab);
    return slab;
  }
}

/** The one of this process, as there is one memory. */
export const slabs = new SlabPool();
