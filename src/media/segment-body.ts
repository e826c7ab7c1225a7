import { BLOCK_BYTES, type BlockPool, mediaBlocks } from './block-pool.ts';
import { SluiceError } from './errors.ts';

const NO_BLOCK = Buffer.alloc(0);
const { set } = Uint8Array.prototype;

/**
 * The bytes of a finished segment, in pieces. Its memory is used for other segments, of other streams, once everybody who
 * holds it has released it. So whoever gets one has to release it exactly once, when nothing can read it any more.
 */
export class SegmentBody {
  readonly length: number;
  readonly #pool: BlockPool | null;
  #blocks: readonly Uint8Array[];
  #holders = 1;

  private constructor(blocks: readonly Uint8Array[], length: number, pool: BlockPool | null) {
    this.#blocks = blocks;
    this.length = length;
    this.#pool = pool;
  }

  /** Bytes that belong to nobody else, and are never used for anything else. */
  static of(bytes: Uint8Array): SegmentBody {
    return new SegmentBody([bytes], bytes.length, null);
  }

  /** @param blocks of the pool, all of them full but the last */
  static ofBlocks(blocks: readonly Buffer[], length: number, pool: BlockPool): SegmentBody {
    return new SegmentBody(blocks, length, pool);
  }

  /** One more who holds it. */
  hold(): this {
    this.#checkHeld();
    this.#holders++;
    return this;
  }

  /** This holder does not read it any more. */
  release(): void {
    this.#checkHeld();
    if (--this.#holders > 0) return;
    const blocks = this.#blocks;
    this.#blocks = [];
    if (this.#pool === null) return;
    // Those of a pool are buffers.
    this.#pool.give(blocks as readonly Buffer[]);
  }

  /** Views of the bytes from `start` to before `end`, in order; to be used only as long as the body is held. */
  pieces(start = 0, end = this.length): Uint8Array[] {
    this.#checkHeld();
    // Behind the end the last block may hold what was another stream's.
    const last = Math.min(end, this.length);
    const pieces: Uint8Array[] = [];
    let position = 0;
    for (const block of this.#blocks) {
      const from = Math.max(0, start - position);
      const to = Math.min(block.length, last - position);
      if (from < to) pieces.push(from === 0 && to === block.length ? block : block.subarray(from, to));
      position += block.length;
    }
    return pieces;
  }

  /** Releases it, and leaves a copy that may be kept. */
  copyOut(): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.length);
    let position = 0;
    for (const piece of this.pieces()) {
      copy.set(piece, position);
      position += piece.length;
    }
    this.release();
    return copy;
  }

  #checkHeld(): void {
    if (this.#holders > 0) return;
    // The bytes may be another stream's already.
    throw new SluiceError('SLUICE_INTERNAL', 'a segment is used after everybody had released it');
  }
}

/** Writes bytes one after the other into blocks, and makes a body of them. */
export class BodyWriter {
  readonly #pool: BlockPool;
  #blocks: Buffer[] = [];
  #block: Buffer = NO_BLOCK;
  /** Bytes of the last block that are written. */
  #used = 0;
  #length = 0;

  constructor(pool: BlockPool = mediaBlocks) {
    this.#pool = pool;
  }

  /** Bytes written since the last body. */
  get length(): number {
    return this.#length;
  }

  /** Appends the bytes of `memory` from `start` to before `end`. */
  write(memory: ArrayBufferLike, start: number, end: number): void {
    let position = start;
    while (position < end) {
      if (this.#used === this.#block.length) {
        this.#block = this.#pool.take();
        this.#blocks.push(this.#block);
        this.#used = 0;
      }
      const size = Math.min(end - position, BLOCK_BYTES - this.#used);
      // A third of what Buffer.copy takes, which looks at both sides first.
      set.call(this.#block, new Uint8Array(memory, position, size), this.#used);
      this.#used += size;
      position += size;
    }
    this.#length += end - start;
  }

  /** What was written, held by the caller; the next write begins another one. */
  take(): SegmentBody {
    const body = SegmentBody.ofBlocks(this.#blocks, this.#length, this.#pool);
    this.#reset();
    return body;
  }

  /** What was written is not wanted. */
  discard(): void {
    this.#pool.give(this.#blocks);
    this.#reset();
  }

  #reset(): void {
    this.#blocks = [];
    this.#block = NO_BLOCK;
    this.#used = 0;
    this.#length = 0;
  }
}
