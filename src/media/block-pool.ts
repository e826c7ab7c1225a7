/**
 * Large enough that a segment is a handful of them, small enough that the unused end of the last one does not count
 * beside it.
 */
export const BLOCK_BYTES = 32 * 1024;
/**
 * Blocks come in extents of 33 MiB: from 32 MiB on glibc takes each from the kernel and gives it back, while smaller ones
 * may leave holes in its heap that nobody has a use for. What was never used of the first takes no memory: that keeps
 * gateways with a few streams small. A second and those after it are touched as a whole, so that memory soon is as high as
 * it gets, and does not creep up with ever rarer peaks.
 *
 * They are shared buffers, though nobody shares them, because V8 does not count those: 64 MB more of others make it look
 * for garbage, of which there is none while memory grows.
 */
const EXTENT_BLOCKS = 33 * 32;
/** The smallest there is, of what the kernel provides when it is touched. */
const PAGE_BYTES = 4096;

/** Kept in any case: 2 MiB. */
const SMALLEST_RESERVE = 64;
/**
 * … and beyond that, this part of what is in use. Where all streams begin their segments at the same moment, one segment of
 * each comes and goes at once: a fourteenth of what they hold with six segments in a playlist. An extent that is dropped for
 * a second has to be made, and touched, anew.
 */
const RESERVED_PART = 1 / 8;

interface Extent {
  /** Counts up. */
  readonly age: number;
  readonly memory: ArrayBufferLike;
  readonly free: Buffer[];
}

/**
 * Blocks of memory for media, used again when what they held has expired. Left to the garbage collector, they would make
 * it run all the time, and the kernel would have to provide new ones page by page (docs/performance.md).
 */
export class BlockPool {
  readonly #extents = new Map<ArrayBufferLike, Extent>();
  /** Those with a free block, the oldest first: it is used first, so that after a burst the younger ones run empty. */
  readonly #open: Extent[] = [];
  /** A block at a time, as all of them at once would take 50 ms. */
  readonly #untouched: Buffer[] = [];
  #made = 0;
  #free = 0;
  #inUse = 0;

  /** Bytes that wait to be used again. */
  get reservedBytes(): number {
    return this.#free * BLOCK_BYTES;
  }

  /** Bytes that were taken and not given back. */
  get bytesInUse(): number {
    return this.#inUse * BLOCK_BYTES;
  }

  /** What is in it is left over from somebody else: only what was written since may be read. */
  take(): Buffer {
    const extent = this.#open[0] ?? this.#extend();
    // The one that was used last may still be in the processor's cache.
    const block = extent.free.pop();
    if (block === undefined) throw new RangeError('an extent without a free block is open');
    if (extent.free.length === 0) this.#open.shift();
    this.#free--;
    this.#inUse++;
    touch(this.#untouched.pop());
    return block;
  }

  /** Nobody reads these any more, and nobody will. */
  give(blocks: readonly Buffer[]): void {
    this.#inUse -= blocks.length;
    this.#free += blocks.length;
    for (const block of blocks) {
      const extent = this.#extents.get(block.buffer);
      if (extent === undefined) throw new RangeError('a block of another pool');
      extent.free.push(block);
      if (extent.free.length === 1) this.#reopen(extent);
    }
    this.#shrink();
  }

  #reopen(extent: Extent): void {
    const younger = this.#open.findIndex(({ age }) => age > extent.age);
    this.#open.splice(younger < 0 ? this.#open.length : younger, 0, extent);
  }

  #extend(): Extent {
    const memory = Buffer.from(new SharedArrayBuffer(EXTENT_BLOCKS * BLOCK_BYTES));
    const free: Buffer[] = [];
    for (let end = memory.length; end > 0; end -= BLOCK_BYTES)
      free.push(memory.subarray(end - BLOCK_BYTES, end));
    const extent = { age: this.#made++, memory: memory.buffer, free };
    // From the other end: those at this one are touched by who takes them.
    if (extent.age > 0) this.#untouched.push(...free.toReversed());
    this.#extents.set(memory.buffer, extent);
    this.#open.push(extent);
    this.#free += EXTENT_BLOCKS;
    return extent;
  }

  /** A burst of streams does not leave its memory behind. */
  #shrink(): void {
    const reserve = Math.max(SMALLEST_RESERVE, this.#inUse * RESERVED_PART);
    while (this.#free - EXTENT_BLOCKS >= reserve) {
      const index = this.#open.findLastIndex(({ free }) => free.length === EXTENT_BLOCKS);
      const [extent] = index < 0 ? [] : this.#open.splice(index, 1);
      if (extent === undefined) return;
      this.#extents.delete(extent.memory);
      this.#free -= EXTENT_BLOCKS;
      announceGarbage();
    }
  }
}

/** Has the kernel provide the memory. It may be in use, so what is in it stays. */
function touch(block: Buffer | undefined): void {
  if (block === undefined) return;
  for (let at = 0; at < block.length; at += PAGE_BYTES) block[at] = block[at] ?? 0;
}

/** V8 does not count an extent, so it would not look for one that was dropped: an ordinary buffer of its size tells it. */
function announceGarbage(): void {
  Buffer.allocUnsafeSlow(EXTENT_BLOCKS * BLOCK_BYTES);
}

/** The one of this process, as there is one memory. */
export const mediaBlocks = new BlockPool();
