import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HlsPackager } from '../../packaging/hls-packager.ts';
import { MAX_WIDTH, MIN_WIDTH, readWidth } from '../../transcode/thumbnails/picture-size.ts';
import type { Preview, Previews } from '../../transcode/thumbnails/preview.ts';
import type { Picture, PicturedStream, Thumbnails } from '../../transcode/thumbnails/thumbnails.ts';
import { sendBadRequest, sendNotFound } from './errors.ts';
import { matches, type PlayAccess, type StreamFile, type StreamFiles } from './hls-routes.ts';
import type { WaitingRequests } from './waiting-requests.ts';

export interface ThumbnailFilesOptions {
  readonly thumbnails: Thumbnails;
  readonly previews: Previews;
  /** The stream of a name, as long as it is listed; also one that has ended. */
  readonly find: (app: string, name: string) => PicturedStream | null;
  readonly access: Pick<PlayAccess, 'isOpen' | 'follow'>;
  readonly waiting: WaitingRequests;
}

const THUMBNAIL = /^thumbnail\.(jpg|webp)$/;
const PREVIEW = 'preview.vtt';
const SPRITE = /^preview-([0-9a-f]{16})\.jpg$/;
/** Seconds. The picture at an address changes. */
const CACHE_SECONDS = 5;
/** A sprite never changes; its window is over in a while. */
const SPRITE_CACHE_SECONDS = 60;

/**
 * Pictures of a stream beside its playlists, for everybody who may play it: `thumbnail.jpg` and `.webp` of now,
 * `preview.vtt` with its sprites of what is listed.
 */
export function thumbnailFiles(options: ThumbnailFilesOptions): StreamFiles {
  const { thumbnails, previews, find, access, waiting } = options;

  return async (request, reply, asked) => {
    const format = THUMBNAIL.exec(asked.file)?.[1];
    const id = SPRITE.exec(asked.file)?.[1];
    if (format === undefined && id === undefined && asked.file !== PREVIEW) return false;
    access.follow(asked);
    const scope = access.isOpen(asked.app) ? 'public' : 'private';
    if (format !== undefined) {
      const width = readWidth(new URLSearchParams(asked.query).get('width'));
      if (width === null) {
        sendBadRequest(reply, `width must be a whole number from ${MIN_WIDTH} to ${MAX_WIDTH}.`);
        return true;
      }
      const stream = find(asked.app, asked.name);
      const wish = { width, format: format === 'webp' ? 'webp' : 'jpg' } as const;
      const picture =
        stream === null ? null : await waiting.hold(request, 'picture', thumbnails.picture(stream, wish));
      sendPicture(request, reply, picture, `${scope}, max-age=${CACHE_SECONDS}`);
    } else if (id !== undefined) {
      const preview = firstOf(asked.packagers, (packager) => previews.byId(packager.rendition, id));
      const sprite = preview && (await waiting.hold(request, 'picture', preview.sprite()));
      sendPicture(request, reply, sprite, `${scope}, max-age=${SPRITE_CACHE_SECONDS}`);
    } else {
      sendPreview(reply, asked, previews, scope);
    }
    return true;
  };
}

function sendPicture(
  request: FastifyRequest,
  reply: FastifyReply,
  picture: Picture | null,
  cacheControl: string,
): void {
  if (picture === null) {
    sendNotFound(reply, 'There is no picture of this stream. It may not have started yet, or have no video.');
    return;
  }
  const etag = `"${picture.etag}"`;
  reply.header('cache-control', cacheControl).header('etag', etag);
  if (matches(request, etag)) reply.code(304).send();
  else reply.type(picture.type).send(picture.data);
}

function sendPreview(
  reply: FastifyReply,
  { packagers, query }: StreamFile,
  previews: Previews,
  scope: string,
): void {
  const [newest] = packagers;
  const preview = newest === undefined ? null : previews.current(newest.rendition);
  if (preview === null) {
    sendNotFound(reply, 'There is no preview of this stream. It may not have started yet, or have no video.');
    return;
  }
  const token = scope === 'private' ? new URLSearchParams(query).get('token') : null;
  reply
    .header('cache-control', `${scope}, max-age=${CACHE_SECONDS}`)
    .type('text/vtt; charset=utf-8')
    .send(preview.vtt(token === null ? '' : `?token=${encodeURIComponent(token)}`));
}

function firstOf(
  packagers: readonly HlsPackager[],
  look: (packager: HlsPackager) => Preview | null,
): Preview | null {
  for (const packager of packagers) {
    const found = look(packager);
    if (found !== null) return found;
  }
  return null;
}
