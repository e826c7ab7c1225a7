import type { SegmentStore } from '../packaging/segment-store.ts';

/** Segments in memory: nothing to clean up after a crash, nothing that can fill a disk. */
export class MemoryStore implements SegmentStore {
  readonly #segments = new Map<string, Uint8Array>();

  async put(name: string, data: Uint8Array): Promise<void> {
    this.#segments.set(name, data);
  }

  async get(name: string): Promise<Uint8Array | null> {
    return this.#segments.get(name) ?? null;
  }

  async delete(name: string): Promise<void> {
    this.#segments.delete(name);
  }
}
