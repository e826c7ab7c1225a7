import { afterAll, expect, test } from 'vitest';
import { createGateway } from '../../src/gateway.ts';
import { publishRtmp } from '../../src/servers/rtmp/rtmp-publisher.ts';
import { makeFakeFfmpegs } from '../support/fake-ffmpeg.ts';
import { isVideo, readClip } from '../support/publish-clip.ts';
import { until } from '../support/until.ts';

const fakes = makeFakeFfmpegs();
afterAll(() => fakes.remove());

test('close keeps to its 5 s when an ffmpeg hangs and does not end when asked to', async () => {
  const gateway = createGateway({
    host: '127.0.0.1',
    rtmp: { port: 0 },
    http: { port: 0 },
    ladder: ['160p'],
    transcode: { when: 'always', ffmpeg: fakes.misbehaving('hangForGood') },
  });
  try {
    const { rtmpPort, httpPort } = await gateway.start();
    const publisher = await publishRtmp({ host: '127.0.0.1', port: rtmpPort ?? 0, app: 'live', key: 'cam' });
    const started = new Promise<void>((resolve) =>
      gateway.on('rendition', ({ event }) => event.kind === 'started' && resolve()),
    );
    const tags = readClip('h264_aac');
    // Time is in the timestamps. A ladder begins with a segment, and the search for ffmpeg takes a moment.
    const half = Math.floor(tags.length / 2);
    const send = (part: typeof tags) => {
      for (const tag of part) {
        if (isVideo(tag)) publisher.video(tag.timestamp, tag.body);
        else publisher.audio(tag.timestamp, tag.body);
      }
    };
    send(tags.slice(0, half));
    await started;
    send(tags.slice(half));
    await until('segments', () => (gateway.streams()[0]?.mediaSequence ?? null) !== null, 10_000);
    // Viewers are waited for as well.
    expect((await fetch(`http://127.0.0.1:${httpPort}/hls/cam.m3u8`)).status).toBe(200);
    const beganAt = performance.now();
    await gateway.close();
    expect(performance.now() - beganAt).toBeLessThan(5000);
  } finally {
    await gateway.close();
  }
}, 40_000);
