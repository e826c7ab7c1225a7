import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import type { Packet } from '../../../src/media/packet.ts';
import type { VideoTrack } from '../../../src/media/track.ts';
import type { HlsPackagerOptions } from '../../../src/packaging/hls-packager.ts';
import { offeredVariants } from '../../../src/packaging/variants.ts';
import type { Ffmpeg } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import { makeJobLimit } from '../../../src/transcode/job-limit.ts';
import { Ladder } from '../../../src/transcode/ladder/ladder.ts';
import type { LadderEvent, LadderSettings } from '../../../src/transcode/ladder/ladder-options.ts';
import type { TrackEncoder, TrackEncoderOptions } from '../../../src/transcode/track-encoder.ts';
import { isVideo, readClip, repeated, Studio, withKeyframes } from '../../support/publish-clip.ts';

const FFMPEG: Ffmpeg = {
  path: '/bin/ffmpeg',
  origin: 'PATH',
  version: { major: 5, minor: 1, text: '5.1' },
  encoders: new Set(['libx264']),
  decoders: new Set(),
  filters: new Set(),
};

/** An encoder whose pictures are those of the source, smaller. */
class FakeEncoder implements TrackEncoder {
  readonly options: TrackEncoderOptions;
  readonly written: Packet[] = [];
  readonly pid = 1;
  readonly queuedBytes = 0;
  readonly #tracks: VideoTrack[];
  /** Pictures that stay inside. */
  delay: number;
  #out = 0;
  readonly #given = new Set<Packet>();
  state: 'running' | 'finished' | 'stopped' | 'gone' = 'running';

  constructor(options: TrackEncoderOptions, delay: number) {
    this.options = options;
    this.delay = delay;
    const input = options.input as VideoTrack;
    this.#tracks = options.outputs.map((output) => ({
      ...input,
      ...(output.kind === 'video' ? { width: output.width ?? 0, height: output.height ?? 0 } : {}),
    }));
  }

  write(packet: Packet): void {
    this.written.push(packet);
    this.#emit(this.written.length - this.delay);
  }

  finish(): void {
    this.#emit(this.written.length);
    this.state = 'finished';
    this.exit(null);
  }

  stop(): void {
    this.state = 'stopped';
    this.exit(null);
  }

  /** As if it was killed. */
  exit(error: SluiceError | null): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    queueMicrotask(() => this.options.onExit({ error, stderr: '' }));
  }

  #emit(until: number): void {
    if (this.state !== 'running') return;
    for (; this.#out < until; this.#out++) {
      // In the order of showing, as encoders without B-frames give them.
      const waiting = this.written.filter((packet) => !this.#given.has(packet));
      const packet = waiting.reduce((first, other) => (other.pts < first.pts ? other : first));
      this.#given.add(packet);
      this.#tracks.forEach((track, output) => {
        this.options.onPacket(output, { ...packet, track });
      });
    }
  }
}

function rig(
  changes: Partial<LadderSettings> & {
    readonly maxJobs?: number;
    readonly delay?: number;
    readonly find?: () => Promise<Ffmpeg>;
    /** The process before. */
    readonly after?: Studio;
  } = {},
) {
  const studio = new Studio(changes.after === undefined ? {} : { packager: restart(changes.after) });
  const encoders: FakeEncoder[] = [];
  const jobs = makeJobLimit(() => changes.maxJobs ?? 8);
  const faults = { start: 0 };
  const slowness = { delay: changes.delay ?? 10 };
  const events: LadderEvent[] = [];
  const settings: LadderSettings = {
    entries: ['160p', 'audio'],
    when: 'always',
    idleMs: 30_000,
    encoder: 'libx264',
    preset: 'veryfast',
    niceness: 0,
    threads: 0,
    ...changes,
  };
  const ladder = new Ladder({
    clock: studio.clock,
    packager: studio.packager,
    settings: () => settings,
    ffmpeg: { find: changes.find ?? (async () => FFMPEG), known: FFMPEG, passedOver: [] },
    jobs,
    startEncoder: (options) => {
      if (faults.start-- > 0) throw new Error('cannot be started');
      const encoder = new FakeEncoder(options, slowness.delay);
      encoders.push(encoder);
      return encoder;
    },
    resolveEncoder: async (_ffmpeg, name) => name,
    frameRate: () => 25,
    onEvent: (event) => events.push(event),
  });
  studio.stream.addSink(ladder);
  const listed = (name: string) => studio.packager.aligned.get(name)?.current?.window.segments ?? [];
  const source = () => studio.packager.rendition.window.segments;
  const kinds = () => events.map(({ kind }) => kind);
  return { studio, ladder, encoders, events, kinds, listed, source, slowness, jobs, faults };
}

/** What the packager of the next process begins with. */
function restart({ packager, store }: Studio): Partial<HlsPackagerOptions> {
  const { rendition, alignedStates: resumeAligned, nextMediaSequence: firstMediaSequence } = packager;
  return {
    ...{ store, resume: rendition.state, resumeAligned, firstMediaSequence },
    segmentName: (number, name = 's') => `${name}-again-${number}.ts`,
  };
}

const CLIP = readClip('h264_aac');
const LONG = repeated(CLIP, 3);

describe('Ladder', () => {
  it('cuts its renditions where the source is cut, with the same numbers and dates', async () => {
    const { studio, ladder, listed, source } = rig();
    await studio.publish(LONG);
    await studio.close();
    await ladder.settled();
    expect(source().length).toBeGreaterThan(5);
    for (const name of ['160p', 'audio']) {
      const bare = ({ uri: _, bytes: __, ...rest }: { uri: string; bytes: number }) => rest;
      expect(listed(name).map(bare)).toEqual(source().slice(-listed(name).length).map(bare));
      expect(listed(name).at(-1)?.mediaSequence).toBe(source().at(-1)?.mediaSequence);
      expect(studio.packager.aligned.get(name)?.current?.window).toMatchObject({
        ended: true,
        targetDuration: studio.packager.rendition.window.targetDuration,
        discontinuitySequence: studio.packager.rendition.window.discontinuitySequence,
      });
      for (const { uri } of listed(name)) expect(await studio.packager.segment(uri)).not.toBeNull();
    }
  });

  it('encodes pictures as they were, however long they waited', async () => {
    const { studio, encoders } = rig();
    await studio.publish(LONG);
    await studio.close();
    const written = encoders.flatMap((encoder) => encoder.written);
    expect(written.length).toBeGreaterThan(250);
    const sent = new Map(studio.packets.map(({ track, dts, data }) => [`${track.id} ${dts}`, data]));
    for (const { track, dts, data } of written) {
      expect(Buffer.compare(data, sent.get(`${track.id} ${dts}`) ?? Buffer.of())).toBe(0);
    }
  });

  it('offers them beside the source, sound without pictures', async () => {
    const { studio, ladder } = rig();
    await studio.publish(LONG, { stay: true });
    const variants = offeredVariants(studio.packager, (file) => file);
    expect(variants.map(({ uri, resolution, codecs }) => [uri, resolution?.height, codecs.length])).toEqual([
      ['media.m3u8', 360, 2],
      ['media-160p.m3u8', 160, 2],
      ['media-audio.m3u8', undefined, 1],
    ]);
    expect(ladder.views().map(({ name, state }) => [name, state])).toEqual([
      ['160p', 'live'],
      ['audio', 'live'],
    ]);
  });

  it('goes on after a crash with what was left unfinished, and says so in all variants', async () => {
    const { studio, ladder, encoders, listed, source, events } = rig();
    const middle = LONG.findIndex(({ at }) => at > 15_000);
    const ingest = await studio.publish(LONG.slice(0, middle), { stay: true });
    const before = listed('160p').length;
    expect(before).toBeGreaterThan(3);
    encoders[0]?.exit(new SluiceError('SLUICE_TRANSCODE_FAILED', 'killed'));
    await studio.send(
      ingest,
      LONG.slice(middle).map((tag) => ({ ...tag, at: tag.at - 15_000 })),
    );
    await studio.end(ingest);
    await studio.close();
    await ladder.settled();
    expect(encoders).toHaveLength(2);
    expect(events.find(({ kind }) => kind === 'failed')).toMatchObject({ retryMs: 200 });
    const numbers = listed('160p').map(({ mediaSequence }) => mediaSequence);
    expect(numbers).toEqual(source().map(({ mediaSequence }) => mediaSequence));
    const marks = (segments: typeof studio.segments | ReturnType<typeof source>) =>
      segments.filter(({ discontinuity }) => discontinuity).map(({ mediaSequence }) => mediaSequence);
    expect(marks(studio.segments)).toHaveLength(1);
    expect(marks(listed('160p'))).toEqual(marks(source()));
  });

  it('goes on after a restart with the renditions that were there', async () => {
    const before = rig();
    await before.studio.publish(CLIP, { stay: true });
    before.ladder.end();
    await before.ladder.finished();
    before.studio.packager.end();
    await before.studio.packager.settled();
    const names = ['160p', 'audio'];
    const old = names.map((name) => before.listed(name));
    expect(old.map((segments) => segments.length)).toEqual([5, 5]);

    const { studio, ladder, listed, source } = rig({ after: before.studio });
    expect(names.map(listed)).toEqual(old);
    expect(offeredVariants(studio.packager, (file) => file)).toHaveLength(3);
    await studio.publish(CLIP);
    await studio.close();
    await ladder.settled();
    const bare = ({ uri: _, bytes: __, ...rest }: { uri: string; bytes: number }) => rest;
    for (const [index, name] of names.entries()) {
      expect(listed(name).map(bare)).toEqual(source().slice(-listed(name).length).map(bare));
      expect(listed(name).filter(({ discontinuity }) => discontinuity)).toHaveLength(1);
      // Some are of the process before.
      expect(old[index]).toContainEqual(listed(name)[0]);
      expect(studio.packager.aligned.get(name)?.current?.window.ended).toBe(true);
    }
  });

  it('after a restart renditions go that are not configured any more, or that nobody asks for', async () => {
    const before = rig();
    await before.studio.publish(CLIP, { stay: true });
    const other = rig({ after: before.studio, entries: ['240p'] });
    expect([...other.studio.packager.aligned.keys()]).toEqual(['160p', 'audio']);
    await other.studio.publish(CLIP, { stay: true });
    expect([...other.studio.packager.aligned.keys()]).toEqual(['240p']);
    const unwatched = rig({ after: before.studio, entries: ['160p'], when: 'watched' });
    await unwatched.studio.publish(LONG, { stay: true });
    expect(unwatched.encoders).toHaveLength(0);
    expect([...unwatched.studio.packager.aligned.keys()]).toEqual([]);
  });

  it('after a restart renditions end when no publisher comes', async () => {
    const before = rig();
    await before.studio.publish(CLIP, { stay: true });
    const { studio, ladder } = rig({ after: before.studio });
    studio.packager.close();
    ladder.close();
    await ladder.settled();
    await studio.packager.settled();
    const windows = [...studio.packager.aligned.values()].map(({ current }) => current?.window);
    expect(windows.map((window) => [window?.ended, window?.segments.length])).toEqual([
      [true, 4],
      [true, 4],
    ]);
  });

  it('begins when somebody asks, and ends when nobody does any more', async () => {
    const { studio, ladder, encoders, kinds } = rig({ when: 'watched', idleMs: 8000, entries: ['160p'] });
    const ingest = await studio.publish(CLIP, { stay: true });
    expect(encoders).toHaveLength(0);
    expect(ladder.wanted('160p')).toBe(true);
    expect(ladder.wanted('8k')).toBe(false);
    await studio.send(
      ingest,
      CLIP.map((tag) => ({ ...tag, timestamp: tag.timestamp + 10_000 })),
    );
    await studio.send(
      ingest,
      CLIP.map((tag) => ({ ...tag, timestamp: tag.timestamp + 20_000 })),
    );
    expect(encoders.map(({ state }) => state)).toEqual(['gone']);
    expect(kinds()).toEqual(['started', 'stopped']);
    expect([...studio.packager.aligned.keys()]).toEqual([]);
    expect(offeredVariants(studio.packager, (file) => file)).toHaveLength(1);
  });

  it('waits longer each time when ffmpeg cannot work, and the source does not notice', async () => {
    const { studio, encoders, events, source } = rig({ delay: 1000 });
    const ingest = studio.connect();
    for (const tag of LONG) {
      await studio.send(ingest, [{ ...tag, at: 0 }]);
      studio.clock.advance(tag.at - (studio.clock.now() - 1_700_000_000_000));
      encoders.at(-1)?.exit(new SluiceError('SLUICE_TRANSCODE_FAILED', 'cannot'));
    }
    const waits = events.flatMap((event) => (event.kind === 'failed' ? event.retryMs : []));
    expect(waits.slice(0, 5)).toEqual([200, 400, 800, 1600, 3200]);
    expect(source().length).toBeGreaterThan(5);
    expect(source().some(({ discontinuity }) => discontinuity)).toBe(false);
    expect(studio.sinkFaults).toEqual([]);
  });

  it('comes back soon as long as each ffmpeg makes a segment, however many crash', async () => {
    const { studio, encoders, events, listed } = rig();
    const ingest = studio.connect();
    const newest = () => listed('160p').at(-1)?.mediaSequence ?? 0;
    let made = newest();
    for (const tag of repeated(CLIP, 6)) {
      await studio.send(ingest, [{ ...tag, at: 0 }]);
      studio.clock.advance(tag.at - (studio.clock.now() - 1_700_000_000_000));
      if (newest() <= made) continue;
      made = newest();
      encoders.at(-1)?.exit(new SluiceError('SLUICE_TRANSCODE_FAILED', 'killed'));
    }
    const waits = events.flatMap((event) => (event.kind === 'failed' ? event.retryMs : []));
    expect(waits.length).toBeGreaterThan(6);
    expect(Math.max(...waits)).toBeLessThanOrEqual(800);
  });

  it('a picture that lies beside no picture of the source ends the encoder, not the stream', async () => {
    const { studio, encoders, events, source } = rig({ entries: ['160p'] });
    const ingest = await studio.publish(CLIP.slice(0, 200), { stay: true });
    const [encoder] = encoders;
    const wrong = { ...(encoder?.written[0] as Packet), pts: 1 };
    encoder?.options.onPacket(0, wrong);
    expect(encoder?.state).toBe('gone');
    expect(events.at(-1)).toMatchObject({ kind: 'failed', error: { code: 'SLUICE_TRANSCODE_FAILED' } });
    await studio.end(ingest);
    expect(source().length).toBeGreaterThan(0);
  });

  it('leaves out the largest rendition when encoding does not keep up, and tries it again', async () => {
    const { studio, encoders, events, ladder, slowness } = rig({ entries: ['240p', '160p'], delay: 250 });
    const ingest = studio.connect();
    await studio.send(ingest, repeated(CLIP, 3));
    expect(events.filter(({ kind }) => kind === 'shed')).toMatchObject([{ rung: '240p' }]);
    expect(encoders.at(-1)?.options.outputs.map(({ name }) => name)).toEqual(['160p']);
    expect(ladder.views().map(({ state }) => state)[0]).toBe('shed');
    slowness.delay = 5;
    for (const encoder of encoders) encoder.delay = 5;
    await studio.send(
      ingest,
      repeated(CLIP, 16).map((tag) => ({ ...tag, timestamp: tag.timestamp + 30_000 })),
    );
    expect(events.filter(({ kind }) => kind === 'back')).toMatchObject([{ rung: '240p' }]);
    expect(encoders.at(-1)?.options.outputs.map(({ name }) => name)).toEqual(['240p', '160p']);
  });

  it('waits for a free job and leaves what an ffmpeg cannot encode', async () => {
    const { studio, encoders, events } = rig({
      maxJobs: 0,
      entries: ['160p', { name: 'odd', size: '120p', encoder: 'h264_qsv' }],
    });
    await studio.publish(CLIP, { stay: true });
    expect(encoders).toHaveLength(0);
    expect(events).toMatchObject([{ kind: 'failed', error: { code: 'SLUICE_TRANSCODE_LIMIT' } }]);
    const other = rig({ entries: ['160p', { name: 'odd', size: '120p', encoder: 'h264_qsv' }] });
    await other.studio.publish(CLIP, { stay: true });
    expect(other.encoders[0]?.options.outputs.map(({ name }) => name)).toEqual(['160p']);
    expect(other.ladder.views()).toMatchObject([
      { name: '160p', state: 'live' },
      { name: 'odd', state: 'failed', error: expect.stringContaining('h264_qsv') },
    ]);
  });

  it('holds no more of the source than it needs', async () => {
    const { studio, encoders } = rig({ entries: ['160p'], delay: 100_000 });
    const ingest = await studio.publish(repeated(CLIP, 6), { stay: true });
    const [encoder] = encoders;
    expect(encoder?.written.length).toBeGreaterThan(1000);
    await studio.end(ingest);
  });

  it('a reconnect begins a new encoder when the old one has given all', async () => {
    const { studio, ladder, encoders, listed, source } = rig({ entries: ['160p'] });
    await studio.publish(CLIP);
    await studio.publish(CLIP);
    await studio.close();
    await ladder.settled();
    expect(encoders).toHaveLength(2);
    expect(listed('160p').map(({ mediaSequence, discontinuity }) => [mediaSequence, discontinuity])).toEqual(
      source().map(({ mediaSequence, discontinuity }) => [mediaSequence, discontinuity]),
    );
  });

  it('follows cuts where the source has no keyframe, and pictures that are decoded in another order', async () => {
    const { studio, ladder, kinds, listed, source } = rig({ entries: ['160p'] });
    const clip = repeated(readClip('h264b_aac'), 3);
    await studio.publish(withKeyframes(clip, (keyframe) => keyframe === 0));
    await studio.close();
    await ladder.settled();
    expect(source().filter(({ independent }) => !independent).length).toBeGreaterThan(0);
    expect(kinds()).toEqual(['started']);
    expect(listed('160p').map(({ mediaSequence }) => mediaSequence)).toEqual(
      source().map(({ mediaSequence }) => mediaSequence),
    );
  });

  it('keeps its room among the jobs until the process is gone', async () => {
    const { studio, encoders, jobs } = rig({ entries: ['160p'] });
    await studio.publish(CLIP, { stay: true });
    const [encoder] = encoders;
    if (encoder === undefined) throw new Error('no encoder');
    encoder.finish = () => {};
    await studio.close();
    expect(jobs.running).toBe(1);
    encoder.exit(null);
    await new Promise((resolve) => setImmediate(resolve));
    expect(jobs.running).toBe(0);
  });

  it('an encoder that cannot even be started takes no room', async () => {
    const { studio, encoders, jobs, faults, kinds } = rig({ entries: ['160p'] });
    faults.start = 2;
    await studio.publish(LONG, { stay: true });
    expect(kinds()).toEqual(['failed', 'failed', 'started']);
    expect(encoders).toHaveLength(1);
    expect(jobs.running).toBe(1);
  });

  it('makes room for a conversion while it still looks for ffmpeg, and asks again', async () => {
    let found: (ffmpeg: Ffmpeg) => void = () => {};
    const finding = new Promise<Ffmpeg>((resolve) => {
      found = resolve;
    });
    const { studio, encoders, jobs } = rig({ entries: ['160p'], maxJobs: 1, find: () => finding });
    const ingest = await studio.publish(CLIP, { stay: true });
    let granted = false;
    const giveBack = jobs.acquire('conversion', () => {
      granted = true;
    });
    expect(granted).toBe(true);
    const later = LONG.slice(CLIP.length);
    const half = Math.floor(later.length / 2);
    const start = later[0]?.at ?? 0;
    await studio.send(
      ingest,
      later.slice(0, half).map((tag) => ({ ...tag, at: tag.at - start })),
    );
    found(FFMPEG);
    await new Promise((resolve) => setImmediate(resolve));
    expect(encoders).toHaveLength(0);
    giveBack();
    await new Promise((resolve) => setImmediate(resolve));
    expect(encoders).toHaveLength(1);
    expect(jobs.running).toBe(1);
  });

  it('does not keep what a store that hangs does not take', async () => {
    const { studio, ladder } = rig({ entries: ['160p'] });
    const ingest = await studio.publish(CLIP, { stay: true });
    const put = studio.store.put.bind(studio.store);
    let goOn: () => void = () => {};
    const hanging = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    studio.store.put = async (name, data) => {
      await hanging;
      await put(name, data);
    };
    const most: number[] = [];
    for (const tag of repeated(CLIP, 6).slice(CLIP.length)) {
      studio.clock.advance(Math.max(0, 1_700_000_000_000 + tag.at - studio.clock.now()));
      if (isVideo(tag)) ingest.video(tag.timestamp, tag.body);
      else ingest.audio(tag.timestamp, tag.body);
      most.push(ladder.heldBytes);
    }
    const clipBytes = CLIP.filter(isVideo).reduce((bytes, tag) => bytes + tag.body.length, 0);
    expect(Math.max(...most)).toBeLessThan(2.5 * clipBytes);
    goOn();
    await studio.end(ingest);
    await studio.close();
    await ladder.settled();
  });
});
