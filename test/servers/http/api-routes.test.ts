import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import { API_SCHEMAS, type StreamView } from '../../../src/servers/http/api-schemas.ts';
import { gatewayPlugin } from '../../../src/servers/http/gateway-plugin.ts';
import { publicView, viewStream } from '../../../src/servers/http/stream-view.ts';
import { decideTracks } from '../../../src/transcode/conversion/codec-policy.ts';
import type { TrackConversion } from '../../../src/transcode/conversion/conversion.ts';
import { pluginOptions } from '../../support/plugin-options.ts';
import { readClip, Studio } from '../../support/publish-clip.ts';

const app: FastifyInstance = Fastify();
const kicks: unknown[] = [];
let views: StreamView[];

const NOTHING = { renditions: () => [], conversions: () => [] };

async function published(clip: string): Promise<StreamView> {
  const studio = new Studio();
  await studio.publish(readClip(clip), { stay: true });
  const view = viewStream(studio.stream, studio.packager, NOTHING, studio.clock.now(), 'live');
  if (view === null) throw new Error(`${clip} gave no stream`);
  return view;
}

beforeAll(async () => {
  const cam = await published('h264_aac');
  const opus = await published('h264_opus');
  views = [cam, { ...cam, app: 'live/room', name: 'cam' }, { ...opus, name: 'opus', health: 'poor' }];
  const options = pluginOptions();
  await app.register(
    gatewayPlugin({
      ...options,
      open: { ...options.open, publicStreams: () => views.slice(0, 1).map(publicView) },
      api: {
        ...options.api,
        streams: () => views,
        kick: (application, name, blockSeconds) => {
          kicks.push([application, name, blockSeconds]);
          return views.some((view) => view.app === application && view.name === name);
        },
      },
    }),
  );
});
afterAll(() => app.close());

describe('the API', () => {
  it.each([
    ['/api/server', 'Server'],
    ['/api/streams', 'StreamList'],
    ['/api/streams/live/opus', 'Stream'],
    ['/api/streams/nobody', 'Error'],
    ['/api/nothing', 'Error'],
    ['/streams.json', 'PublicInfo'],
    ['/healthz', 'Status'],
    ['/readyz', 'Status'],
    ['/nothing', 'Error'],
  ] as const)('%s answers exactly what the schema %s describes', async (url, schema) => {
    const body = (await app.inject(url)).json();
    // Parsing leaves out what is not described.
    expect(API_SCHEMAS[schema].parse(body)).toEqual(body);
  });

  it('lists all streams and who publishes them', async () => {
    const answer = await app.inject('/api/streams');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json()).toEqual({ streams: views });
    expect(views[0]).toMatchObject({ publisher: { address: '192.0.2.1' }, warnings: [] });
    expect(views[2]?.tracks).toContainEqual(
      expect.objectContaining({ codec: 'opus', inHls: false, reason: expect.any(String) }),
    );
  });

  it.each(['live/test', 'live/room/cam', 'live%2Froom%2Fcam'])('finds the stream %s', async (path) => {
    const { app: application, name } = (await app.inject(`/api/streams/${path}`)).json();
    expect(`${application}/${name}`).toBe(decodeURIComponent(path));
  });

  it.each(['test', 'live', 'live/', '/live/test', 'live/nobody', 'room/cam', '__proto__/x'])(
    'finds no stream %s',
    async (path) => {
      const answer = await app.inject(`/api/streams/${path}`);
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ code: 'SLUICE_API_STREAM_NOT_FOUND' });
    },
  );
});

describe('a kick', () => {
  it.each([
    ['live/test', ['live', 'test', 30]],
    ['live/room/cam?block=0', ['live/room', 'cam', 0]],
    ['live/test?block=3600', ['live', 'test', 3600]],
  ])('of %s says what was done', async (path, kick) => {
    kicks.length = 0;
    const answer = await app.inject({ method: 'DELETE', url: `/api/streams/${path}` });
    expect(answer.statusCode).toBe(202);
    expect(kicks).toEqual([kick]);
    const [application, name, blockedSeconds] = kick;
    expect(answer.json()).toEqual({ app: application, name, blockedSeconds });
    expect(API_SCHEMAS.Kicked.parse(answer.json())).toEqual(answer.json());
  });

  it.each(['-1', '3601', '1.5', 'x', '1&block=2'])('with block=%s is refused', async (block) => {
    kicks.length = 0;
    const answer = await app.inject({ method: 'DELETE', url: `/api/streams/live/test?block=${block}` });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({
      code: 'SLUICE_HTTP_BAD_REQUEST',
      message: 'block: must be seconds, a whole number from 0 to 3600',
    });
    expect(kicks).toEqual([]);
  });

  it('of nobody finds nobody', async () => {
    const answer = await app.inject({ method: 'DELETE', url: '/api/streams/live/nobody' });
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'SLUICE_API_STREAM_NOT_FOUND' });
  });

  it('needs a stream', async () => {
    for (const url of ['/api/streams', '/api/server', '/streams.json']) {
      expect((await app.inject({ method: 'DELETE', url })).statusCode).toBe(404);
    }
  });
});

describe('what everybody may see', () => {
  it('has the public streams, without where they come from, for a second', async () => {
    const answer = await app.inject('/streams.json');
    expect(answer.headers['cache-control']).toBe('public, max-age=1');
    const { publisher, ...open } = views[0] ?? {};
    expect(answer.json()).toEqual({ version: '1.2.3', rtmpPort: 1935, defaultApp: 'live', streams: [open] });
    expect(answer.body).not.toContain('192.0.2.1');
  });
});

it('what ffmpeg says of this computer is in /api/streams only', async () => {
  const studio = new Studio();
  await studio.publish(readClip('h264_opus'), { stay: true });
  const missing = new SluiceError(
    'SLUICE_FFMPEG_MISSING',
    'no ffmpeg that works: /srv/secret/ffmpeg crashes',
  );
  const broken = new SluiceError('SLUICE_TRANSCODE_FAILED', 'ffmpeg: it ended with code 1 (/srv/secret)');
  const policies = decideTracks(studio.stream.epoch?.tracks ?? [], {
    ...{ codecs: {}, ffmpeg: missing, videoEncoder: 'libx264' },
  });
  const conversions = policies.flatMap(({ track, policy, reason }): TrackConversion[] => [
    { trackId: track.id, policy, reason, state: null, error: null, dropped: 0 },
  ]);
  const failed: TrackConversion = {
    ...{
      trackId: 'a1',
      policy: 'transcode',
      reason: 'MPEG-TS cannot',
      state: 'failed',
      error: broken,
      dropped: 0,
    },
  };
  const transcoding = { renditions: () => [], conversions: () => [...conversions, failed] };
  const view = viewStream(studio.stream, studio.packager, transcoding, studio.clock.now(), 'live');
  if (view === null) throw new Error('no view');
  expect(view.tracks.find(({ kind }) => kind === 'audio')?.reason).toContain('/srv/secret');
  expect(JSON.stringify(view.warnings)).toContain('/srv/secret');
  const shown = publicView(view);
  expect(JSON.stringify(shown)).not.toContain('secret');
  expect(shown.tracks.find(({ kind }) => kind === 'audio')?.reason).toMatch(/no ffmpeg to convert it$/);
  expect(JSON.stringify(shown.warnings)).toContain('Track a1 cannot be converted now.');
});

it('everybody may see that segments are lost, but not where they are kept', async () => {
  const studio = new Studio();
  studio.store.failingPuts = Number.POSITIVE_INFINITY;
  await studio.publish(readClip('h264_aac'), { stay: true });
  const transcoding = { renditions: () => [], conversions: () => [] };
  const view = viewStream(studio.stream, studio.packager, transcoding, studio.clock.now(), 'live');
  if (view === null) throw new Error('no view');
  const lost = { code: 'segments-lost', severity: 'problem' };
  expect(view.warnings).toContainEqual(
    expect.objectContaining({ ...lost, fix: expect.stringContaining('storage.directory') }),
  );
  const shown = publicView(view);
  expect(shown.warnings).toContainEqual(expect.objectContaining(lost));
  expect(JSON.stringify(shown)).not.toContain('storage.');
});
