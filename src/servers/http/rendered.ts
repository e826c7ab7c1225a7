import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** A playlist as it goes out: rendered, compressed and tagged once, however many players ask. */
export interface Rendered {
  readonly text: Buffer;
  readonly gzip: Buffer;
  readonly etag: string;
}

/** Playlists are smaller, compressed; Node's usual 16 KiB would be held by each for as long as it is. */
const GZIP_BYTES = 2048;

export function render(playlist: string): Rendered {
  const text = Buffer.from(playlist);
  const etag = createHash('sha1').update(text).digest('base64url').slice(0, 16);
  return { text, gzip: gzipSync(text, { chunkSize: GZIP_BYTES }), etag };
}
