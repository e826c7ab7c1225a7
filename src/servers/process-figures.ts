import { memoryUsage, version } from 'node:process';
import { getHeapStatistics } from 'node:v8';
import { mediaBlocks } from '../media/block-pool.ts';

/**
 * What the API tells of the process; nothing in it is changed here.
 *
 * @param residentBytes throws where the system does not tell it, for want of a descriptor for example
 */
export function processFigures(residentBytes: () => number = memoryUsage.rss) {
  const { used_heap_size: heap, external_memory } = getHeapStatistics();
  // V8 does not count the memory of segments.
  const external = external_memory + mediaBlocks.bytesInUse + mediaBlocks.reservedBytes;
  return { node: version, memory: { rss: tried(residentBytes), heap, external } };
}

function tried(read: () => number): number | null {
  try {
    return read();
  } catch {
    return null;
  }
}
