import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FlvTag } from '../../src/formats/flv/tags.ts';
import { TAG_TYPE } from '../../src/formats/flv/tags.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { publishPaced, readClip } from '../support/paced-publisher.ts';

const SEGMENT_MS = 2000;
const PROMISED_MS = 200;
/** What timers, sockets and a busy test machine may add. */
const NOISE_MS = 100;
const LOOK_EVERY_MS = 10;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(async () => {
  await gateway.stop();
});

function isKeyframe({ type, body }: FlvTag): boolean {
  return type === TAG_TYPE.VIDEO && body[0] === 0x17 && body[1] === 1;
}

test.each(['h264_aac', 'h264b_aac', 'h264_only', 'h264_mp3'])(
  '%s is playable one segment and 200 ms after its first keyframe',
  async (name) => {
    let keyframeAt = Number.NaN;
    const publisher = await publishPaced({
      port: gateway.rtmpPort,
      key: name,
      tags: readClip(name),
      onSent: (tag) => {
        if (Number.isNaN(keyframeAt) && isKeyframe(tag)) keyframeAt = performance.now();
      },
    });
    const media = `${gateway.httpUrl}hls/${name}/media.m3u8`;
    let playableAfter = 0;
    for (;;) {
      const response = await fetch(media);
      playableAfter = performance.now() - keyframeAt;
      if (response.ok || playableAfter > 2 * SEGMENT_MS) break;
      await delay(LOOK_EVERY_MS);
    }
    expect(playableAfter).toBeLessThan(SEGMENT_MS + PROMISED_MS + NOISE_MS);
    expect((await fetch(gateway.hls(name))).status).toBe(200);
    await publisher.stop();
  },
);
