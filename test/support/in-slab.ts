import { SLAB_BYTES, slabs } from '../../src/media/slab-pool.ts';

/** Hands on a message as the RTMP side does: its memory is used for others once nobody needs it. */
export function inSlab(body: Uint8Array, deliver: (body: Buffer) => void): void {
  if (body.length > SLAB_BYTES) {
    deliver(Buffer.from(body));
    return;
  }
  const slab = slabs.take();
  slab.set(body);
  deliver(slab.subarray(0, body.length));
  slabs.release(slab);
}
