import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publishTestPicture, start } from '../support/ffmpeg.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';
import { until } from '../support/until.ts';
import { Viewer } from '../support/viewer.ts';

const SECRET = 'n0t-f0r-the-l0g';

let gateway: TestGateway;
let strict: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
  strict = await startGateway({ publish: { takeover: 'reject' } });
});

afterAll(async () => {
  await Promise.all([gateway.stop(), strict.stop()]);
});

async function playable(url: string): Promise<void> {
  await until(`${url} to be playable`, async () => (await fetch(url)).ok);
}

describe.concurrent('ffmpeg', () => {
  test('publishes with a token, which stays out of names, answers and log', async () => {
    const publisher = publishTestPicture(gateway.rtmp(`tokened?token=${SECRET}`));
    await playable(gateway.hls('tokened'));
    const stream = await gateway.streamWhen('tokened', ({ state }) => state === 'live');
    expect(stream).toMatchObject({ app: 'live', name: 'tokened', hls: 'hls/tokened.m3u8' });
    // Who publishes is for operators, not for everybody.
    expect(stream.publisher).toMatchObject({ address: '127.0.0.1' });
    const shown = await (await fetch(`${gateway.httpUrl}streams.json`)).text();
    expect(shown).toContain('"tokened"');
    expect(shown).not.toContain('publisher');
    expect(gateway.log).toContainEqual(
      expect.objectContaining({
        fields: expect.objectContaining({
          peer: '127.0.0.1',
          encoder: expect.stringMatching(/FMLE|Lavf/),
        }),
      }),
    );
    await publisher.stop();
    await gateway.streamWhen('tokened', ({ state }) => state === 'grace');
    expect(JSON.stringify([gateway.log, stream, shown])).not.toContain(SECRET);
  });

  test('publishes to another application', async () => {
    const publisher = publishTestPicture(gateway.rtmp('cam', 'other'));
    const url = `${gateway.httpUrl}hls/other/cam.m3u8`;
    await playable(url);
    const viewer = new Viewer(url);
    await viewer.validator.poll();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(await gateway.stream('cam', 'other')).toMatchObject({ hls: 'hls/other/cam.m3u8' });
    expect((await fetch(gateway.hls('cam'))).status).toBe(404);
    await publisher.stop();
  });

  test('publishes to an application with two parts', async () => {
    const publisher = publishTestPicture(gateway.rtmp('cam', 'events/hall-2'));
    await playable(`${gateway.httpUrl}hls/events/hall-2/cam.m3u8`);
    await publisher.stop();
  });

  test('is refused as the second publisher, and the first does not notice', async () => {
    const first = await publishPaced({ port: strict.rtmpPort, key: 'mine', tags: readClip('h264_aac') });
    await playable(strict.hls('mine'));
    const viewer = new Viewer(strict.hls('mine'));
    viewer.watch();
    const second = await publishTestPicture(strict.rtmp('mine')).exited;
    expect(second.code).toBeGreaterThan(0);
    expect(second.stderr).toMatch(/already has a publisher|in use/i);
    expect(strict.log.map(({ fields }) => fields.code)).toContain('SLUICE_RTMP_NAME_IN_USE');
    await first.finished;
    viewer.validator.publisherAway(true);
    await first.stop();
    await viewer.leave();
    expect(viewer.validator.errors, viewer.validator.summary().text).toEqual([]);
    expect(viewer.parts).toHaveLength(1);
  });

  test('is told when the name is not allowed', async () => {
    const { code, stderr } = await publishTestPicture(gateway.rtmp('..%2fetc')).exited;
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(/not allowed/i);
  });
});

test('rtmpdump, a player, is turned away and does not hang', async () => {
  const publisher = await publishPaced({
    port: gateway.rtmpPort,
    key: 'watched',
    tags: readClip('h264_aac'),
  });
  const player = start('rtmpdump', ['-r', gateway.rtmp('watched'), '-o', '/dev/null', '--live', '-m', '20']);
  await until('rtmpdump to give up', () => !player.isRunning, 10_000);
  expect((await player.exited).code).not.toBe(0);
  expect(await gateway.stream('watched')).toMatchObject({ state: 'live' });
  await publisher.stop();
});
