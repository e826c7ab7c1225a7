import { describe, expect, it } from 'vitest';
import { renderMediaPlaylist } from '../../src/formats/m3u8/playlist.ts';
import { PackagingFigures } from '../../src/packaging/packaging-figures.ts';
import { encoded, picture } from '../media/support.ts';
import { parsePlaylist } from '../support/hls-validator/m3u8.ts';
import { analyseSegment, type TransportSegment } from '../support/hls-validator/ts.ts';
import {
  type ClipTag,
  isAudio,
  isFrame,
  isHeader,
  isVideo,
  publishClip,
  readClip,
  repeated,
  restamped,
  Studio,
  withKeyframes,
} from '../support/publish-clip.ts';

const CLIP = readClip('h264b_aac');

/** M8 warns of segments without a picture, M9 of holes in the input; both are what the test sent. */
const WARNED = ['M8'];

/** What must hold for whatever was published; returns the analysed segments for more. */
function expectSound(studio: Studio, { ignore = [] as string[] } = {}): TransportSegment[] {
  expect(studio.sinkFaults).toEqual([]);
  const media = studio.segments.map(({ data }) => analyseSegment(data));
  const problems = media.flatMap((segment, i) =>
    segment.problems
      .filter(({ check }) => !WARNED.includes(check) && !ignore.includes(check))
      .map(({ check, message }) => `${studio.segments[i]?.uri} ${check} ${message}`),
  );
  expect(problems).toEqual([]);
  let sequence = studio.segments[0]?.mediaSequence ?? 0;
  for (const segment of studio.segments) {
    expect(segment.mediaSequence).toBe(sequence++);
    expect(Math.round(segment.duration / 90_000)).toBeLessThanOrEqual(studio.packager.targetDuration ?? 0);
    expect(segment.bytes).toBe(segment.data.length);
  }
  const counters = new Map<number, number>();
  media.forEach((segment, i) => {
    for (const [pid, { first, last }] of segment.counters) {
      const before = counters.get(pid);
      if (before !== undefined)
        expect(first, `${studio.segments[i]?.uri} PID ${pid}`).toBe((before + 1) & 15);
      counters.set(pid, last);
    }
  });
  let [first, discontinuities] = [0, 0];
  for (const window of studio.windows) {
    expect(parsePlaylist(renderMediaPlaylist(window)).problems.filter((p) => p.severity === 'error')).toEqual(
      [],
    );
    expect(window.targetDuration).toBe(studio.packager.targetDuration);
    expect(window.segments[0]?.mediaSequence).toBeGreaterThanOrEqual(first);
    expect(window.discontinuitySequence).toBeGreaterThanOrEqual(discontinuities);
    first = window.segments[0]?.mediaSequence ?? first;
    discontinuities = window.discontinuitySequence;
  }
  return media;
}

const seconds = (studio: Studio) =>
  studio.segments.map(({ duration }) => Number((duration / 90_000).toFixed(2)));
const discontinuous = (studio: Studio) =>
  studio.segments.filter((s) => s.discontinuity).map((s) => s.mediaSequence);

function videoFrames(media: readonly TransportSegment[]): number {
  return media.reduce((sum, { video }) => sum + (video?.units.length ?? 0), 0);
}

function audioFrames(media: readonly TransportSegment[]): number {
  return media.reduce((sum, { audio }) => sum + (audio?.packets ?? []).reduce((n, p) => n + p.frames, 0), 0);
}

describe('clips', () => {
  it.each([
    ['h264_aac', ['avc1.64001e', 'mp4a.40.2'], { width: 640, height: 360 }, 25],
    ['h264_44k', ['avc1.64000d', 'mp4a.40.2'], { width: 320, height: 180 }, 25],
    ['h264_mp3', ['avc1.64000d', 'mp4a.40.34'], { width: 320, height: 180 }, 25],
    ['h264_only', ['avc1.64000d'], { width: 320, height: 180 }, 25],
    ['bbb', ['avc1.42c01e', 'mp4a.40.2'], { width: 640, height: 360 }, 25],
    ['ts_wrap32', ['avc1.64000d', 'mp4a.40.2'], { width: 320, height: 180 }, 25],
    ['aac_only', ['mp4a.40.2'], null, null],
  ])('%s: every frame, once, in sound segments', async (name, codecs, resolution, frameRate) => {
    const studio = await publishClip(name);
    const media = expectSound(studio);
    const tags = readClip(name).filter(isFrame);
    expect(videoFrames(media)).toBe(tags.filter(isVideo).length);
    // Audio before the first picture is left out.
    const firstVideo = tags.find(isVideo)?.at ?? 0;
    expect(audioFrames(media)).toBe(tags.filter((tag) => isAudio(tag) && tag.at >= firstVideo).length);
    expect(discontinuous(studio)).toEqual([]);
    expect(studio.segments.every(({ independent }) => independent)).toBe(true);
    expect(studio.packager.rendition.variant('x')).toMatchObject({ uri: 'x', codecs, resolution, frameRate });
    expect(studio.warnings).toEqual([]);
    expect(studio.damage).toEqual([]);
  });

  it.each([
    ['hevc_aac', ['track-not-in-hls'], ['mp4a.40.2']],
    ['av1_opus', ['track-not-in-hls', 'track-not-in-hls'], null],
    ['vp9_aac', ['track-not-in-hls'], ['mp4a.40.2']],
    ['flv1_mp3', ['track-not-in-hls'], ['mp4a.40.34']],
    ['h264_opus', ['track-not-in-hls'], ['avc1.64000d']],
    ['h264_ac3', ['track-not-in-hls'], ['avc1.64000d']],
    ['multitrack_av', ['track-not-in-hls', 'track-not-in-hls'], ['avc1.64001e', 'mp4a.40.2']],
  ])('%s: what HLS cannot carry is announced', async (name, warnings, codecs) => {
    const studio = await publishClip(name);
    expectSound(studio);
    expect(studio.warnings.map(({ code }) => code)).toEqual(warnings);
    expect(studio.packager.rendition.variant('x')?.codecs ?? null).toEqual(codecs);
    const tracks = studio.epochs[0]?.tracks ?? [];
    expect(
      tracks.filter((track) => studio.packager.carries(track)).map(({ codecString }) => codecString),
    ).toEqual(codecs ?? []);
  });
});

describe('segments', () => {
  it('are as long as a 2 s GOP, and begin at its keyframes', async () => {
    const studio = await publishClip(repeated(CLIP, 3));
    const media = expectSound(studio);
    expect(seconds(studio).slice(0, -1)).toEqual(Array(14).fill(2));
    expect(studio.packager.targetDuration).toBe(2);
    expect(media.every(({ video }) => video?.units[0]?.keyframe)).toBe(true);
    expect(studio.windows.at(-1)?.segments).toHaveLength(6);
    expect(studio.windows.at(-1)?.ended).toBe(true);
  });

  it('PROGRAM-DATE-TIME is the wall clock within a frame, and never overlaps', async () => {
    const studio = await publishClip(repeated(CLIP, 6));
    expectSound(studio);
    studio.segments.forEach((segment, i) => {
      expect(Math.abs(segment.programDateTime - (1_700_000_000_000 + i * 2000))).toBeLessThan(40);
      const before = studio.segments[i - 1];
      if (before !== undefined)
        expect(
          Math.abs(segment.programDateTime - before.programDateTime - before.duration / 90),
        ).toBeLessThan(3);
    });
  });

  it('follow a GOP of 8.33 s', async () => {
    // 8 s and 8.6 s in turn.
    const studio = await publishClip(withKeyframes(repeated(CLIP, 5), (k) => k % 4 === 0));
    expectSound(studio);
    expect(studio.packager.targetDuration).toBe(8);
    expect(seconds(studio)[0]).toBe(8);
    expect(studio.warnings.map(({ code }) => code)).toContain('keyframe-interval-long');
  });

  it('uneven keyframes: cut at those in reach, forced where none comes in time', async () => {
    // Keyframes at 0, 2, 4, 14, 16, 30, 40.
    const kept = new Set([0, 1, 2, 7, 8, 15, 20]);
    const studio = await publishClip(withKeyframes(repeated(CLIP, 5), (k) => kept.has(k)));
    const media = expectSound(studio);
    expect(studio.packager.targetDuration).toBe(2);
    const keyframes = media.map(({ video }) => video?.units[0]?.keyframe ?? false);
    expect(studio.segments.map(({ independent }) => independent)).toEqual(keyframes);
    let start = 0;
    const starts = seconds(studio).map((length) => {
      start += length;
      return Math.round(start - length);
    });
    // 14 and 40 come so soon after a forced cut that they stay inside its segment.
    expect(starts.filter((_, i) => keyframes[i])).toEqual([0, 2, 4, 16, 30]);
    expect(studio.warnings.map(({ code }) => code)).toContain('segments-without-keyframe');
    expect(videoFrames(media)).toBe(1250);
    expect(discontinuous(studio)).toEqual([]);
  });

  it('no keyframe but the first', async () => {
    const studio = await publishClip(withKeyframes(repeated(CLIP, 4), (k) => k === 0));
    const media = expectSound(studio);
    expect(studio.packager.targetDuration).toBe(10);
    expect(studio.segments.map(({ independent }) => independent)).toEqual([true, false, false, false]);
    expect(videoFrames(media)).toBe(1000);
  });

  it('go on with the sound when the picture stops, and come back to it', async () => {
    const studio = await publishClip(
      repeated(CLIP, 3).filter((tag) => isAudio(tag) || tag.at < 5000 || tag.at >= 20_000),
    );
    const media = expectSound(studio);
    expect(audioFrames(media)).toBe(1410);
    expect(media.every(({ pcrs }) => pcrs.length > 10)).toBe(true);
    expect(discontinuous(studio)).toEqual([]);
    expect(media.at(-2)?.video?.units[0]?.keyframe).toBe(true);
  });

  it('a hole in everything: time goes on after it, marked', async () => {
    const studio = await publishClip(repeated(CLIP, 3).filter((tag) => tag.at < 9000 || tag.at >= 16_000));
    expectSound(studio);
    expect(studio.epochs.map(({ reason }) => reason)).toEqual(['start', 'timestamp-jump']);
    expect(discontinuous(studio)).toHaveLength(1);
    const after = studio.segments.find(({ discontinuity }) => discontinuity);
    expect(Math.abs((after?.programDateTime ?? 0) - 1_700_000_016_000)).toBeLessThan(100);
  });

  it.each([
    ['ahead', 2000],
    ['behind', 2 ** 32 - 2000],
  ])('audio stamped two seconds %s of its video', async (_name, offset) => {
    const tags = restamped(repeated(CLIP, 3), (tag) => 100_000 + tag.timestamp + (isAudio(tag) ? offset : 0));
    const studio = await publishClip(tags, { announce: { video: true, audio: true } });
    // The very first segments and the rest at the end are skewed; what lies between is not.
    expect(studio.segments.slice(2, -2).flatMap(({ data }) => analyseSegment(data).problems)).toEqual([]);
    expect(studio.segments.slice(0, -2).every(({ independent }) => independent)).toBe(true);
  });

  it('headers repeated with timestamp 0 all over the stream change nothing', async () => {
    const headers = CLIP.filter(isHeader).map((tag) => ({ ...tag, timestamp: 0 }));
    const tags = repeated(CLIP, 2).flatMap((tag, i) =>
      i % 20 === 19 ? [...headers.map((h) => ({ ...h, at: tag.at })), tag] : [tag],
    );
    const [plain, noisy] = [await publishClip(repeated(CLIP, 2)), await publishClip(tags)];
    expect(noisy.epochs).toHaveLength(1);
    expect(
      noisy.segments.map(({ data }) =>
        Buffer.from(data).equals(plain.segments.shift()?.data ?? Buffer.alloc(0)),
      ),
    ).toEqual(Array(10).fill(true));
  });

  it('empty and damaged messages cost themselves only', async () => {
    const bad: Partial<ClipTag>[] = [
      { type: 9, body: Buffer.alloc(0) },
      { type: 9, body: Buffer.of(0x27, 1, 0) },
      { type: 8, body: Buffer.of(0xaf) },
      { type: 8, body: Buffer.of(0xaf, 1) },
      { type: 9, body: Buffer.of(0x17, 0, 0, 0, 0, 1, 2) },
      { type: 9, body: Buffer.of(0x17, 2, 0, 0, 0) },
    ];
    const tags = repeated(CLIP, 1).flatMap((tag, i) =>
      i > 5 && i % 30 === 0 ? [{ ...tag, timestamp: 0, ...bad[(i / 30) % bad.length] }, tag] : [tag],
    );
    const studio = await publishClip(tags);
    const media = expectSound(studio);
    expect(videoFrames(media)).toBe(250);
    expect(studio.damage.length).toBe(studio.stream.stats.damagedMessages);
    expect(new Set(studio.damage.map(({ code }) => code))).toEqual(
      new Set(['SLUICE_FLV_MALFORMED', 'SLUICE_CODEC_MALFORMED']),
    );
    expect(studio.epochs).toHaveLength(1);
  });
});

describe('breaks', () => {
  it('a new resolution: DISCONTINUITY, new parameter sets, new RESOLUTION', async () => {
    const studio = await publishClip('h264_reschange');
    const media = expectSound(studio);
    expect(discontinuous(studio)).toEqual([103]);
    expect(media.map(({ video }) => video?.sequence?.width)).toEqual([
      640, 640, 640, 320, 320, 320, 320, 320,
    ]);
    expect(studio.packager.rendition.variant('x')).toMatchObject({
      codecs: ['avc1.64000d', 'mp4a.40.2'],
      resolution: { width: 320, height: 180 },
    });
  });

  it('a new audio rate: DISCONTINUITY at the next keyframe', async () => {
    const studio = await publishClip('aac_ratechange');
    const media = expectSound(studio);
    expect(discontinuous(studio)).toEqual([103]);
    expect(media.map(({ audio }) => audio?.sampleRate)).toEqual([
      48000, 48000, 48000, 44100, 44100, 44100, 44100, 44100,
    ]);
    expect(videoFrames(media)).toBe(400);
  });

  it('a reconnect: numbers go on, DISCONTINUITY, the date follows the clock', async () => {
    const studio = new Studio();
    await studio.publish(CLIP);
    expect(studio.stream.state).toBe('grace');
    studio.clock.advance(30_000);
    await studio.publish(restamped(CLIP, (tag) => tag.timestamp + 5_000_000));
    studio.clock.advance(10_000);
    await studio.publish(readClip('h264_aac'));
    await studio.close();
    expectSound(studio);
    expect(studio.epochs.map(({ reason }) => reason)).toEqual(['start', 'reconnect', 'reconnect']);
    expect(discontinuous(studio)).toEqual([105, 110]);
    expect(studio.segments.map(({ mediaSequence }) => mediaSequence)).toEqual(
      Array.from({ length: 15 }, (_, i) => 100 + i),
    );
    const at = (studio.segments[5]?.programDateTime ?? 0) - (studio.segments[4]?.programDateTime ?? 0);
    expect(at).toBeGreaterThan(31_900);
    expect(at).toBeLessThan(32_200);
    expect(studio.windows.at(-1)?.discontinuitySequence).toBe(1);
  });

  it('discontinuities that leave the window are counted', async () => {
    const studio = new Studio();
    for (let i = 0; i < 4; i++) await studio.publish(CLIP);
    await studio.close();
    expectSound(studio);
    expect(studio.windows.at(-1)?.discontinuitySequence).toBe(2);
    expect(studio.windows.at(-1)?.segments.filter((s) => s.discontinuity)).toHaveLength(1);
  });
});

describe('figures', () => {
  it('of the newest segment follow it, and listing takes the time that the store takes', async () => {
    const figures = new PackagingFigures();
    const studio = new Studio({ packager: { figures } });
    expect(studio.packager.rendition.newest).toBeNull();
    const put = studio.store.put.bind(studio.store);
    studio.store.put = async (name, data) => {
      await put(name, data);
      studio.clock.advance(30);
    };
    await studio.publish(CLIP);
    expect(figures.listing.count).toBe(studio.segments.length);
    expect(figures.listing.sum).toBeCloseTo(0.03 * studio.segments.length, 6);
    const newest = studio.segments.at(-1);
    expect(studio.packager.rendition.newest?.duration).toBeCloseTo((newest?.duration ?? 0) / 90_000, 6);
    expect(studio.packager.rendition.newest?.lateness).toBeGreaterThan(-0.1);
    expect(studio.packager.rendition.newest?.lateness).toBeLessThan(0.5);
  });

  it('of all segments count each once, and those of renditions not', async () => {
    const figures = new PackagingFigures();
    const studio = new Studio({ packager: { figures } });
    const aligned = studio.packager.align('720p');
    const nothing = { video: null, audio: null, pictures: [], sound: [], closedAt: 0 };
    studio.packager.observe({
      segmentBegan: () => {},
      segmentListed: (_number, segment) => aligned.add(segment, nothing),
      segmentLost: () => {},
    });
    await studio.publish(CLIP);
    await aligned.settled();
    expect(figures.listing.count).toBe(2 * studio.segments.length);
    expect(figures.duration.count).toBe(studio.segments.length);
    const seconds = studio.segments.reduce((sum, { duration }) => sum + duration / 90_000, 0);
    expect(figures.duration.sum).toBeCloseTo(seconds, 6);
    expect(figures.lateness.count).toBe(studio.segments.length);
    expect(figures.lateness.sum).toBeGreaterThanOrEqual(0);
    expect(figures.lateness.sum).toBeLessThan(0.5 * studio.segments.length);
  });

  it('of media that comes faster than it plays are not late', async () => {
    const figures = new PackagingFigures();
    const studio = new Studio({ packager: { figures } });
    const atOnce = CLIP.map((tag) => ({ ...tag, at: 0 }));
    await studio.publish(atOnce);
    expect(studio.packager.rendition.newest?.lateness).toBeLessThan(-1);
    expect(figures.lateness.count).toBe(studio.segments.length);
    expect(figures.lateness.sum).toBeLessThan(0.1);
    expect(figures.lateness.sum).toBeGreaterThanOrEqual(0);
  });
});

describe('the store', () => {
  it('that fails once loses one segment: numbers have no hole, the next segment says DISCONTINUITY', async () => {
    const figures = new PackagingFigures();
    const studio = new Studio({ packager: { figures } });
    const tags = repeated(CLIP, 3);
    const ingest = await studio.publish(
      tags.filter(({ at }) => at < 9000),
      { stay: true },
    );
    studio.store.failingPuts = 1;
    await studio.send(
      ingest,
      tags.filter(({ at }) => at >= 9000).map((tag) => ({ ...tag, at: tag.at - 9000 })),
    );
    await studio.end(ingest);
    await studio.close();
    expect(studio.storeErrors).toEqual(['s-104.ts']);
    expect(studio.segments.map(({ uri }) => uri)).not.toContain('s-104.ts');
    expect(studio.segments.map(({ mediaSequence }) => mediaSequence)).toEqual(
      Array.from({ length: 14 }, (_, i) => 100 + i),
    );
    expect(studio.segments.filter((s) => s.discontinuity).map(({ uri }) => uri)).toEqual(['s-105.ts']);
    const spans = studio.windows.map((window) => window.segments.map((s) => s.mediaSequence));
    for (const span of spans) expect(span).toEqual(span.map((_, i) => (span[0] ?? 0) + i));
    expect(studio.packager.nextMediaSequence).toBe(114);
    expect(figures).toMatchObject({ segmentsLost: 1, storeErrors: 1, listing: { count: 14 } });
  });

  it('that loses segments is what the stream warns of, until it has taken all for ten seconds', async () => {
    const studio = new Studio();
    const codes = () => studio.warnings.map(({ code, severity }) => [code, severity]);
    const tags = repeated(CLIP, 3);
    const between = (from: number, to: number) =>
      tags.flatMap((tag) => (tag.at >= from && tag.at < to ? [{ ...tag, at: tag.at - from }] : []));
    const ingest = await studio.publish(between(0, 9000), { stay: true });
    expect(codes()).toEqual([]);
    studio.store.failingPuts = 2;
    await studio.send(ingest, between(9000, 11_000));
    expect(codes()).toEqual([['segments-lost', 'problem']]);
    await studio.send(ingest, between(11_000, 13_000));
    expect(codes()).toEqual([['segments-lost', 'problem']]);
    await studio.send(ingest, between(13_000, 21_000));
    expect(codes()).toEqual([['segments-lost', 'problem']]);
    await studio.send(ingest, between(21_000, 26_000));
    expect(codes()).toEqual([]);
    expect(studio.storeErrors).toEqual(['s-104.ts', 's-105.ts']);
    await studio.end(ingest);
    await studio.close();
  });

  it('that cannot read says so, counts it, and has the segment when asked again', async () => {
    const figures = new PackagingFigures();
    const studio = new Studio({ packager: { figures } });
    await studio.publish(CLIP);
    const uri = studio.segments[0]?.uri ?? '';
    studio.store.failingGets = 1;
    await expect(studio.packager.segment(uri)).rejects.toMatchObject({ code: 'SLUICE_STORE_FAILED' });
    expect(studio.storeErrors).toEqual([uri]);
    expect(figures).toMatchObject({ segmentsLost: 0, storeErrors: 1 });
    const body = await studio.packager.segment(uri);
    expect(body?.length).toBe(studio.segments[0]?.bytes);
    body?.release();
    await studio.close();
  });

  it('that cannot delete costs no segment and no DISCONTINUITY', async () => {
    const studio = new Studio();
    studio.store.failingDeletes = 1;
    await studio.publish(repeated(CLIP, 5));
    await studio.close();
    expect(studio.warnings).toEqual([]);
    expect(studio.storeErrors).toEqual(['s-100.ts']);
    expect(studio.segments).toHaveLength(25);
    expect(discontinuous(studio)).toEqual([]);
  });

  it('keeps unlisted segments for a while, then forgets them; discard leaves nothing', async () => {
    const studio = new Studio();
    const ingest = await studio.publish(repeated(CLIP, 5), { stay: true });
    const fetchable = await Promise.all(
      Array.from({ length: 25 }, (_, i) => studio.packager.segment(`s-${100 + i}.ts`)),
    );
    const oldest = fetchable.findIndex((data) => data !== null);
    const first = (studio.windows.at(-1)?.segments[0]?.mediaSequence ?? 0) - 100;
    expect(first - oldest).toBeGreaterThanOrEqual(6);
    expect(first - oldest).toBeLessThanOrEqual(9);
    expect(await studio.packager.segment('nothing.ts')).toBeNull();
    expect(await studio.store.get('live/test/s-100.ts')).toBeNull();
    await studio.end(ingest);
    await studio.close();
    await studio.packager.discard();
    for (let i = 100; i < 126; i++) expect(await studio.store.get(`live/test/s-${i}.ts`)).toBeNull();
  });
});

it('nothing is listed before the first segment is stored', async () => {
  const studio = new Studio();
  await studio.publish(
    CLIP.filter(({ at }) => at < 1500),
    { stay: true },
  );
  expect(studio.packager.rendition.window.segments).toEqual([]);
  expect(studio.packager.rendition.variant('x')).toBeNull();
  expect(studio.packager.targetDuration).toBeNull();
  await studio.close();
  expect(studio.segments).toHaveLength(1);
  expect(studio.packager.rendition.window).toMatchObject({ ended: true, targetDuration: 2 });
  expect(studio.packager.rendition.windowMs).toBeGreaterThan(1400);
});

it('x264 says how far apart keyframes will get, and the target duration believes it', async () => {
  const options = 'keyint=200 keyint_min=20 scenecut=40 ';
  const tags = CLIP.map((tag) => {
    const at = tag.body.indexOf('keyint=');
    if (!isVideo(tag) || at < 0) return tag;
    const body = Buffer.from(tag.body);
    body.write(options, at, 'latin1');
    return { ...tag, body };
  });
  const studio = await publishClip(tags);
  expectSound(studio);
  expect(studio.packager.targetDuration).toBe(8);
});

describe('publishers that would take more than their share', () => {
  it('a stream that holds too many bytes fails, whatever its timestamps say', () => {
    const studio = new Studio({ packager: { maxBytes: 200_000 } });
    const publication = studio.stream.publish({ address: '', encoder: null, dismiss: () => {} });
    publication.announce({ video: true, audio: false });
    const [key] = encoded({ seconds: 1, audio: null });
    for (let n = 0; n < 400 && key !== undefined; n++) {
      publication.push({ ...key, timestamp: n < 20 ? n * 40 : 800, data: picture(n % 10 === 0, 2000) });
    }
    expect(studio.sinkFaults).toEqual([expect.objectContaining({ code: 'SLUICE_RTMP_LIMIT' })]);
  });
});

describe('a few frames per second', () => {
  it.each([
    [1, 5],
    [2, 9],
    [0.5, 3],
  ])('%f fps with a keyframe every %i frames keep the target duration', async (fps, gop) => {
    const studio = new Studio();
    const publication = studio.stream.publish({ address: '', encoder: null, dismiss: () => {} });
    publication.announce({ video: true, audio: false });
    for (const frame of encoded({ seconds: 60, fps, gop, audio: null })) {
      publication.push(frame);
      await studio.packager.settled();
    }
    publication.end();
    await studio.packager.settled();
    const { segments, targetDuration } = studio.packager.rendition.window;
    expect(segments.length).toBeGreaterThanOrEqual(3);
    for (const { duration } of segments) expect(duration / 90_000).toBeLessThanOrEqual(targetDuration + 0.5);
  });
});
