/**
 * Large enough that a segment is a handful of them, small enough that the unused end of the last one does not count
 * beside it.
 */
export const BLOCK_BYTES = 32 * 1024;
/** Blocks come in extents, which malloc takes from the kernel one by one: they leave no holes between small things. */
const EXTENT_BLOCKS = 128;

/** Kept in any case: 8 MiB. */
const SMALLEST_RESERVE = 256;
/** … and beyond that, this part of what is in use: streams begin and end their segments at different times. */
const RESERVED_PART = 1 / 8;

interface Extent {
  readonly memory: ArrayBufferLike;
  readonly free: Buffer[];
}

/**
 * Blocks of memory for media, used again when what they held has expired. Left to the garbage collector, they would make
 * it run all the time, and the kernel would have to provide new ones page by page (docs/performance.md).
 */
export class BlockPool {
  readonly #extents = new Map<ArrayBufferLike, Extent>();
  /** Those with a free block, the one used last at the end. */
  readonly #open: Extent[] = [];
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
    const extent = this.#open.at(-1) ?? this.#extend();
    const block = extent.free.pop();
    if (block === undefined) throw new RangeError('an extent without a free block is open');
    if (extent.free.length === 0) this.#open.pop();
    this.#free--;
    this.#inUse++;
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
      if (extent.free.length === 1) this.#open.push(extent);
    }
    this.#shrink();
  }

  #extend(): Extent {
    const memory = Buffer.allocUnsafeSlow(EXTENT_BLOCKS * BLOCK_BYTES);
    const free: Buffer[] = [];
    // The first one is taken first: of an extent that is hardly used only that much is real.
    for (let end = memory.length; end > 0; end -= BLOCK_BYTES)
      free.push(memory.subarray(end - BLOCK_BYTES, end));
    const extent = { memory: memory.buffer, free };
    this.#extents.set(memory.buffer, extent);
    this.#open.push(extent);
    this.#free += EXTENT_BLOCKS;
    return extent;
  }

  /** A burst of streams does not leave its memory behind. */
  #shrink(): void {
    const reserve = Math.max(SMALLEST_RESERVE, this.#inUse * RESERVED_PART);
    while (this.#free - EXTENT_BLOCKS >= reserve) {
      const index = this.#open.findIndex(({ free }) => free.length === EXTENT_BLOCKS);
      const [extent] = index < 0 ? [] : this.#open.splice(index, 1);
      if (extent === undefined) return;
      this.#extents.delete(extent.memory);
      this.#free -= EXTENT_BLOCKS;
    }
  }
}

/** The one of this process, as there is one memory. */
export const mediaBlocks = new BlockPool();
