import { gunzipSync } from 'node:zlib';
import { type PlaylistSegment, parsePlaylist } from './hls-validator/m3u8.ts';
import { HlsValidator, type RequestFunction, rawRequest } from './hls-validator/validator.ts';

const POLL_MS = 400;

/** A segment as the viewer got it. */
export interface SeenSegment extends PlaylistSegment {
  readonly body: Uint8Array;
}

/** A viewer that checks everything it gets, and keeps it. */
export class Viewer {
  readonly validator: HlsValidator;
  /** Every answer to a playlist request that was not the playlist. */
  readonly refusals: string[] = [];
  /** The latest media playlist's text. */
  playlist = '';
  readonly #ask: RequestFunction;
  readonly #playlists: ReadonlySet<string>;
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #listed = new Map<number, PlaylistSegment & { readonly url: string }>();
  readonly #targetDurations = new Set<number>();
  #watching: Promise<unknown> | null = null;
  readonly #left = new AbortController();

  /**
   * @param multivariant address of the multivariant playlist `…/name.m3u8`
   * @param ask how it requests; a connection for each when absent
   */
  /** @param ignore checks of the validator that do not count */
  constructor(multivariant: string, ask: RequestFunction = rawRequest, ignore: readonly string[] = []) {
    this.#ask = ask;
    this.#playlists = new Set([multivariant, multivariant.replace(/\.m3u8$/, '/media.m3u8')]);
    this.validator = new HlsValidator(multivariant, {
      request: (url, request) => this.#request(url, request),
      ignore,
    });
  }

  /** Begins to watch. The stream must be there. */
  watch(): void {
    this.#watching = this.validator.watch({ until: this.#left.signal, intervalMs: POLL_MS });
  }

  /** Has a last look and stops watching. */
  async leave(): Promise<void> {
    this.#left.abort();
    await this.#watching;
  }

  /** How many segments were listed so far. */
  get count(): number {
    return this.#listed.size;
  }

  /** Whether every segment listed so far was fetched. */
  get complete(): boolean {
    return [...this.#listed.values()].every(({ url }) => this.#bodies.has(url));
  }

  /** Everything listed so far, in order. @throws Error when one was never fetched */
  get segments(): SeenSegment[] {
    return [...this.#listed.values()]
      .sort((a, b) => a.mediaSequence - b.mediaSequence)
      .map(({ url, ...segment }) => {
        const body = this.#bodies.get(url);
        if (body === undefined) throw new Error(`segment ${segment.mediaSequence} was never fetched`);
        return { ...segment, body };
      });
  }

  /** The segments of each continuous part: a DISCONTINUITY begins a new one. */
  get parts(): SeenSegment[][] {
    const parts: SeenSegment[][] = [];
    for (const segment of this.segments) {
      const part = parts.at(-1);
      if (part === undefined || segment.discontinuity) parts.push([segment]);
      else part.push(segment);
    }
    return parts;
  }

  get targetDurations(): number[] {
    return [...this.#targetDurations];
  }

  get ended(): boolean {
    return this.playlist.includes('#EXT-X-ENDLIST');
  }

  #request: RequestFunction = async (url, request) => {
    const response = await this.#ask(url, request);
    const conditional = request.headers.range !== undefined || request.headers['if-none-match'] !== undefined;
    if (request.method !== 'GET' || conditional) return response;
    if (this.#playlists.has(url)) {
      if (response.status !== 200) this.refusals.push(`${response.status} for ${url}`);
      else
        this.#read(
          url,
          response.headers['content-encoding'] === 'gzip' ? gunzipSync(response.body) : response.body,
        );
    } else if (response.status === 200) {
      this.#bodies.set(url, response.body);
    }
    return response;
  };

  #read(url: string, body: Uint8Array): void {
    const playlist = parsePlaylist(body);
    if (playlist.kind !== 'media') return;
    this.playlist = Buffer.from(body).toString();
    if (playlist.targetDuration !== undefined) this.#targetDurations.add(playlist.targetDuration);
    for (const segment of playlist.segments) {
      const known = this.#listed.get(segment.mediaSequence);
      if (known === undefined)
        this.#listed.set(segment.mediaSequence, { ...segment, url: new URL(segment.uri, url).href });
    }
  }
}

/** One byte string, as a viewer feeds its decoder. */
export function joined(segments: readonly SeenSegment[]): Uint8Array {
  return Buffer.concat(segments.map((segment) => segment.body));
}

/** Seconds of media by the playlist. */
export function lengthOf(segments: readonly SeenSegment[]): number {
  return segments.reduce((sum, segment) => sum + segment.duration, 0);
}
