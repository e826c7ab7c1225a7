// Whatever is released is overwritten at once, in all tests of a process: who reads a message too late, or kept it without
// saying so, finds no media there. And nobody has anything to say about a slab that is free.
import { SlabPool } from '../../src/media/slab-pool.ts';

const SCRAMBLED = Symbol.for('sluice: released slabs are scrambled');

const prototype: SlabPool & { [SCRAMBLED]?: true } = SlabPool.prototype;
// Without isolation one process runs many files, and this before each of them.
if (prototype[SCRAMBLED] !== true) {
  prototype[SCRAMBLED] = true;
  const free = new WeakSet<ArrayBufferLike>();
  const { take, hold, keep, release } = prototype;
  const checked = (call: (data: Uint8Array) => void) =>
    function onTaken(this: SlabPool, data: Uint8Array): void {
      if (free.has(data.buffer)) throw new Error('a slab is held, kept or released that nobody has taken');
      call.call(this, data);
    };
  prototype.hold = checked(hold);
  prototype.keep = checked(keep);
  prototype.take = function taking(this: SlabPool): Buffer {
    const memory = take.call(this);
    free.delete(memory.buffer);
    return memory;
  };
  prototype.release = checked(function scrambling(this: SlabPool, data: Uint8Array): void {
    const before = this.reservedBytes;
    release.call(this, data);
    if (this.reservedBytes === before) return;
    free.add(data.buffer);
    new Uint8Array(data.buffer).fill(0xee);
  });
}
