import { gunzipSync } from 'node:zlib';
import { decodeTimes, type FrameTimes } from './frame-times.ts';
import { type Attributes, type PlaylistSegment, parsePlaylist } from './hls-validator/m3u8.ts';
import {
  type Finding,
  HlsValidator,
  type RequestFunction,
  rawRequest,
  type ValidatorOptions,
} from './hls-validator/validator.ts';

const POLL_MS = 400;

/** A viewer of every variant at once: checks all it gets, and keeps it. Variants are `source` and the rungs' names. */
export class LadderViewer {
  readonly validator: HlsValidator;
  /** What each variant listed so far, by media sequence number. */
  readonly #listed = new Map<string, Map<number, PlaylistSegment & { readonly url: string }>>();
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #texts = new Map<string, string>();
  #offered: ReadonlyMap<string, Attributes> = new Map();
  #watching: Promise<unknown> | null = null;
  readonly #left = new AbortController();

  /** @param multivariant address of the multivariant playlist */
  constructor(multivariant: string, options: ValidatorOptions = {}) {
    this.validator = new HlsValidator(multivariant, { ...options, request: this.#request });
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

  /** What the multivariant playlist offered last, and with which attributes; the source first. */
  get offered(): ReadonlyMap<string, Attributes> {
    return this.#offered;
  }

  /** How many segments of the variant were listed so far. */
  count(variant: string): number {
    return this.#listed.get(variant)?.size ?? 0;
  }

  /** What was listed of the variant, in order. */
  segments(variant: string): PlaylistSegment[] {
    return [...(this.#listed.get(variant)?.values() ?? [])].sort((a, b) => a.mediaSequence - b.mediaSequence);
  }

  /** Numbers that were listed with a DISCONTINUITY. */
  discontinuities(variant: string): number[] {
    return this.segments(variant).flatMap((one) => (one.discontinuity ? one.mediaSequence : []));
  }

  /** The variant's latest media playlist. */
  text(variant: string): string {
    return this.#texts.get(variant) ?? '';
  }

  /** What the validator holds against the source's playlist and segments. */
  get sourceErrors(): Finding[] {
    return this.validator.errors.filter(
      ({ subject, message }) => !/\/media-[a-z0-9]+\.m3u8/.test(`${subject} ${message}`),
    );
  }

  /** Decodes the newest segments of every variant, each on its own. */
  async decode(newest: number): Promise<Map<string, Map<number, FrameTimes>>> {
    const decoded = new Map<string, Map<number, FrameTimes>>();
    for (const [name, listed] of this.#listed) {
      const times = new Map<number, FrameTimes>();
      const numbers = [...listed.keys()].sort((a, b) => a - b).slice(-newest);
      for (const number of numbers) {
        const body = this.#bodies.get(listed.get(number)?.url ?? '');
        if (body !== undefined) times.set(number, await decodeTimes(body));
      }
      decoded.set(name, times);
    }
    return decoded;
  }

  #request: RequestFunction = async (url, request) => {
    const response = await rawRequest(url, request);
    const conditional = request.headers.range !== undefined || request.headers['if-none-match'] !== undefined;
    if (request.method !== 'GET' || conditional || response.status !== 200) return response;
    const { pathname } = new URL(url);
    if (!pathname.endsWith('.m3u8')) this.#bodies.set(url, response.body);
    else
      this.#read(
        url,
        response.headers['content-encoding'] === 'gzip' ? gunzipSync(response.body) : response.body,
      );
    return response;
  };

  #read(url: string, body: Uint8Array): void {
    const playlist = parsePlaylist(body);
    if (playlist.kind === 'multivariant') {
      this.#offered = new Map(playlist.variants.map(({ uri, attributes }) => [nameOf(uri), attributes]));
      return;
    }
    const name = nameOf(url);
    this.#texts.set(name, Buffer.from(body).toString());
    const listed = this.#listed.get(name) ?? new Map<number, PlaylistSegment & { readonly url: string }>();
    this.#listed.set(name, listed);
    for (const segment of playlist.segments) {
      if (!listed.has(segment.mediaSequence))
        listed.set(segment.mediaSequence, { ...segment, url: new URL(segment.uri, url).href });
    }
  }
}

function nameOf(uri: string): string {
  return /media-([a-z0-9]+)\.m3u8/.exec(uri)?.[1] ?? 'source';
}
