import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConfigInput } from '../src/config/schema.ts';
import { createGateway } from '../src/gateway.ts';
import type { Gateway } from '../src/gateway-interface.ts';
import { publishRtmp, type RtmpPublisher } from '../src/servers/rtmp/rtmp-publisher.ts';
import type { Logger } from '../src/servers/stream-reporter.ts';
import { isVideo, readClip } from './support/publish-clip.ts';
import { until } from './support/until.ts';

const gateways: Gateway[] = [];
afterEach(() => Promise.all(gateways.splice(0).map((gateway) => gateway.close())));

function create(config: ConfigInput = {}, logger?: Logger): Gateway {
  const gateway = createGateway(
    {
      host: '127.0.0.1',
      ...config,
      rtmp: { port: 0, ...config.rtmp },
      http: { port: 0, ...config.http },
    },
    logger === undefined ? {} : { logger },
  );
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
  it('leaves its streams to the next gateway in the directory, also when this process lives on', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-gateway-'));
    try {
      const storage = { type: 'disk', directory } as const;
      const first = create({ storage, publish: { graceWindow: 0.5 } });
      await first.start();
      const ended: unknown[] = [];
      first.on('ended', (stream) => ended.push(stream));
      send(await publish(first, 'cam'), 'h264_aac');
      await until('segments', () => (first.streams()[0]?.mediaSequence ?? null) !== null, 5000);
      await first.close();
      // There is no event for what must not happen.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect(ended).toEqual([]);
      expect(first.streams()[0]?.state).toBe('grace');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

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

  it('on localhost has one address for RTMP and HTTP, which 127.0.0.1 reaches', async () => {
    const gateway = create({ host: 'localhost' });
    const { httpPort } = await gateway.start();
    expect((await fetch(`http://127.0.0.1:${httpPort}/healthz`)).status).toBe(200);
    await (await publish(gateway, 'cam')).stop();
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

  it('warns of applications in which anybody can publish at the start, and of those that come to be', async () => {
    const lines: [Record<string, unknown>, string][] = [];
    const write = (fields: object, message: string) => lines.push([{ ...fields }, message]);
    const ports = { rtmp: { port: 0 }, http: { port: 0 } };
    const key = { name: 'cam', key: `sha256:${'0'.repeat(64)}` };
    const config = { ...ports, host: '0.0.0.0', publish: { keys: [key] } };
    const gateway = create(
      { ...config, applications: { guests: { publish: { keys: [] } } } },
      { info: () => {}, warn: write, error: write },
    );
    const told = () =>
      lines
        .splice(0)
        .flatMap(([{ code, applications }]) => (code === 'SLUICE_PUBLISH_OPEN' ? [applications] : []));
    await gateway.start();
    expect(told()).toEqual(['guests']);
    gateway.reconfigure({ ...config, publish: {}, applications: { guests: { publish: { keys: [] } } } });
    expect(told()).toEqual(['*']);
    gateway.reconfigure({ ...config, publish: {} });
    expect(told()).toEqual([]);
    gateway.reconfigure(config);
    gateway.reconfigure({ ...config, publish: {} });
    expect(told()).toEqual(['*']);
  });

  it('refuses a wrong configuration before anything is opened', () => {
    expect(() => createGateway({ hls: { listedSegments: 1 } })).toThrow(
      expect.objectContaining({ code: 'SLUICE_CONFIG_INVALID' }),
    );
  });
});

describe('the API', () => {
  const TOKEN = 'a-token-of-24-characters';

  it('ends a stream and keeps its encoder away for the time asked', async () => {
    const lines: unknown[] = [];
    const write = (...line: unknown[]) => lines.push(line);
    const gateway = create({ api: { token: TOKEN } }, { info: write, warn: write, error: write });
    const { httpPort } = await gateway.start();
    const call = async (method: string, path: string, headers = { authorization: `Bearer ${TOKEN}` }) => {
      const response = await fetch(`http://127.0.0.1:${httpPort}/${path}`, { method, headers });
      return { status: response.status, text: await response.text() };
    };
    const publisher = await publish(gateway, 'cam');
    const live = once(gateway, 'live');
    send(publisher, 'h264_aac');
    await live;
    const texts = [
      await call('GET', 'api/streams/live/cam'),
      await call('GET', 'api/server'),
      await call('GET', 'metrics'),
      await call('GET', 'streams.json'),
    ];
    expect(texts.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(texts[1]?.text).toContain('"rtmpConnections":1');
    expect(texts[2]?.text).toContain('sluice_stream_frames_total{app="live",name="cam",kind="video"}');
    const refused = await call('DELETE', 'api/streams/live/cam', { authorization: 'Bearer x' });
    expect(refused.status).toBe(401);

    const kicked = await call('DELETE', 'api/streams/live/cam?block=600');
    expect(kicked).toEqual({
      status: 202,
      text: JSON.stringify({ app: 'live', name: 'cam', blockedSeconds: 600 }),
    });
    await publisher.closed;
    await expect(publish(gateway, 'cam')).rejects.toThrow(/blocked/);
    await (await publish(gateway, 'other')).stop();
    expect((await call('DELETE', 'api/streams/live/nobody')).status).toBe(404);

    await gateway.close();
    expect(JSON.stringify([...texts, refused, kicked, lines])).not.toContain(TOKEN);
    expect(JSON.stringify(lines)).toContain('ended by an operator');
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

  it('tell of segments that the disk does not take', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-gateway-'));
    try {
      const gateway = create({ storage: { type: 'disk', directory } });
      await gateway.start();
      rmSync(join(directory, 'segments'), { recursive: true });
      writeFileSync(join(directory, 'segments'), 'in the way');
      const told = once(gateway, 'storeError');
      const publisher = await publish(gateway, 'cam');
      send(publisher, 'h264_aac');
      expect(await told).toEqual([
        { app: 'live', name: 'cam', error: expect.objectContaining({ code: expect.stringMatching(/^E/) }) },
      ]);
      await publisher.stop();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('warn once about each thing to change', async () => {
    const gateway = create({ transcode: { codecs: { opus: 'drop' } } });
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
