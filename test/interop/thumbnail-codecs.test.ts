import { afterAll, describe, expect, it } from 'vitest';
import { makePictureMaker } from '../../src/transcode/thumbnails/picture-maker.ts';
import { makePreviews } from '../../src/transcode/thumbnails/preview.ts';
import { makeThumbnails } from '../../src/transcode/thumbnails/thumbnails.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { run } from '../support/ffmpeg.ts';
import { readClip, Studio } from '../support/publish-clip.ts';

const clock = new FakeClock();
const found = { path: 'ffmpeg', encoders: new Set(['mjpeg', 'libwebp']) };
const maker = makePictureMaker({ ffmpeg: { known: found, find: async () => found }, clock });
afterAll(() => maker.close());

/** `codec,width,height` of a picture, and how different its darkest and lightest parts are. */
async function look(picture: Uint8Array): Promise<{ shape: string; contrast: number }> {
  const probe = ['-v', 'error', '-f', 'image2pipe', '-show_entries', 'stream=codec_name,width,height'];
  const shape = await run('ffprobe', [...probe, '-of', 'csv=p=0', '-i', 'pipe:0'], { stdin: picture });
  const stats = ['signalstats', 'metadata=print:file=-'].join(',');
  const seen = await run(
    'ffmpeg',
    ['-v', 'error', '-f', 'image2pipe', '-i', 'pipe:0', '-vf', stats, '-f', 'null', '-'],
    { stdin: picture },
  );
  const value = (name: string) => Number(new RegExp(`signalstats\\.${name}=(\\d+)`).exec(seen.stdout)?.[1]);
  return { shape: shape.stdout.trim(), contrast: value('YMAX') - value('YMIN') };
}

async function publish(clip: string): Promise<Studio> {
  const studio = new Studio();
  await studio.publish(readClip(clip));
  return studio;
}

describe('a picture of', () => {
  it.each(['h264_aac', 'h264b_aac', 'hevc_aac', 'av1_aac', 'vp9_aac', 'flv1_mp3', 'h264_reschange'])(
    '%s',
    async (clip) => {
      const { stream } = await publish(clip);
      const thumbnails = makeThumbnails({ maker, clock });
      const track = stream.newestKeyframe?.track;
      const width = track?.kind === 'video' && track.width > 0 ? Math.min(track.width, 160) : 160;
      for (const [format, codec] of [
        ['jpg', 'mjpeg'],
        ['webp', 'webp'],
      ] as const) {
        const picture = await thumbnails.picture(stream, { width: 160, format });
        const { shape, contrast } = await look(picture?.data ?? new Uint8Array());
        expect(shape).toMatch(new RegExp(`^${codec},${width},\\d+$`));
        expect(contrast).toBeGreaterThan(50);
      }
    },
  );

  it('what is listed: one tile for each segment', async () => {
    const { packager, segments } = await publish('h264_aac');
    const preview = makePreviews({ maker, clock }).current(packager.rendition);
    const sprite = await preview?.sprite();
    const tiles = preview?.vtt('').match(/#xywh=\S+/g) ?? [];
    expect(tiles).toHaveLength(segments.length);
    const [, , width = 0, height = 0] = (tiles[0] ?? '').replace('#xywh=', '').split(',').map(Number);
    const { shape, contrast } = await look(sprite?.data ?? new Uint8Array());
    expect(shape).toBe(`mjpeg,${width * segments.length},${height}`);
    expect(contrast).toBeGreaterThan(50);
  });
});
