import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConfigInput } from '../src/config/schema.ts';
import { createGateway, type Gateway } from '../src/gateway.ts';
import { publishRtmp, type RtmpPublisher } from '../src/servers/rtmp/rtmp-publisher.ts';
import { isVideo, readClip } from './support/publish-clip.ts';

const gateways: Gateway[] = [];
afterEach(() => Promise.all(gateways.splice(0).map((gateway) => gateway.close())));

function create(config: ConfigInput = {}): Gateway {
  const gateway = createGateway({
    host: '127.0.0.1',
    ...config,
    rtmp: { port: 0, ...config.rtmp },
    http: { port: 0, ...config.http },
  });
  gateways.push(gateway);
  return gateway;
}

async function publish(gateway: Gateway, key: string): Promise<RtmpPublisher> {
  return publishRtmp({ host: '127.0.0.1', port: gateway.address.rtmpPort ?? 0, app: 'live', key });
}

/** A clip at once: time is in its timestamps. */
function send(publisher: RtmpPublisher, clip: string): void {
  for (const tag of readClip(clip)) {
    if (isVideo(tag)) publisher.video(tag.timestamp, tag.body);
    else publisher.audio(tag.timestamp, tag.body);
  }
}

describe('the life of a gateway', () => {
  it('starts once and closes once, whoever asks', async () => {
    const gateway = create();
    expect(gateway.address).toEqual({ rtmpPort: null, httpPort: null });
    const [first, second] = await Promise.all([gateway.start(), gateway.start()]);
    expect(first).toBe(second);
    expect(first.rtmpPort).toBeGreaterThan(0);
    expect(first.httpPort).toBeGreaterThan(0);
    const closing = gateway.close();
    expect(gateway.close()).toBe(closing);
    await closing;
    expect(gateway.address).toEqual({ rtmpPort: null, httpPort: null });
  });

  it('can be closed without having been started', async () => {
    await expect(create().close()).resolves.toBeUndefined();
  });

  it('says which port is taken, and opens neither then', async () => {
    const { rtmpPort, httpPort } = await create().start();
    const sameRtmp = create({ rtmp: { port: rtmpPort ?? 0 } });
    await expect(sameRtmp.start()).rejects.toMatchObject({
      code: 'SLUICE_PORT_UNAVAILABLE',
      message: expect.stringContaining(`RTMP port ${rtmpPort}`),
    });
    expect(sameRtmp.address.httpPort).toBeNull();
    const sameHttp = create({ http: { port: httpPort ?? 0 } });
    await expect(sameHttp.start()).rejects.toMatchObject({
      message: expect.stringContaining(`HTTP port ${httpPort}`),
    });
    expect(sameHttp.address.rtmpPort).toBeNull();
  });

  it('refuses a wrong configuration before anything is opened', () => {
    expect(() => createGateway({ hls: { listedSegments: 1 } })).toThrow(
      expect.objectContaining({ code: 'SLUICE_CONFIG_INVALID' }),
    );
  });
});

describe('events', () => {
  it('follow a stream from live over grace and back to its end', async () => {
    const gateway = create();
    await gateway.start();
    const seen: string[] = [];
    gateway.on('live', ({ app, name }) => seen.push(`live ${app}/${name}`));
    gateway.on('grace', ({ app, name }) => seen.push(`grace ${app}/${name}`));
    gateway.on('ended', ({ app, name }) => seen.push(`ended ${app}/${name}`));
    for (const turn of [1, 2]) {
      const publisher = await publish(gateway, 'test');
      const live = once(gateway, 'live');
      send(publisher, 'h264_aac');
      const [event] = await live;
      expect(event.tracks).toHaveLength(2);
      const grace = once(gateway, 'grace');
      await publisher.stop();
      await grace;
      expect(gateway.streams(), `turn ${turn}`).toMatchObject([
        { state: 'grace', name: 'test', hls: 'hls/test.m3u8' },
      ]);
    }
    await gateway.close();
    expect(seen).toEqual([
      'live live/test',
      'grace live/test',
      'live live/test',
      'grace live/test',
      'ended live/test',
    ]);
  });

  it('warn once about each thing to change', async () => {
    const gateway = create();
    await gateway.start();
    const warnings: string[] = [];
    gateway.on('warning', ({ warning }) => warnings.push(warning.code));
    const warned = once(gateway, 'warning');
    const publisher = await publish(gateway, 'test');
    send(publisher, 'h264_opus');
    const [{ warning }] = await warned;
    expect(warning).toMatchObject({ code: 'track-not-in-hls', fix: expect.stringContaining('AAC') });
    await publisher.stop();
    await gateway.close();
    expect(warnings.filter((code) => code === 'track-not-in-hls')).toHaveLength(1);
  });
});
