import type { SegmentBody } from '../../src/media/segment-body.ts';

/** The bytes of a segment that is fetched, to be kept; null when there is none. */
export async function bytesOf(body: Promise<SegmentBody | null> | undefined): Promise<Buffer | null> {
  return (await body)?.copyOut() ?? null;
}
