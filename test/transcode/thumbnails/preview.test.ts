import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SegmentInfo } from '../../../src/formats/m3u8/playlist.ts';
import { SegmentBody } from '../../../src/media/segment-body.ts';
import { firstPicture } from '../../../src/transcode/thumbnails/first-picture.ts';
import type { PictureMaker, PictureTask } from '../../../src/transcode/thumbnails/picture-maker.ts';
import { makePreviews, type PreviewedRendition } from '../../../src/transcode/thumbnails/preview.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { publishClip, readClip, Studio } from '../../support/publish-clip.ts';

const AUD = Buffer.from([0, 0, 0, 1, 9]);
let studio: Studio;
let audioOnly: Studio;

beforeAll(async () => {
  studio = await publishClip('h264_aac');
  audioOnly = new Studio();
  await audioOnly.publish(readClip('h264_aac').filter(({ type }) => type === 8));
});
afterAll(() => studio.packager.discard());

describe('the first picture of a segment', () => {
  it('is its first access unit and nothing else', () => {
    for (const { data } of studio.segments) {
      const picture = firstPicture(data);
      expect(picture?.subarray(0, 5)).toEqual(AUD);
      expect(Buffer.from(picture ?? []).lastIndexOf(AUD)).toBe(0);
      // SPS and IDR are there.
      for (const type of [0x67, 0x65]) expect(picture).toContain(type);
    }
  });

  it('is not there without video, or in what is no MPEG-TS', () => {
    const [sound] = audioOnly.segments;
    expect(firstPicture(sound?.data ?? new Uint8Array())).toBeNull();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
        const damaged = Buffer.from(studio.segments[0]?.data ?? []).subarray(0, 188 * 8);
        expect(() => firstPicture(bytes)).not.toThrow();
        damaged.set(bytes.subarray(0, damaged.length), bytes[0] ?? 0);
        expect(() => firstPicture(damaged)).not.toThrow();
      }),
    );
  });
});

describe('a preview', () => {
  let clock: FakeClock;
  let tasks: PictureTask[];
  let outcome: () => Promise<Buffer>;
  const maker: PictureMaker = {
    busy: false,
    make: async (task) => {
      tasks.push(task);
      await task.input();
      return outcome();
    },
    close: async () => {},
  };

  beforeEach(() => {
    clock = new FakeClock();
    tasks = [];
    outcome = async () => Buffer.from('sheet');
  });

  function rendition(count: number, changes: (index: number) => Partial<SegmentInfo> = () => ({})) {
    const asked: string[] = [];
    const [first] = studio.segments;
    if (first === undefined) throw new Error('the clip has no segments');
    const segments = Array.from({ length: count }, (_, index) => ({
      ...first,
      uri: `s-${index}.ts`,
      mediaSequence: index,
      duration: 180_000,
      ...changes(index),
    }));
    const described: PreviewedRendition & { window: PreviewedRendition['window'] } = {
      window: { ...studio.packager.rendition.window, segments },
      windowMs: count * 2000,
      variant: (uri) => studio.packager.rendition.variant(uri),
      segment: async (uri) => {
        asked.push(uri);
        return SegmentBody.of(first.data);
      },
    };
    return { described, asked };
  }

  it('has a cue for each segment, from the first one listed', async () => {
    const { described, asked } = rendition(12);
    const preview = makePreviews({ maker, clock }).current(described);
    const cues = preview?.vtt('?token=x').split('\n\n') ?? [];
    expect(cues[0]).toBe('WEBVTT');
    expect(cues[1]).toMatch(/^NOTE 00:00:00\.000 is \d{4}-/);
    expect(cues.slice(2)).toHaveLength(12);
    const sprite = `preview-${preview?.id}.jpg?token=x`;
    const [w, h] =
      /#xywh=0,0,(\d+),(\d+)/
        .exec(cues[2] ?? '')
        ?.slice(1)
        .map(Number) ?? [];
    expect([w, h].every((size) => size !== undefined && size > 0 && size <= 160)).toBe(true);
    expect(cues[2]).toBe(`00:00:00.000 --> 00:00:02.000\n${sprite}#xywh=0,0,${w},${h}`);
    // The eleventh begins the second row.
    expect(cues[12]).toBe(`00:00:20.000 --> 00:00:22.000\n${sprite}#xywh=0,${h},${w},${h}`);
    expect((await preview?.sprite())?.data.toString()).toBe('sheet');
    expect(tasks[0]?.args.join(' ')).toContain('tile=10x2');
    expect(asked).toHaveLength(12);
  });

  it('has sixty tiles at most, which neighbours share', async () => {
    const { described, asked } = rendition(1800);
    const preview = makePreviews({ maker, clock }).current(described);
    const places = preview?.vtt('').match(/#xywh=\S+/g) ?? [];
    expect(places).toHaveLength(1800);
    expect(new Set(places).size).toBe(60);
    await preview?.sprite();
    expect(asked).toHaveLength(60);
    expect(preview?.vtt('')).toContain('00:59:58.000 --> 01:00:00.000');
  });

  it('is made once, and again when the window has moved and five seconds are over', async () => {
    const previews = makePreviews({ maker, clock });
    const { described } = rendition(6);
    const first = previews.current(described);
    expect(first).not.toBeNull();
    await Promise.all([first?.sprite(), first?.sprite()]);
    expect(tasks).toHaveLength(1);
    clock.advance(60_000);
    expect(previews.current(described)).toBe(first);
    Object.assign(described, rendition(7).described);
    const second = previews.current(described);
    expect(second).not.toBe(first);
    Object.assign(described, rendition(8).described);
    clock.advance(4999);
    expect(previews.current(described)).toBe(second);
    clock.advance(1);
    expect(previews.current(described)).not.toBe(second);
    // Who has read the names of the old one still gets it.
    expect(previews.byId(described, first?.id ?? '')).toBe(first);
    expect(previews.byId(described, '0123456789abcdef')).toBeNull();
  });

  it('leaves a segment without a keyframe the picture before it', async () => {
    const { described, asked } = rendition(3, (index) => ({ independent: index !== 1 }));
    await makePreviews({ maker, clock }).current(described)?.sprite();
    expect(asked).toEqual(['s-0.ts', 's-2.ts']);
    const input = Buffer.from((await tasks[0]?.input()) ?? []);
    const picture = firstPicture(studio.segments[0]?.data ?? new Uint8Array()) ?? new Uint8Array();
    expect(input).toEqual(Buffer.concat([picture, picture, picture]));
  });

  it('is missing without segments, without video, and when the segments are gone', async () => {
    const previews = makePreviews({ maker, clock });
    expect(previews.current(new Studio().packager.rendition)).toBeNull();
    expect(previews.current(audioOnly.packager.rendition)).toBeNull();
    const { described } = rendition(2);
    const gone = { ...described, segment: async () => null };
    expect(await previews.current(gone)?.sprite()).toBeNull();
  });

  it('tries again two seconds after a failure', async () => {
    const preview = makePreviews({ maker, clock }).current(rendition(2).described);
    outcome = () => Promise.reject(new Error('broken'));
    for (let times = 0; times < 3; times++) await expect(preview?.sprite()).rejects.toThrow('broken');
    expect(tasks).toHaveLength(1);
    outcome = async () => Buffer.from('sheet');
    clock.advance(2000);
    expect((await preview?.sprite())?.data.toString()).toBe('sheet');
  });
});
