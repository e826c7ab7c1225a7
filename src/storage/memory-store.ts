import { SluiceError } from '../media/errors.ts';
import type { SegmentStore } from '../packaging/segment-store.ts';

/** Segments in memory: nothing to clean up after a crash, nothing that can fill a disk. */
export class MemoryStore implements SegmentStore {
  readonly #segments = new Map<string, Uint8Array>();
  readonly #maxBytes: number | null;
  #bytes = 0;

  /** @param maxBytes what all segments together may take; null for no limit */
  constructor(maxBytes: number | null = null) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async put(name: string, data: Uint8Array): Promise<void> {
    const bytes = this.#bytes + data.length - (this.#segments.get(name)?.length ?? 0);
    if (this.#maxBytes !== null && bytes > this.#maxBytes) {
      throw new SluiceError(
        'SLUICE_STORE_FULL',
        `the segments in memory have reached ${this.#maxBytes} bytes`,
      );
    }
    this.#bytes = bytes;
    this.#segments.set(name, data);
  }

  async get(name: string): Promise<Uint8Array | null> {
    return this.#segments.get(name) ?? null;
  }

  async delete(name: string): Promise<void> {
    this.#bytes -= this.#segments.get(name)?.length ?? 0;
    this.#segments.delete(name);
  }
}
