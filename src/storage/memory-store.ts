import { SluiceError } from '../media/errors.ts';
import type { SegmentBody } from '../media/segment-body.ts';
import type { SegmentStore } from '../packaging/segment-store.ts';

/** Segments in memory: nothing to clean up after a crash, nothing that can fill a disk. */
export class MemoryStore implements SegmentStore {
  readonly #segments = new Map<string, SegmentBody>();
  readonly #maxBytes: number | null;
  #bytes = 0;

  /** @param maxBytes what all segments together may take; null for no limit */
  constructor(maxBytes: number | null = null) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  names(): IterableIterator<string> {
    return this.#segments.keys();
  }

  async put(name: string, body: SegmentBody): Promise<void> {
    const before = this.#segments.get(name);
    const bytes = this.#bytes + body.length - (before?.length ?? 0);
    if (this.#maxBytes !== null && bytes > this.#maxBytes) {
      body.release();
      throw new SluiceError(
        'SLUICE_STORE_FULL',
        `the segments in memory have reached ${this.#maxBytes} bytes`,
      );
    }
    this.#bytes = bytes;
    this.#segments.set(name, body);
    before?.release();
  }

  async get(name: string): Promise<SegmentBody | null> {
    return this.#segments.get(name)?.hold() ?? null;
  }

  async delete(name: string): Promise<void> {
    const body = this.#segments.get(name);
    if (body === undefined) return;
    this.#segments.delete(name);
    this.#bytes -= body.length;
    body.release();
  }
}
