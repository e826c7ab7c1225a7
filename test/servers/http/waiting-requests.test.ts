import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { type GatewayPluginOptions, gatewayPlugin } from '../../../src/servers/http/gateway-plugin.ts';
import { WAIT_REASONS } from '../../../src/servers/http/waiting-requests.ts';
import { makePreviews } from '../../../src/transcode/thumbnails/preview.ts';
import { makeGate } from '../../storage/support/gate.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { pluginOptions } from '../../support/plugin-options.ts';
import { readExposition } from '../../support/prometheus-text.ts';
import { publishClip } from '../../support/publish-clip.ts';

/** For a busy machine. */
const SOON = { timeout: 10_000 };

const apps: FastifyInstance[] = [];
afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

const PICTURE = { data: Buffer.from('a picture'), type: 'image/jpeg', etag: 'tag' } as const;
const NOBODY = { restart: 0, callback: 0, picture: 0 };

type Change = (options: GatewayPluginOptions, until: Promise<void>) => Partial<GatewayPluginOptions>;

/** A gateway with the stream `cam` that holds some requests until the gate opens. */
async function start(change: Change) {
  const { packager, stream } = await publishClip('h264_aac');
  const gate = makeGate();
  const base = pluginOptions();
  const options: GatewayPluginOptions = {
    ...base,
    hls: { ...base.hls, find: (_app, name) => (name === 'cam' ? [packager] : []) },
    thumbnails: {
      thumbnails: { picture: () => gate.closed.then(() => PICTURE) },
      previews: makePreviews({
        clock: new FakeClock(),
        maker: {
          busy: false,
          make: () => gate.closed.then(() => PICTURE.data),
          close: async () => {},
        },
      }),
      find: () => stream,
    },
  };
  const app = Fastify({ forceCloseConnections: true });
  apps.push(app);
  await app.register(gatewayPlugin({ ...options, ...change(options, gate.closed) }));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    open: gate.open,
    get: (path: string, init: RequestInit = {}) => fetch(`${url}/hls/${path}`, init),
    waiting: async () => {
      const { value } = readExposition(await (await fetch(`${url}/metrics`)).text());
      return Object.fromEntries(
        WAIT_REASONS.map((reason) => [reason, value('sluice_http_waiting_requests', { reason })]),
      );
    },
  };
}

const restarted: Change = (_options, until) => ({ restoring: () => until });
const asked: Change = ({ hls }, until) => ({
  hls: { ...hls, access: { ...hls.access, enter: () => until.then(() => null) } },
});
const unchanged: Change = () => ({});

describe('the requests that wait in the metrics', () => {
  it.each([
    [
      'the streams of an earlier process',
      'restart',
      restarted,
      ['cam.m3u8', 'cam/media.m3u8', 'nobody.m3u8'],
    ],
    ['the play callback', 'callback', asked, ['cam.m3u8', 'cam.m3u8?again']],
    ['ffmpeg', 'picture', unchanged, ['cam/thumbnail.jpg', 'cam/thumbnail.webp']],
  ] as const)('are those held for %s, until it has come', async (_what, reason, change, paths) => {
    const { get, waiting, open } = await start(change);
    expect(await waiting()).toEqual(NOBODY);
    const answers = paths.map((path) => get(path));
    await expect.poll(waiting, SOON).toEqual({ ...NOBODY, [reason]: paths.length });
    open();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses).toEqual(paths.map((path) => (path.startsWith('nobody') ? 404 : 200)));
    expect(await waiting()).toEqual(NOBODY);
  });

  it('are those for a sprite too', async () => {
    const { get, waiting, open } = await start(unchanged);
    const [sprite = ''] = /preview-\w+\.jpg/.exec(await (await get('cam/preview.vtt')).text()) ?? [];
    const answer = get(`cam/${sprite}`);
    await expect.poll(waiting, SOON).toEqual({ ...NOBODY, picture: 1 });
    open();
    expect((await answer).status).toBe(200);
    expect(await waiting()).toEqual(NOBODY);
  });

  it('are not those whose clients went away, although the answer is still in the making', async () => {
    const { get, waiting } = await start(asked);
    const leaving = new AbortController();
    const answer = get('cam.m3u8', { signal: leaving.signal });
    await expect.poll(waiting, SOON).toEqual({ ...NOBODY, callback: 1 });
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await expect.poll(waiting, SOON).toEqual(NOBODY);
  });

  it('are not those that are refused', async () => {
    const { get, waiting, open } = await start(({ hls }, until) => ({
      hls: {
        ...hls,
        access: { ...hls.access, enter: () => until.then(() => Promise.reject(new Error('no'))) },
      },
      incidents: { ...pluginOptions().incidents, fault: () => {} },
    }));
    const answer = get('cam.m3u8');
    await expect.poll(waiting, SOON).toEqual({ ...NOBODY, callback: 1 });
    open();
    expect((await answer).status).toBe(500);
    expect(await waiting()).toEqual(NOBODY);
  });
});
