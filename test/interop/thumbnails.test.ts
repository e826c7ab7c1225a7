import { afterAll, beforeAll, expect, test } from 'vitest';
import { signPlayback } from '../../src/access/playback-token.ts';
import { publishTestPicture, type Running } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const SECRET = 'a secret that is long enough for a signature';
const JPEG = [0xff, 0xd8, 0xff];

let gateway: TestGateway;
const publishers: Running[] = [];

beforeAll(async () => {
  gateway = await startGateway({
    publish: { graceWindow: 0 },
    applications: { members: { play: { secrets: [SECRET] } } },
  });
});
afterAll(async () => {
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  await gateway.stop();
});

function publish(name: string, app?: string): Running {
  const publisher = publishTestPicture(gateway.rtmp(name, app));
  publishers.push(publisher);
  return publisher;
}

const get = (path: string) => fetch(`${gateway.httpUrl}hls/${path}`);
const bytes = async (response: Response) => new Uint8Array(await response.arrayBuffer());

/** Until the first picture has arrived it is not found. */
function picture(path: string): Promise<Response> {
  return until(`the picture ${path}`, async () => {
    const response = await get(path);
    expect([200, 404]).toContain(response.status);
    return response.ok && response;
  });
}

test('pictures of a live stream, and the last one after its end', async () => {
  const publisher = publish('cam');
  const first = await picture('cam/thumbnail.jpg?width=200');
  expect(first.headers.get('content-type')).toBe('image/jpeg');
  expect(first.headers.get('cache-control')).toBe('public, max-age=5');
  expect(first.headers.get('access-control-allow-origin')).toBe('*');
  expect([...(await bytes(first)).subarray(0, 3)]).toEqual(JPEG);

  const webp = await get('cam/thumbnail.webp');
  expect(webp.headers.get('content-type')).toBe('image/webp');
  expect(String.fromCharCode(...(await bytes(webp)).subarray(8, 12))).toBe('WEBP');
  expect((await get('cam/thumbnail.jpg?width=9')).status).toBe(400);

  await gateway.streamWhen('cam', ({ targetDuration }) => targetDuration !== null);
  const preview = await get('cam/preview.vtt');
  const sprite = /^preview-\S+(?=#xywh=0,0,160,120$)/m.exec(await preview.text())?.[0] ?? 'none';
  expect([...(await bytes(await get(`cam/${sprite}`))).subarray(0, 3)]).toEqual(JPEG);

  await publisher.stop();
  await gateway.streamWhen('cam', ({ state }) => state === 'ended');
  expect((await get('cam/thumbnail.jpg?width=200')).status).toBe(200);
});

test('pictures are only for those who may play', async () => {
  publish('door', 'members');
  const token = signPlayback(SECRET, { app: 'members', name: 'door', expires: Date.now() / 1000 + 600 });
  const found = await picture(`members/door/thumbnail.jpg?token=${token}`);
  expect(found.headers.get('cache-control')).toBe('private, max-age=5');
  expect((await get('members/door/thumbnail.jpg')).status).toBe(403);
  expect((await get('members/door/preview.vtt')).status).toBe(403);
  expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([]);
});
