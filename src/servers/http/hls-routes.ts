import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import parseRange from 'range-parser';
import type { PlayAttempt } from '../../access/gatekeeper.ts';
import { renderMediaPlaylist, renderMultivariantPlaylist } from '../../formats/m3u8/playlist.ts';
import type { SegmentBody } from '../../media/segment-body.ts';
import type { HlsPackager } from '../../packaging/hls-packager.ts';
import type { Rendition } from '../../packaging/rendition.ts';
import { MEDIA_PLAYLIST, offeredVariants, renditionOf } from '../../packaging/variants.ts';
import { sendNotFound } from './errors.ts';
import { hlsAddresses } from './hls-address.ts';
import { type Rendered, render } from './rendered.ts';
import { sendBody, sendBytes } from './send-body.ts';
import type { WaitingRequests } from './waiting-requests.ts';

export interface HlsRoutesOptions {
  readonly defaultApp: string;
  /** The packagers of a name, newest first: that of its stream, and of ended ones before it for a while. */
  readonly find: (app: string, name: string) => readonly HlsPackager[];
  readonly access: PlayAccess;
  readonly waiting: WaitingRequests;
  /** Called for every playlist and segment served. */
  readonly onRequest: () => void;
  /**
   * Somebody wants to choose between the renditions of a stream, or wants this one of them.
   *
   * @returns whether there will be such a rendition soon
   */
  readonly onWanted: (app: string, name: string, rendition: string | null) => boolean;
  /** Other files in the folders of streams. */
  readonly files?: StreamFiles;
}

/** What is asked for in a stream's folder. */
export interface StreamFile extends PlayAttempt {
  readonly file: string;
  /** Newest first, never empty. */
  readonly packagers: readonly HlsPackager[];
}

/** Answers with a file that is neither playlist nor segment; false when it knows none of this name. */
export type StreamFiles = (
  request: FastifyRequest,
  reply: FastifyReply,
  file: StreamFile,
) => Promise<boolean>;

/** Who may play; see `Gatekeeper`. What is refused is thrown. */
export interface PlayAccess {
  isOpen(app: string): boolean;
  enter(attempt: PlayAttempt): (string | null) | Promise<string | null>;
  follow(attempt: PlayAttempt): void;
}

/** `gzip;q=0` is a refusal (RFC 9110 12.4.2). */
const ACCEPTS_GZIP = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/;
const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';
/** Names are never reused, so caches may keep segments for ever. */
const SEGMENT_CACHE = 'public, max-age=31536000, immutable';

/**
 * Playlists and segments. The bytes are the same for every viewer, without cookies, redirects or parameters: that is
 * what lets a CDN stand in front. Streams that need a signed URL have playlists of their own for each viewer, which no
 * cache may share, and the same segments for all.
 */
export function hlsRoutes(app: FastifyInstance, options: HlsRoutesOptions): void {
  const { defaultApp, find, access, waiting, onRequest, onWanted, files } = options;
  const mediaPlaylists = new WeakMap<object, Rendered>();
  const multivariantPlaylists = new WeakMap<HlsPackager, { playlist: string; rendered: Rendered }>();

  app.get<{ Params: { '*': string } }>('/hls/*', async (request, reply) => {
    for (const { app: application, name, file } of hlsAddresses(request.params['*'], defaultApp)) {
      const packagers = find(application, name);
      const [newest] = packagers;
      const wanted = file === null || file === MEDIA_PLAYLIST ? null : renditionOf(file);
      if (file === null || file === MEDIA_PLAYLIST || wanted !== null) {
        if (newest === undefined) continue;
        const attempt = { app: application, name, query: queryOf(request.url), address: request.ip };
        let rendered: Rendered | null;
        if (file === null) {
          const entered = access.enter(attempt);
          const token =
            entered instanceof Promise ? await waiting.hold(request, 'callback', entered) : entered;
          rendered = multivariant(newest, name, token);
        } else {
          access.follow(attempt);
          const { rendition, aligned } = newest;
          rendered = media(wanted === null ? rendition : aligned.get(wanted)?.current);
        }
        const coming = file === MEDIA_PLAYLIST ? false : onWanted(application, name, wanted);
        if (rendered === null) {
          if (wanted !== null && coming) return sendNotYet(reply);
          continue;
        }
        onRequest();
        const scope = access.isOpen(application) ? 'public' : 'private';
        return sendPlaylist(request, reply, rendered, scope, newest.targetDuration ?? 1);
      }
      // Players may still be in the end of a stream that was published anew.
      for (const packager of packagers) {
        const body = await packager.segment(file);
        if (body === null) continue;
        onRequest();
        return sendSegment(request, reply, body, file);
      }
      if (files === undefined || packagers.length === 0) continue;
      const attempt = { app: application, name, query: queryOf(request.url), address: request.ip };
      if (await files(request, reply, { ...attempt, file, packagers })) return reply;
    }
    return sendNotFound(reply, 'No such stream or segment. It may not have started yet, or be over.');
  });

  function media(rendition: Rendition | null | undefined): Rendered | null {
    if (rendition == null || rendition.window.segments.length === 0) return null;
    const { window } = rendition;
    let rendered = mediaPlaylists.get(window);
    if (rendered === undefined) {
      rendered = render(renderMediaPlaylist(window));
      mediaPlaylists.set(window, rendered);
    }
    return rendered;
  }

  function multivariant(packager: HlsPackager, name: string, token: string | null): Rendered | null {
    const query = token === null ? '' : `?token=${token}`;
    const variants = offeredVariants(packager, (file) => `${name}/${file}${query}`);
    if (variants.length === 0) return null;
    const playlist = renderMultivariantPlaylist(variants);
    if (token !== null) return render(playlist);
    let cached = multivariantPlaylists.get(packager);
    if (cached?.playlist !== playlist) {
      cached = { playlist, rendered: render(playlist) };
      multivariantPlaylists.set(packager, cached);
    }
    return cached.rendered;
  }
}

/** The rendition is being started because of this request; players ask again. */
function sendNotYet(reply: FastifyReply) {
  return reply
    .header('cache-control', 'no-store')
    .header('retry-after', '2')
    .code(503)
    .send({ code: 'SLUICE_RENDITION_STARTING', message: 'This rendition is being started. Ask again.' });
}

/** Half a target duration is how long a player may be shown an old playlist (RFC 8216bis appendix B). */
function sendPlaylist(
  request: FastifyRequest,
  reply: FastifyReply,
  rendered: Rendered,
  scope: 'public' | 'private',
  targetDuration: number,
) {
  const gzip = ACCEPTS_GZIP.test(request.headers['accept-encoding'] ?? '');
  // The two encodings are different bytes, so they need different strong tags.
  const etag = gzip ? `"${rendered.etag}-gz"` : `"${rendered.etag}"`;
  reply
    .header('cache-control', `${scope}, max-age=${Math.max(1, Math.floor(targetDuration / 2))}`)
    .header('vary', withAcceptEncoding(reply.getHeader('vary')))
    .header('etag', etag);
  if (matches(request, etag)) return reply.code(304).send();
  reply.type(PLAYLIST_TYPE);
  if (gzip) reply.header('content-encoding', 'gzip');
  return sendBytes(reply, [gzip ? rendered.gzip : rendered.text]);
}

/** What an app that has the gateway as a plugin makes its answers depend on stays. */
function withAcceptEncoding(vary: number | string | string[] | undefined): string {
  return vary === undefined ? 'Accept-Encoding' : `${vary}, Accept-Encoding`;
}

function sendSegment(request: FastifyRequest, reply: FastifyReply, body: SegmentBody, name: string) {
  const { length } = body;
  const etag = `"${name}"`;
  reply.header('cache-control', SEGMENT_CACHE).header('etag', etag).header('accept-ranges', 'bytes');
  if (matches(request, etag)) {
    body.release();
    return reply.code(304).send();
  }
  reply.type('video/mp2t');
  const { range } = request.headers;
  // Several ranges at once are answered with the whole segment, as RFC 9110 14.2 allows.
  const ranges = range === undefined ? undefined : parseRange(length, range);
  if (ranges === -1) {
    body.release();
    return reply.code(416).header('content-range', `bytes */${length}`).send();
  }
  const [first] = Array.isArray(ranges) && ranges.type === 'bytes' && ranges.length === 1 ? ranges : [];
  if (first === undefined) return sendBody(request, reply, body, 0, length);
  const { start, end } = first;
  reply.code(206).header('content-range', `bytes ${start}-${end}/${length}`);
  return sendBody(request, reply, body, start, end + 1);
}

function queryOf(url: string): string {
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start + 1);
}

/** Whether the client has what carries this tag. */
export function matches(request: FastifyRequest, etag: string): boolean {
  const header = request.headers['if-none-match'];
  if (header === undefined) return false;
  return header === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
