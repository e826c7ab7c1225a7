import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import { sendError } from '../../../src/servers/http/errors.ts';
import { hlsRoutes, type PlayAccess } from '../../../src/servers/http/hls-routes.ts';
import { thumbnailFiles } from '../../../src/servers/http/thumbnail-routes.ts';
import { WaitingRequests } from '../../../src/servers/http/waiting-requests.ts';
import { makePreviews } from '../../../src/transcode/thumbnails/preview.ts';
import type { Picture, PictureRequest } from '../../../src/transcode/thumbnails/thumbnails.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { publishClip, Studio } from '../../support/publish-clip.ts';

const PICTURE: Picture = { data: Buffer.from('a picture'), type: 'image/jpeg', etag: 'tag' };

let app: FastifyInstance;
let answer: () => Promise<Picture | null>;
const wishes: PictureRequest[] = [];

/** The application `members` needs the token `ticket`. */
const ACCESS: PlayAccess = {
  isOpen: (application) => application !== 'members',
  enter: () => null,
  follow: ({ app: application, query }) => {
    if (application === 'members' && query !== 'token=ticket') {
      throw new SluiceError('SLUICE_PLAY_DENIED', 'not signed');
    }
  },
};

beforeAll(async () => {
  const { packager, stream } = await publishClip('h264_aac');
  const begun = new Studio();
  const names = ['live/cam', 'members/cam', 'studio/a/cam'];
  const find = (application: string, name: string) => names.includes(`${application}/${name}`);
  app = Fastify();
  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendError(error, reply, request.ip, {
      missing: () => {},
      refused: () => {},
      denied: () => {},
      unread: () => {},
      silent: () => {},
      crowded: () => {},
      fault: () => {},
    }),
  );
  hlsRoutes(app, {
    defaultApp: 'live',
    find: (application, name) =>
      find(application, name) ? [packager] : name === 'begun' ? [begun.packager] : [],
    access: ACCESS,
    waiting: new WaitingRequests(),
    onRequest: () => {},
    onWanted: () => false,
    files: thumbnailFiles({
      thumbnails: {
        picture: (_stream, wish) => {
          wishes.push(wish);
          return answer();
        },
      },
      previews: makePreviews({
        clock: new FakeClock(),
        maker: { busy: false, make: async () => Buffer.from('a sheet'), close: async () => {} },
      }),
      find: (application, name) => (find(application, name) ? stream : null),
      access: ACCESS,
      waiting: new WaitingRequests(),
    }),
  });
});
afterAll(() => app.close());
beforeEach(() => {
  answer = async () => PICTURE;
  wishes.length = 0;
});

const get = (path: string, headers: Record<string, string> = {}) =>
  app.inject({ url: `/hls/${path}`, headers });

describe('a thumbnail', () => {
  it('is in the folder of its stream', async () => {
    const found = await get('cam/thumbnail.jpg');
    expect(found.statusCode).toBe(200);
    expect(found.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'cache-control': 'public, max-age=5',
      etag: '"tag"',
      'content-length': '9',
    });
    expect(found.body).toBe('a picture');
    expect((await get('cam/thumbnail.jpg', { 'if-none-match': '"tag"' })).statusCode).toBe(304);
    expect((await get('studio/a/cam/thumbnail.webp?width=200')).statusCode).toBe(200);
    expect(wishes).toEqual([
      { width: 640, format: 'jpg' },
      { width: 640, format: 'jpg' },
      { width: 200, format: 'webp' },
    ]);
  });

  it.each(['15', '1281', 'wide', ''])('of width "%s" is refused', async (width) => {
    const refused = await get(`cam/thumbnail.jpg?width=${width}`);
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ code: 'SLUICE_HTTP_BAD_REQUEST' });
  });

  it('is only for those who may play', async () => {
    expect((await get('members/cam/thumbnail.jpg')).statusCode).toBe(403);
    expect((await get('members/cam/preview.vtt')).statusCode).toBe(403);
    expect(wishes).toEqual([]);
    const allowed = await get('members/cam/thumbnail.jpg?token=ticket');
    expect(allowed.statusCode).toBe(200);
    expect(allowed.headers['cache-control']).toBe('private, max-age=5');
  });

  it('is not found without a stream or a picture', async () => {
    answer = async () => null;
    for (const path of ['cam/thumbnail.jpg', 'nobody/thumbnail.jpg', 'cam/thumbnail.png', 'thumbnail.jpg']) {
      expect([path, (await get(path)).statusCode]).toEqual([path, 404]);
    }
  });

  it.each([
    ['SLUICE_FFMPEG_MISSING', 501],
    ['SLUICE_FFMPEG_UNABLE', 501],
    ['SLUICE_THUMBNAIL_BUSY', 503],
    ['SLUICE_TRANSCODE_FAILED', 503],
  ] as const)('that ends in %s is answered with %s', async (code, status) => {
    answer = () => Promise.reject(new SluiceError(code, '/home/secret/ffmpeg does not start'));
    const failed = await get('cam/thumbnail.jpg');
    expect(failed.statusCode).toBe(status);
    expect(failed.json()).toMatchObject({ code });
    expect(failed.headers['cache-control']).toBe('no-store');
    expect(failed.body).not.toContain('secret');
  });
});

describe('a preview', () => {
  it('leads to its sprite, with the token where one is needed', async () => {
    for (const [folder, query, scope] of [
      ['cam', '', 'public'],
      ['members/cam', '?token=ticket', 'private'],
    ] as const) {
      const list = await get(`${folder}/preview.vtt${query}`);
      expect(list.statusCode).toBe(200);
      expect(list.headers).toMatchObject({
        'content-type': 'text/vtt; charset=utf-8',
        'cache-control': `${scope}, max-age=5`,
      });
      const sprite = /^preview-\S+(?=#xywh)/m.exec(list.body)?.[0] ?? '';
      const found = await get(`${folder}/${sprite}`);
      expect(found.headers).toMatchObject({
        'content-type': 'image/jpeg',
        'cache-control': `${scope}, max-age=60`,
      });
      expect(found.body).toBe('a sheet');
    }
  });

  it('is not found before the first segment, nor a sprite that nobody named', async () => {
    expect((await get('begun/preview.vtt')).statusCode).toBe(404);
    expect((await get('cam/preview-0123456789abcdef.jpg')).statusCode).toBe(404);
  });
});
