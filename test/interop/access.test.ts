import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import { hashKey, newKey } from '../../src/access/stream-keys.ts';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { freePorts } from '../support/free-port.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { type SluiceProcess, startSluice } from '../support/sluice.ts';
import { until } from '../support/until.ts';
import { Viewer } from '../support/viewer.ts';

const KEY = newKey();
const SECRET = newKey();
const OLD_SECRET = newKey();
const CALLBACK_PASSWORD = newKey();
const LOOP = { tags: readClip('h264_aac'), loop: true };

const encoders: Running[] = [];
let callback: Server;
let callbackUrl: string;
const asked: string[] = [];
let gateway: TestGateway;

beforeAll(async () => {
  callback = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    asked.push(body);
    const { name } = JSON.parse(body);
    if (name === 'silent') return;
    response.writeHead(name === 'refused' ? 403 : 200).end();
  });
  await new Promise<void>((resolve) => callback.listen(0, '127.0.0.1', resolve));
  const address = callback.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  callbackUrl = `http://me:${CALLBACK_PASSWORD}@127.0.0.1:${port}/`;
  const asks = { url: callbackUrl, timeout: 2 };
  gateway = await startGateway({
    applications: {
      keys: { publish: { keys: [{ name: 'cam', key: hashKey(KEY) }] } },
      denied: { publish: { deny: ['127.0.0.0/8'] } },
      asked: { callback: asks },
      trusting: { callback: { ...asks, onError: 'allow' } },
      signed: { play: { secrets: [SECRET, OLD_SECRET] } },
    },
  });
});

afterAll(async () => {
  await Promise.all(encoders.map((encoder) => encoder.stop()));
  await gateway.stop();
  callback.closeAllConnections();
  await new Promise((resolve) => callback.close(resolve));
});

function encode(app: string, key: string): Running {
  const encoder = publishTestPicture(gateway.rtmp(key, app));
  encoders.push(encoder);
  return encoder;
}

async function expectRefusal(encoder: Running): Promise<void> {
  const { code, stderr } = await encoder.exited;
  expect(code).not.toBe(0);
  expect(stderr).toMatch(
    /Publish\.(Denied|BadName|Rejected)|Operation not permitted|Unauthori[sz]ed|rejected/i,
  );
}

describe.concurrent('who may publish', () => {
  test('with the right key, ffmpeg appears under the public name', async () => {
    encode('keys', KEY);
    const { app, name } = await until('the stream', () => gateway.stream('cam', 'keys'));
    expect([app, name]).toEqual(['keys', 'cam']);
  });

  test('with a wrong key, ffmpeg is told, and nothing is there', async () => {
    await expectRefusal(encode('keys', 'wrong-key'));
    expect(await gateway.stream('wrong-key', 'keys')).toBeUndefined();
    expect(gateway.log).toContainEqual({
      level: 'warn',
      message: 'publish refused: the stream key is not known',
      fields: { peer: '127.0.0.1', code: 'SLUICE_PUBLISH_DENIED' },
    });
  });

  test('from a denied address nobody', async () => {
    await expectRefusal(encode('denied', 'cam'));
    expect(await gateway.stream('cam', 'denied')).toBeUndefined();
  });

  test('the callback decides', async () => {
    encode('asked', 'allowed?user=me');
    await until('the allowed stream', () => gateway.stream('allowed', 'asked'));
    const question = asked.map((body) => JSON.parse(body)).find(({ name }) => name === 'allowed');
    expect(question).toEqual({
      action: 'publish',
      app: 'asked',
      name: 'allowed',
      address: '127.0.0.1',
      query: 'user=me',
    });
    await expectRefusal(encode('asked', 'refused'));
  });

  test('a callback that does not answer denies or allows, as configured', async () => {
    await expectRefusal(encode('asked', 'silent'));
    expect(gateway.log).toContainEqual({
      level: 'warn',
      message: 'publish refused: the callback could not be reached, failed or did not answer in time',
      fields: { peer: '127.0.0.1', code: 'SLUICE_CALLBACK_FAILED' },
    });
    encode('trusting', 'silent');
    await until('the stream', () => gateway.stream('silent', 'trusting'));
    const failures = gateway.log.filter(({ fields }) => fields.code === 'SLUICE_CALLBACK_FAILED');
    expect(failures.map(({ message }) => message)).toEqual(
      expect.arrayContaining([
        'the publish callback failed, so it was refused',
        'the publish callback failed, so it was allowed',
      ]),
    );
  });
});

test.concurrent('signed playback: the token leads from playlist to playlist, and segments need none', async () => {
  const publisher = await publishPaced({ port: gateway.rtmpPort, app: 'signed', key: 'cam', ...LOOP });
  const inSeconds = (seconds: number) => Date.now() / 1000 + seconds;
  const grant = { app: 'signed', name: 'cam', expires: inSeconds(600) };
  const token = signPlayback(SECRET, grant);
  const at = (path: string) => fetch(`${gateway.httpUrl}hls/signed/${path}`);
  const playlist = await until('the playlist', async () => {
    const response = await at(`cam.m3u8?token=${token}`);
    return response.ok && response;
  });
  expect(playlist.headers.get('cache-control')).toMatch(/^private/);
  const media = (await playlist.text()).split('\n').find((line) => line.startsWith('cam/media.m3u8'));
  expect(media).toBe(`cam/media.m3u8?token=${token}`);
  const listed = await at(String(media));
  expect(listed.headers.get('cache-control')).toMatch(/^private/);
  const list = await listed.text();
  expect(list).not.toContain(token);
  const segment = list.split('\n').find((line) => line.endsWith('.ts'));
  const body = await at(`cam/${segment}`);
  expect([body.status, body.headers.get('cache-control')]).toEqual([
    200,
    'public, max-age=31536000, immutable',
  ]);
  // A second viewer gets the same segment under the same name.
  const other = signPlayback(OLD_SECRET, { ...grant, expires: inSeconds(900) });
  expect(await (await at(`cam/media.m3u8?token=${other}&_HLS_msn=1`)).text()).toContain(segment);

  const refused = [
    '',
    '?token=',
    `?token=${signPlayback(SECRET, { ...grant, expires: inSeconds(-61) })}`,
    `?token=${signPlayback(SECRET, { ...grant, name: 'other' })}`,
    `?token=${signPlayback(newKey(), grant)}`,
  ];
  for (const query of refused) {
    for (const path of ['cam.m3u8', 'cam/media.m3u8']) {
      const answer = await at(path + query);
      expect(answer.status, path + query).toBe(403);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(await answer.json()).toMatchObject({ code: 'SLUICE_PLAY_DENIED' });
    }
  }
  publisher.abort();
});

test.concurrent('the address that a trusted proxy tells decides who may play, and nobody else can make it up', async () => {
  const play = { play: { deny: ['192.0.2.0/24'] } };
  const behind = await startGateway({ ...play, http: { trustProxy: ['127.0.0.1'] } });
  const alone = await startGateway(play);
  const publishers = await Promise.all(
    [behind, alone].map(({ rtmpPort }) => publishPaced({ port: rtmpPort, key: 'cam', ...LOOP })),
  );
  const status = async ({ hls }: TestGateway, from: string) =>
    (await fetch(hls('cam'), { headers: from === '' ? {} : { 'x-forwarded-for': from } })).status;
  for (const one of [behind, alone]) await until('the stream', async () => (await status(one, '')) === 200);
  expect(await status(behind, '192.0.2.7')).toBe(403);
  expect(await status(behind, '198.51.100.7')).toBe(200);
  // What a viewer says is before what the proxy saw.
  expect(await status(behind, '198.51.100.7, 192.0.2.7')).toBe(403);
  expect(await status(alone, '192.0.2.7')).toBe(200);
  for (const publisher of publishers) publisher.abort();
  await Promise.all([behind.stop(), alone.stop()]);
});

test.concurrent('a reload drops neither publisher nor viewer, nor an answer that is under way', async () => {
  const site = await startGateway();
  const publisher = await publishPaced({ port: site.rtmpPort, key: 'cam', ...LOOP });
  let lost = false;
  void publisher.closed.then(() => {
    lost = true;
  });
  await until('the stream', async () => (await fetch(site.hls('cam'))).ok);
  const viewer = new Viewer(site.hls('cam'));
  viewer.watch();
  await until('a segment', () => viewer.count >= 1 && viewer.complete);
  const [first] = viewer.segments;
  const answer = await fetch(`${site.httpUrl}hls/cam/${first?.uri}`);
  const { rtmpPort } = site;
  const changes = site.gateway.reconfigure({
    host: '127.0.0.1',
    rtmp: { port: 0, maxConnections: 500, idleTimeout: 20 },
    http: { port: 0 },
    publish: { takeover: 'reject', graceWindow: 5, maxStreams: 10 },
    hls: { segmentDuration: 4, listedSegments: 8 },
    ladder: ['audio'],
    storage: { maxAge: 10 },
  });
  expect(changes).toEqual({
    live: [
      ...['rtmp.maxConnections', 'rtmp.idleTimeout'],
      ...['publish.takeover', 'publish.graceWindow', 'publish.maxStreams', 'ladder'],
    ],
    forNew: ['hls.segmentDuration', 'hls.listedSegments'],
    restart: ['storage.maxAge'],
  });
  expect((await answer.arrayBuffer()).byteLength).toBe(first?.body.length);
  const seen = viewer.count;
  await until('two more segments', () => viewer.count >= seen + 2);
  await viewer.leave();
  expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
  expect(viewer.refusals).toEqual([]);
  // Segments of streams that there are stay as long as they were.
  expect(viewer.targetDurations).toHaveLength(1);
  expect([lost, site.rtmpPort]).toEqual([false, rtmpPort]);
  publisher.abort();
  await site.stop();
});

describe('the command', () => {
  let folder: string;
  let program: SluiceProcess | null = null;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-access-'));
  });

  afterAll(async () => {
    await program?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('takes a changed key list while a publisher stays live, and tells nobody a secret', async () => {
    const [rtmpPort = 0, httpPort = 0] = await freePorts(2);
    const apiToken = newKey();
    const next = newKey();
    const nearly = `${KEY.slice(0, -3)}xyz`;
    const nearlyToken = `${apiToken.slice(0, -3)}xyz`;
    const file = join(folder, 'sluice.json');
    const config = (keys: { name: string; key: string }[]) =>
      JSON.stringify({
        host: '127.0.0.1',
        rtmp: { port: rtmpPort },
        http: { port: httpPort },
        api: { token: apiToken },
        publish: { keys },
        play: { secrets: [SECRET, OLD_SECRET] },
        callback: { url: callbackUrl, actions: ['publish', 'play'] },
        storage: { type: 'disk', directory: join(folder, 'state') },
      });
    await writeFile(file, config([{ name: 'cam', key: hashKey(KEY) }]));
    const gone = startSluice(['--config', file]);
    program = gone;
    await gone.ready;
    const http = `http://127.0.0.1:${httpPort}/`;
    const collected: string[] = [];
    const collect = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(http + path, { headers });
      const text = await response.text();
      collected.push(JSON.stringify([...response.headers]), text);
      return { status: response.status, text };
    };

    const publisher = await publishPaced({ port: rtmpPort, key: `${KEY}?pass=${next}`, ...LOOP });
    let lost = false;
    void publisher.closed.then(() => {
      lost = true;
    });
    const token = signPlayback(SECRET, { app: 'live', name: 'cam', expires: Date.now() / 1000 + 600 });
    await until('the playlist', async () => (await fetch(`${http}hls/cam.m3u8?token=${token}`)).ok);

    await writeFile(file, config([{ name: 'cam2', key: hashKey(next) }]));
    await until('the reload', () => gone.log.some(({ msg }) => msg === 'configuration changed'));
    for (const key of [KEY, nearly]) {
      const refused = publishPaced({ port: rtmpPort, key, ...LOOP }).then(
        () => expect.unreachable('it was accepted'),
        (error: Error) => error,
      );
      const { message } = await refused;
      expect(message).not.toBe('');
      collected.push(message);
    }
    const second = await publishPaced({ port: rtmpPort, key: next, ...LOOP });
    expect(lost).toBe(false);
    await writeFile(file, config([]).replace(apiToken, 'short'));
    await until('the complaint', () => gone.log.some(({ msg }) => msg.includes('is not valid')));
    await writeFile(file, `${config([])}]: ${SECRET}`);
    await until('another', () => gone.log.filter(({ msg }) => msg.includes('is not valid')).length === 2);
    expect(lost).toBe(false);

    const bearer = { authorization: `Bearer ${apiToken}` };
    for (const path of ['api/streams', 'api/server', 'api/openapi.json', 'metrics', 'healthz', 'api/nothing'])
      for (const headers of [{}, bearer, { authorization: `Bearer ${nearlyToken}` }])
        await collect(path, headers);
    const tampered = token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    await collect(`hls/${KEY}.m3u8`);
    // The callback is asked about a viewer without a valid token, and lets this one in with one of his own.
    const entered = await fetch(`${http}hls/cam.m3u8?token=${tampered}`);
    expect(entered.status).toBe(200);
    const playlist = await entered.text();
    const minted = /media\.m3u8\?token=(\S+)/.exec(playlist)?.[1] ?? '';
    expect([minted.length > 20, minted === token, minted === tampered]).toEqual([true, false, false]);
    collected.push(JSON.stringify([...entered.headers]), playlist.replaceAll(minted, ''));
    const questions = asked.map((body) => JSON.parse(body)).filter(({ action }) => action === 'play');
    expect(questions).toContainEqual(
      expect.objectContaining({ app: 'live', name: 'cam', address: '127.0.0.1' }),
    );
    await collect(`hls/cam/nothing.ts?token=${token}`);
    await collect(`hls/nobody.m3u8?token=${token}`);
    await collect(`hls/%zz.m3u8?token=${token}`);
    const { text: media } = await collect(`hls/cam/media.m3u8?token=${token}`);
    expect(media).toContain('.ts');
    // The playlist of playlists leads on with the token that its viewer came with, and with nothing else.
    const multivariant = await (await fetch(`${http}hls/cam.m3u8?token=${token}`)).text();
    expect(multivariant).toContain(`cam/media.m3u8?token=${token}`);
    collected.push(multivariant.replaceAll(token, ''));
    await collect('streams.json');
    publisher.abort();
    second.abort();
    gone.signal('SIGTERM');
    const { code, stdout, stderr } = await gone.exited;
    expect(code).toBe(0);
    const files = await readdir(join(folder, 'state'), { recursive: true, withFileTypes: true });
    for (const entry of files) {
      collected.push(entry.name);
      if (/\.(json|m3u8)$/.test(entry.name))
        collected.push(await readFile(join(entry.parentPath, entry.name), 'utf8'));
    }
    // What was written down is there at all, or this would look at nothing.
    expect(collected.join('\n')).toContain('nextMediaSequence');
    expect(stderr).toContain('publish refused');
    const secrets = {
      ...{ KEY, next, nearly, SECRET, OLD_SECRET, CALLBACK_PASSWORD },
      ...{ token, tampered, minted, apiToken, nearlyToken },
    };
    for (const [name, secret] of Object.entries(secrets)) {
      expect(`${stdout}${stderr}`.includes(secret), `${name} in the log`).toBe(false);
      const leak = collected.find((text) => text.includes(secret));
      expect(leak, `${name} in what others see`).toBeUndefined();
    }
  });
});
