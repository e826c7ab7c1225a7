import { SluiceError } from '../../media/errors.ts';
import type { FlvTag } from './tags.ts';

const FILE_HEADER_SIZE = 9;
const TAG_HEADER_SIZE = 11;
const PREVIOUS_TAG_SIZE = 4;
/** A frame of this size would be a second of 128 Mbit/s. */
const MAX_BODY = 16_000_000;

/**
 * Takes an FLV file apart while it comes, in pieces of any size. A tag is given out with its last byte, without waiting
 * for what follows. PreviousTagSize is passed over whatever it says.
 */
export class FlvTagReader {
  /** Of the file, then of a tag. */
  readonly #header = Buffer.alloc(TAG_HEADER_SIZE);
  #headerSize = 0;
  #inFile = false;
  /** Bytes to pass over before the next header. */
  #skip = 0;
  #tag: FlvTag | null = null;
  #bodySize = 0;
  #failure: SluiceError | null = null;

  /**
   * The tags that are complete now. Each body is memory of its own: the chunk can be used again, and keeping a tag keeps
   * nothing else.
   *
   * @throws SluiceError SLUICE_FLV_MALFORMED: no FLV signature, or a tag above 16 MB. When the same chunk has whole tags
   *   before that, these are returned and the next call throws; after it every call does.
   */
  push(chunk: Buffer): FlvTag[] {
    const tags: FlvTag[] = [];
    let position = 0;
    while (position < chunk.length && this.#failure === null) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - position);
        this.#skip -= skipped;
        position += skipped;
      } else if (this.#tag === null) {
        position += this.#readHeader(chunk, position);
      } else {
        const copied = chunk.copy(this.#tag.body, this.#bodySize, position);
        this.#bodySize += copied;
        position += copied;
      }
      const tag = this.#tag;
      if (tag !== null && this.#bodySize === tag.body.length) {
        tags.push(tag);
        this.#tag = null;
        this.#skip = PREVIOUS_TAG_SIZE;
      }
    }
    if (this.#failure !== null && tags.length === 0) throw this.#failure;
    return tags;
  }

  /** @returns the number of bytes taken */
  #readHeader(chunk: Buffer, position: number): number {
    const wanted = this.#inFile ? TAG_HEADER_SIZE : FILE_HEADER_SIZE;
    const copied = chunk.copy(this.#header, this.#headerSize, position, position + wanted - this.#headerSize);
    this.#headerSize += copied;
    if (this.#headerSize === wanted) {
      this.#headerSize = 0;
      if (this.#inFile) this.#startTag();
      else this.#startFile();
    }
    return copied;
  }

  #startFile(): void {
    //  0 "FLV"  3 version  4 flags  5 size of this header u32  9 PreviousTagSize0 u32
    const size = this.#header.readUInt32BE(5);
    if (this.#header.toString('latin1', 0, 3) !== 'FLV' || size < FILE_HEADER_SIZE) {
      this.#fail('not an FLV file');
      return;
    }
    this.#inFile = true;
    this.#skip = size - FILE_HEADER_SIZE + PREVIOUS_TAG_SIZE;
  }

  #startTag(): void {
    //  0 type  1 dataSize(3)  4 timestamp(3)  7 timestampExtended, the upper 8 bits  8 streamId(3)
    const size = this.#header.readUIntBE(1, 3);
    if (size > MAX_BODY) {
      this.#fail(`an FLV tag of ${size} bytes`);
      return;
    }
    this.#tag = {
      type: this.#header.readUInt8(0) & 0x1f,
      timestamp: this.#header.readUIntBE(4, 3) + this.#header.readUInt8(7) * 0x1000000,
      body: Buffer.allocUnsafeSlow(size),
    };
    this.#bodySize = 0;
  }

  #fail(what: string): void {
    this.#failure = new SluiceError('SLUICE_FLV_MALFORMED', what);
  }
}
