import { gzipSync } from 'node:zlib';
import type { HttpRequest, HttpResponse } from './options.ts';
import type { SegmentOptions } from './synthetic-ts.ts';
import { TransportWriter } from './synthetic-ts.ts';
import { sectionCrc } from './ts.ts';

// A small gateway in memory, with a clock of its own.

type StoredSegment = {
  sequence: number;
  bytes: Buffer;
  rungs: Map<string, Buffer>;
  duration: number;
  date: number;
  discontinuity: boolean;
  removedAt: number | undefined;
};

/** A second rendition with media of its own, in a folder of its own. */
export type Rung = {
  /** The step of its first segment. */
  from?: number;
  /** Segments that it is behind. */
  lag?: number;
  segment?: (step: number) => SegmentOptions;
};

export type Tamper = {
  steps?: number;
  startTicks?: number;
  window?: number;
  /** By folder. */
  rungs?: Record<string, Rung>;
  keepSeconds?: number;
  segment?: (step: number) => SegmentOptions;
  media?: (text: string, step: number, path: string) => string;
  multivariant?: (text: string, step: number) => string;
  response?: (response: HttpResponse, path: string, request: HttpRequest, step: number) => HttpResponse;
};

export const base = 'https://gateway.test';
export const entry = `${base}/live/camera/index.m3u8`;

export class Gateway {
  clock = Date.UTC(2026, 0, 1);
  step = 0;
  readonly #tamper: Tamper;
  readonly #writer: TransportWriter;
  readonly #rungs: { folder: string; rung: Rung; writer: TransportWriter }[];
  readonly #segments: StoredSegment[] = [];
  #nextDate = Date.UTC(2026, 0, 1);

  constructor(tamper: Tamper) {
    this.#tamper = tamper;
    const startTicks = tamper.startTicks ?? 900_000;
    this.#writer = new TransportWriter(startTicks);
    this.#rungs = Object.entries(tamper.rungs ?? {}).map(([folder, rung]) => ({
      folder,
      rung,
      writer: new TransportWriter(startTicks),
    }));
  }

  /** Returns the milliseconds until the next segment is due. */
  publish(): number {
    const options = this.#tamper.segment?.(this.step) ?? {};
    const duration = options.declaredDuration ?? (options.frames ?? 50) / 25;
    this.#segments.push({
      sequence: 5 + this.#segments.length,
      bytes: this.#writer.writeSegment(options),
      rungs: new Map(
        this.#rungs.map(({ folder, rung, writer }) => [
          folder,
          writer.writeSegment({ ...options, ...rung.segment?.(this.step) }),
        ]),
      ),
      duration,
      date: this.#nextDate,
      discontinuity: options.discontinuity ?? false,
      removedAt: undefined,
    });
    this.#nextDate += duration * 1000;
    const listed = this.#segments.filter((segment) => segment.removedAt === undefined);
    for (const segment of listed.slice(0, -(this.#tamper.window ?? 6))) {
      segment.removedAt = this.clock;
    }
    return duration * 1000;
  }

  readonly request = async (url: string, request: HttpRequest): Promise<HttpResponse> => {
    const path = new URL(url).pathname;
    const response = this.#answer(path, request);
    return this.#tamper.response ? this.#tamper.response(response, path, request, this.step) : response;
  };

  #answer(path: string, request: HttpRequest): HttpResponse {
    const cors = { 'access-control-allow-origin': '*' };
    if (request.method === 'OPTIONS') {
      return {
        status: 204,
        headers: { ...cors, 'access-control-allow-headers': 'Range' },
        body: Buffer.alloc(0),
      };
    }
    const file = path.split('/').at(-1) ?? '';
    if (file === 'index.m3u8') return this.#playlist(this.#multivariantText(), request, cors);
    if (file === 'video.m3u8') return this.#playlist(this.#mediaText(path), request, cors);
    const sequence = /^(?:segment|other)-(\d+)\.ts$/.exec(file)?.[1];
    const segment = this.#segments.find((candidate) => candidate.sequence === Number(sequence));
    const keep = (this.#tamper.keepSeconds ?? 20) * 1000;
    if (segment && this.clock < (segment.removedAt ?? Number.POSITIVE_INFINITY) + keep) {
      const bytes = segment.rungs.get(path.split('/').at(-2) ?? '') ?? segment.bytes;
      return this.#segment({ ...segment, bytes }, request, cors);
    }
    const body = Buffer.from(JSON.stringify({ code: 'NOT_FOUND' }));
    return { status: 404, headers: { ...cors, 'content-type': 'application/json' }, body };
  }

  #playlist(text: string, request: HttpRequest, cors: Record<string, string>): HttpResponse {
    const plain = Buffer.from(text);
    const headers: Record<string, string> = {
      ...cors,
      'content-type': 'application/vnd.apple.mpegurl',
      'cache-control': 'no-cache',
      vary: 'Accept-Encoding',
      etag: `"${sectionCrc(plain)}"`,
    };
    if (request.headers['if-none-match'] === headers.etag)
      return { status: 304, headers, body: Buffer.alloc(0) };
    const zipped = request.headers['accept-encoding'] === 'gzip';
    const body = zipped ? gzipSync(plain) : plain;
    if (zipped) headers['content-encoding'] = 'gzip';
    return { status: 200, headers, body: request.method === 'HEAD' ? Buffer.alloc(0) : body };
  }

  #segment(segment: StoredSegment, request: HttpRequest, cors: Record<string, string>): HttpResponse {
    const { bytes } = segment;
    const headers: Record<string, string> = {
      ...cors,
      'content-type': 'video/mp2t',
      'cache-control': 'public, max-age=86400, immutable',
      'content-length': String(bytes.length),
      etag: `"${segment.sequence}"`,
    };
    if (request.headers['if-none-match'] === headers.etag)
      return { status: 304, headers, body: Buffer.alloc(0) };
    if (request.method === 'HEAD') return { status: 200, headers, body: Buffer.alloc(0) };
    const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
    if (!range) return { status: 200, headers, body: bytes };
    const first = range[1] === '' ? bytes.length - Number(range[2]) : Number(range[1]);
    const last = range[1] === '' || range[2] === '' ? bytes.length - 1 : Number(range[2]);
    if (first >= bytes.length) {
      return {
        status: 416,
        headers: { ...headers, 'content-range': `bytes */${bytes.length}`, 'content-length': '0' },
        body: Buffer.alloc(0),
      };
    }
    const body = bytes.subarray(first, last + 1);
    const contentRange = `bytes ${first}-${last}/${bytes.length}`;
    return {
      status: 206,
      headers: { ...headers, 'content-range': contentRange, 'content-length': String(body.length) },
      body,
    };
  }

  #multivariantText(): string {
    const text = [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      '#EXT-X-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=80000,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE',
      'video.m3u8?token=abc',
      '',
    ].join('\n');
    return this.#tamper.multivariant?.(text, this.step) ?? text;
  }

  #mediaText(path: string): string {
    const rung = this.#tamper.rungs?.[path.split('/').at(-2) ?? ''];
    const end = this.#segments.length - (rung?.lag ?? 0);
    const first = Math.max(rung?.from ?? 0, end - (this.#tamper.window ?? 6), 0);
    const listed = this.#segments.slice(first, Math.max(end, 0));
    const before = this.#segments.slice(0, first).filter(({ discontinuity }) => discontinuity);
    const lines = [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-TARGETDURATION:2',
      `#EXT-X-MEDIA-SEQUENCE:${listed[0]?.sequence ?? 5 + first}`,
      `#EXT-X-DISCONTINUITY-SEQUENCE:${before.length}`,
    ];
    for (const segment of listed) {
      if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY');
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.date).toISOString()}`);
      lines.push(`#EXTINF:${segment.duration.toFixed(5)},`, `segment-${segment.sequence}.ts?token=abc`);
    }
    const text = `${lines.join('\n')}\n`;
    return this.#tamper.media?.(text, this.step, path) ?? text;
  }
}
