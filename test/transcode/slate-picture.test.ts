import { expect, it } from 'vitest';
import { makeStill, pictureShape } from '../../src/codecs/h264-still.ts';
import type { SluiceError } from '../../src/media/errors.ts';
import type { VideoTrack } from '../../src/media/track.ts';
import { SlatePictures, slateArguments } from '../../src/transcode/slate-picture.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { publishClip } from '../support/publish-clip.ts';

async function trackOf(clip: string): Promise<VideoTrack> {
  const { epochs } = await publishClip(clip);
  const track = epochs[0]?.tracks[0];
  if (track?.kind !== 'video') throw new Error('no video');
  return track;
}

function rig(path: string) {
  const failures: [source: string, error: SluiceError][] = [];
  const clock = new FakeClock();
  const pictures = new SlatePictures({
    clock,
    ffmpeg: async () => ({ path }),
    niceness: () => 0,
    onFailure: (source, error) => failures.push([source, error]),
  });
  return { clock, failures, pictures };
}

it('makes a picture in the parameter sets of the track, once', async () => {
  const track = await trackOf('h264b_aac');
  const { pictures, failures } = rig('ffmpeg');
  expect(pictures.get('bars', track)).toBeNull();
  pictures.prepare('bars', track);
  pictures.prepare('bars', track);
  await pictures.settled();
  expect(failures).toEqual([]);
  const picture = pictures.get('bars', track);
  if (picture === null || track.h264 === null) throw new Error('no picture');
  expect(picture[4] ?? 0).toBe(0x65);
  expect(makeStill(picture, track.h264)?.repeat).not.toBeNull();
  await pictures.close();
});

it.each([
  ['an ffmpeg that is not there', '/nowhere/ffmpeg', 'bars', 'h264_aac', /ENOENT/],
  ['an ffmpeg that is something else', '/bin/true', 'bars', 'h264_aac', /no picture/],
  ['an image that is not there', 'ffmpeg', '/nowhere/image.png', 'h264_aac', /cannot be read.*ENOENT/],
  ['an image that is none', 'ffmpeg', import.meta.filename, 'h264_aac', /no picture/],
  ['a track of another codec', 'ffmpeg', 'bars', 'hevc_aac', /hevc/],
])('%s is told once, and there is no picture', async (_name, path, source, clip, reason) => {
  const track = await trackOf(clip);
  const { clock, pictures, failures } = rig(path);
  for (let i = 0; i < 3; i++) pictures.prepare(source, track);
  await pictures.settled();
  expect(failures).toHaveLength(1);
  expect(failures[0]?.[0]).toBe(source);
  expect(failures[0]?.[1].message).toMatch(reason);
  expect(pictures.get(source, track)).toBeNull();
  clock.advance(60_000);
  pictures.prepare(source, track);
  await pictures.settled();
  expect(failures).toHaveLength(2);
  await pictures.close();
});

it('a path is never an address or an option', async () => {
  const { h264 } = await trackOf('h264_aac');
  if (h264 === null) throw new Error('no H.264');
  const args = slateArguments('http://example.org/a.png', pictureShape(h264));
  expect(args[args.indexOf('-i') + 1]).toBe('file:http://example.org/a.png');
  expect(args[args.indexOf('-protocol_whitelist') + 1]).toBe('file');
});
