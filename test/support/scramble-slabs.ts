// Whatever is released is overwritten at once, in all tests of a process: who reads a message too late, or kept it without
// saying so, finds no media there.
import { SlabPool } from '../../src/media/slab-pool.ts';

const SCRAMBLED = Symbol.for('sluice: released slabs are scrambled');

const prototype: SlabPool & { [SCRAMBLED]?: true } = SlabPool.prototype;
// Without isolation one process runs many files, and this before each of them.
if (prototype[SCRAMBLED] !== true) {
  prototype[SCRAMBLED] = true;
  const { release } = prototype;
  prototype.release = function scrambling(this: SlabPool, data: Uint8Array): void {
    const free = this.reservedBytes;
    release.call(this, data);
    if (this.reservedBytes > free) new Uint8Array(data.buffer).fill(0xee);
  };
}
