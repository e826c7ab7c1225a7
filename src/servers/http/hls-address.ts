/** What a path below `/hls/` may mean. */
export interface HlsAddress {
  readonly app: string;
  readonly name: string;
  /** Null for the multivariant playlist, else a file in the stream's folder. */
  readonly file: string | null;
}

const PLAYLIST_SUFFIX = '.m3u8';

/**
 * The readings of a path below `/hls/`, the likelier first. `a/b.m3u8` is a file of the default application's stream
 * `a`, or the multivariant playlist of stream `b` in application `a`; only a look at the streams can tell.
 */
export function hlsAddresses(path: string, defaultApp: string): HlsAddress[] {
  const parts = path.split('/');
  const last = parts.pop();
  if (last === undefined || last === '' || parts.includes('')) return [];
  const addresses: HlsAddress[] = [];
  const folder = parts.at(-1);
  if (folder !== undefined) {
    const app = parts.length === 1 ? defaultApp : parts.slice(0, -1).join('/');
    addresses.push({ app, name: folder, file: last });
  }
  if (last.endsWith(PLAYLIST_SUFFIX)) {
    const app = parts.length === 0 ? defaultApp : parts.join('/');
    addresses.push({ app, name: last.slice(0, -PLAYLIST_SUFFIX.length), file: null });
  }
  return addresses;
}

/** Path of a stream's multivariant playlist below the gateway's root. */
export function multivariantPath(app: string, name: string, defaultApp: string): string {
  return app === defaultApp ? `hls/${name}.m3u8` : `hls/${app}/${name}.m3u8`;
}
