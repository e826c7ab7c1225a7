import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeyframeCopy } from '../../../src/live/keyframe-copy.ts';
import { SluiceError } from '../../../src/media/errors.ts';
import type { Packet } from '../../../src/media/packet.ts';
import type { PictureFfmpegFinder } from '../../../src/transcode/thumbnails/ffmpeg-source.ts';
import { makePictureMaker, type PictureMaker } from '../../../src/transcode/thumbnails/picture-maker.ts';
import { makeThumbnails, type Thumbnails } from '../../../src/transcode/thumbnails/thumbnails.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { readClip, Studio } from '../../support/publish-clip.ts';
import { until } from '../../support/until.ts';
import { type FakeFfmpeg, makeFakeFfmpeg } from './fake-ffmpeg.ts';

const SMALL = { width: 160, format: 'jpg' } as const;

let ffmpeg: FakeFfmpeg;
let clock: FakeClock;
let maker: PictureMaker;
let thumbnails: Thumbnails;
const keyframe = await newestKeyframe();

beforeEach(() => {
  ffmpeg = makeFakeFfmpeg();
  clock = new FakeClock();
  begin(ffmpeg.finder);
});

afterEach(async () => {
  await maker.close();
  ffmpeg.remove();
});

function begin(finder: PictureFfmpegFinder): void {
  maker = makePictureMaker({ ffmpeg: finder, clock });
  thumbnails = makeThumbnails({ maker, clock });
}

async function newestKeyframe(): Promise<Packet> {
  const studio = new Studio();
  await studio.publish(readClip('h264_aac'));
  const newest = studio.stream.newestKeyframe;
  if (newest === null) throw new Error('the clip has no keyframe');
  return newest.take();
}

const next = (packet: Packet): Packet => ({ ...packet, dts: packet.dts + 1 });
const stream = (packet: Packet | null = keyframe): { newestKeyframe: KeyframeCopy | null } => ({
  newestKeyframe: packet && new KeyframeCopy(packet),
});
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a picture', () => {
  it('is made once for all who ask, with the parameter sets before the keyframe', async () => {
    const live = stream();
    const pictures = await Promise.all([1, 2, 3].map(() => thumbnails.picture(live, SMALL)));
    expect(new Set(pictures).size).toBe(1);
    expect(pictures[0]?.type).toBe('image/jpeg');
    // In Annex B with delimiter and parameter sets it is longer than the packet.
    const bytes = Number(/picture of (\d+)/.exec(String(pictures[0]?.data))?.[1]);
    expect(bytes).toBeGreaterThan(keyframe.data.length);
    expect(ffmpeg.starts).toBe(1);
  });

  it('stays for five seconds, and as long as there is no newer keyframe', async () => {
    const live = stream();
    const first = await thumbnails.picture(live, SMALL);
    clock.advance(60_000);
    expect(await thumbnails.picture(live, SMALL)).toBe(first);
    live.newestKeyframe?.replace(next(keyframe));
    expect(await thumbnails.picture(live, SMALL)).not.toBe(first);
    expect(ffmpeg.starts).toBe(2);
    live.newestKeyframe?.replace(next(next(keyframe)));
    clock.advance(4999);
    await thumbnails.picture(live, SMALL);
    expect(ffmpeg.starts).toBe(2);
    clock.advance(1);
    await thumbnails.picture(live, SMALL);
    expect(ffmpeg.starts).toBe(3);
  });

  it('is of the keyframe there is when it is made, and who gets one that is there copies none', async () => {
    const live = stream();
    const take = vi.spyOn(live.newestKeyframe as KeyframeCopy, 'take');
    ffmpeg.behave('waits');
    const crowd = [stream(), stream()].map((other) => thumbnails.picture(other, SMALL));
    await until('two to run', () => ffmpeg.starts === 2);
    const waiting = thumbnails.picture(live, SMALL);
    expect(take).not.toHaveBeenCalled();
    live.newestKeyframe?.replace(next(keyframe));
    ffmpeg.release();
    const picture = await waiting;
    await Promise.all(crowd);
    expect(take).toHaveBeenCalledTimes(1);
    clock.advance(60_000);
    expect(await thumbnails.picture(live, SMALL)).toBe(picture);
    expect(take).toHaveBeenCalledTimes(1);
  });

  it('is another one for another stream, format or size, but not for every width', async () => {
    const live = stream();
    await thumbnails.picture(live, SMALL);
    await thumbnails.picture(live, { ...SMALL, width: 150 });
    expect(ffmpeg.starts).toBe(1);
    const webp = await thumbnails.picture(live, { ...SMALL, format: 'webp' });
    expect(webp?.type).toBe('image/webp');
    await thumbnails.picture(stream(), SMALL);
    expect(ffmpeg.starts).toBe(3);
    // The clip is smaller than both.
    await thumbnails.picture(live, { ...SMALL, width: 960 });
    await thumbnails.picture(live, { ...SMALL, width: 1280 });
    expect(ffmpeg.starts).toBe(4);
  });

  it('is missing without a keyframe, and costs nothing then', async () => {
    expect(await thumbnails.picture(stream(null), SMALL)).toBeNull();
    expect(ffmpeg.starts).toBe(0);
  });

  it('is the old one while too many wait', async () => {
    const live = stream();
    const first = await thumbnails.picture(live, SMALL);
    ffmpeg.behave('waits');
    const crowd = Array.from({ length: 40 }, () => thumbnails.picture(stream(), SMALL));
    const outcomes = Promise.allSettled(crowd);
    await until('two to run', () => ffmpeg.starts === 3);
    live.newestKeyframe?.replace(next(keyframe));
    clock.advance(60_000);
    expect(await thumbnails.picture(live, SMALL)).toBe(first);
    await maker.close();
    const refused = (await outcomes).filter(
      (outcome) => outcome.status === 'rejected' && outcome.reason.code === 'SLUICE_THUMBNAIL_BUSY',
    );
    expect(refused).toHaveLength(6);
    expect(ffmpeg.starts).toBe(3);
  });
});

describe('at most two run at a time', () => {
  it('and the others follow', async () => {
    ffmpeg.behave('waits');
    const crowd = Promise.all(Array.from({ length: 5 }, () => thumbnails.picture(stream(), SMALL)));
    await until('two to run', () => ffmpeg.starts === 2);
    ffmpeg.release();
    expect((await crowd).map((picture) => String(picture?.data))).toEqual(Array(5).fill('late'));
    expect(ffmpeg.starts).toBe(5);
  });
});

describe('a failure', () => {
  it('is remembered for two seconds for all sizes of the stream', async () => {
    ffmpeg.behave('fails');
    const broken = stream();
    await expect(thumbnails.picture(broken, SMALL)).rejects.toMatchObject({
      code: 'SLUICE_TRANSCODE_FAILED',
      message: expect.stringContaining('no frame!'),
    });
    ffmpeg.behave('works');
    await expect(thumbnails.picture(broken, SMALL)).rejects.toEqual(code('SLUICE_TRANSCODE_FAILED'));
    const other = { width: 320, format: 'webp' } as const;
    await expect(thumbnails.picture(broken, other)).rejects.toEqual(code('SLUICE_TRANSCODE_FAILED'));
    expect(ffmpeg.starts).toBe(1);
    expect(await thumbnails.picture(stream(), SMALL)).not.toBeNull();
    clock.advance(2000);
    expect(await thumbnails.picture(broken, SMALL)).not.toBeNull();
  });

  it.each([
    ['silent', 'made nothing'],
    ['floods', 'wrote more than'],
  ] as const)('%s', async (behaviour, message) => {
    ffmpeg.behave(behaviour);
    await expect(thumbnails.picture(stream(), SMALL)).rejects.toThrow(message);
  });

  it('hangs', async () => {
    ffmpeg.behave('hangs');
    const refused = expect(thumbnails.picture(stream(), SMALL)).rejects.toThrow('took longer than 5000 ms');
    await until('it to run', () => ffmpeg.starts === 1);
    clock.advance(5000);
    await refused;
  });

  it('that is not there, or cannot do it', async () => {
    const gone = { path: '/nowhere/ffmpeg', encoders: new Set(['mjpeg']) };
    begin({ known: gone, find: async () => gone });
    await expect(thumbnails.picture(stream(), SMALL)).rejects.toThrow('cannot be started');
    await expect(thumbnails.picture(stream(), { ...SMALL, format: 'webp' })).rejects.toEqual(
      code('SLUICE_FFMPEG_UNABLE'),
    );
    const missing = new SluiceError('SLUICE_FFMPEG_MISSING', 'nothing on PATH');
    begin({ known: null, find: () => Promise.reject(missing) });
    await expect(thumbnails.picture(stream(), SMALL)).rejects.toBe(missing);
  });
});

it('is stopped when the gateway closes', async () => {
  ffmpeg.behave('hangs');
  const refused = expect(thumbnails.picture(stream(), SMALL)).rejects.toThrow('was stopped');
  await until('it to run', () => ffmpeg.starts === 1);
  await maker.close();
  await refused;
  await expect(thumbnails.picture(stream(), SMALL)).rejects.toEqual(code('SLUICE_SHUTTING_DOWN'));
});
