import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** A playlist as it goes out: rendered, compressed and tagged once, however many players ask. */
export interface Rendered {
  readonly text: Buffer;
  readonly gzip: Buffer;
  readonly etag: string;
}

export function render(playlist: string): Rendered {
  const text = Buffer.from(playlist);
  const etag = createHash('sha1').update(text).digest('base64url').slice(0, 16);
  return { text, gzip: gzipSync(text), etag };
}
