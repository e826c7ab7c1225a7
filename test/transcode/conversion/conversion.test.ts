import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import type { Track } from '../../../src/media/track.ts';
import {
  type Conversion,
  type ConversionSettings,
  makeConversion,
  type TrackConversion,
} from '../../../src/transcode/conversion/conversion.ts';
import type { Ffmpeg } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import { makeJobLimit } from '../../../src/transcode/job-limit.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { inSlab } from '../../support/in-slab.ts';
import { audio, epochOf, FakeEncoder, ffmpegWith, Notes, packet, video } from './support.ts';

const FFMPEG = ffmpegWith(['hevc', 'opus', 'h264', 'aac']);
const CRASH = new SluiceError('SLUICE_TRANSCODE_FAILED', 'it crashed');

interface Setup {
  readonly conversion: Conversion;
  readonly notes: Notes;
  readonly source: { known: Ffmpeg | null };
  readonly clock: FakeClock;
  readonly encoders: FakeEncoder[];
  readonly states: TrackConversion[];
  readonly rejections: SluiceError[];
  readonly faults: unknown[];
  encoder(index?: number): FakeEncoder;
}

function setUp(
  over: Partial<ConversionSettings> = {},
  known: Ffmpeg | null = FFMPEG,
  find: () => Promise<Ffmpeg> = async () => FFMPEG,
  maxJobs = 8,
): Setup {
  const source = { known, find };
  const [notes, clock] = [new Notes(), new FakeClock()];
  const encoders: FakeEncoder[] = [];
  const states: TrackConversion[] = [];
  const rejections: SluiceError[] = [];
  const faults: unknown[] = [];
  const conversion = makeConversion({
    clock,
    downstream: notes,
    settings: () => ({
      ...{ codecs: {}, encoder: 'libx264', preset: 'veryfast', audioBitrate: 128 },
      ...{ niceness: 5, threads: 0, silentAudio: false, ...over },
    }),
    ffmpeg: source,
    startEncoder: (options) => {
      const encoder = new FakeEncoder(options);
      encoders.push(encoder);
      return encoder;
    },
    jobs: makeJobLimit(() => maxJobs),
    onState: (state) => states.push(state),
    onReject: (error) => rejections.push(error),
    onFault: (error) => faults.push(error),
  });
  const encoder = (index = encoders.length - 1) => {
    const found = encoders[index];
    if (found === undefined) throw new Error(`no encoder ${index}`);
    return found;
  };
  return { conversion, notes, source, clock, encoders, states, rejections, faults, encoder };
}

const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

const AVC = video('h264');
const AAC = audio('aac');
const HEVC = video('hevc');
const OPUS = audio('opus');

function send({ conversion }: Setup, track: Track, from: number, to: number, step: number, gop = 2000): void {
  for (let ms = from; ms < to; ms += step) {
    conversion.packet(packet(track, ms, track.kind === 'audio' || ms % gop === 0));
  }
}

/** Video and audio in decode order, every 100 and 50 ms. */
function sendBoth(setup: Setup, picture: Track, sound: Track, from: number, to: number): void {
  for (let ms = from; ms < to; ms += 50) {
    if (ms % 100 === 0) setup.conversion.packet(packet(picture, ms, ms % 1000 === 0));
    setup.conversion.packet(packet(sound, ms));
  }
}

describe('what needs no conversion', () => {
  it('goes through inside the call, as the very objects', () => {
    const { conversion, notes, states } = setUp();
    const epoch = epochOf([AVC, AAC]);
    conversion.epoch(epoch);
    const first = packet(AVC, 0, true);
    conversion.packet(first);
    expect(notes.epochs[0]).toBe(epoch);
    expect(notes.packets[0]).toBe(first);
    conversion.end();
    conversion.close();
    expect(notes.take()).toEqual(['epoch start v0:h264 a0:aac', 'v0 0', 'end', 'close']);
    expect(states).toEqual([]);
    expect(conversion.state().map(({ policy, state }) => [policy, state])).toEqual([
      ['remux', null],
      ['remux', null],
    ]);
  });

  it('leaves what cannot be converted in, for the packager to warn of', () => {
    const { conversion, notes } = setUp({}, ffmpegWith([]));
    conversion.epoch(epochOf([HEVC, AAC]));
    conversion.packet(packet(AAC, 0));
    expect(notes.take()).toEqual(['epoch start v0:hevc a0:aac', 'a0 0']);
    expect(conversion.state()[0]).toMatchObject({
      policy: 'drop',
      reason: 'HEVC is not allowed in MPEG-TS segments, but ffmpeg 5.1 has no decoder for it (hevc)',
    });
  });

  it('takes out what the configuration drops', () => {
    const { conversion, notes } = setUp({ codecs: { aac: 'drop' } });
    conversion.epoch(epochOf([AVC, AAC]));
    conversion.packet(packet(AVC, 0, true));
    conversion.packet(packet(AAC, 0));
    expect(notes.take()).toEqual(['epoch start v0:h264', 'v0 0']);
  });

  it('throws into the delivery what downstream throws, and has settled', async () => {
    const { conversion, notes, faults } = setUp();
    conversion.epoch(epochOf([AVC]));
    notes.fault = new Error('no');
    expect(() => conversion.packet(packet(AVC, 0, true))).toThrow('no');
    expect(faults).toEqual([]);
    // The stream delivers nothing more, not even the end.
    let settled = false;
    void conversion.settled().then(() => {
      settled = true;
    });
    await flush();
    expect(settled).toBe(true);
  });
});

describe('a codec that is refused', () => {
  it('is told once, and nothing goes downstream', () => {
    const { conversion, notes, rejections, states } = setUp({ codecs: { hevc: 'reject' } });
    conversion.epoch(epochOf([HEVC, AAC]));
    conversion.packet(packet(AAC, 0));
    conversion.epoch(epochOf([HEVC, AAC]));
    expect(rejections.map(({ code, message }) => [code, message])).toEqual([
      ['SLUICE_CODEC_REJECTED', 'HEVC (track v0) is refused by transcode.codecs'],
    ]);
    expect(notes.take()).toEqual([]);
    expect(states.map(({ trackId, policy }) => [trackId, policy])).toEqual([['v0', 'reject']]);
  });
});

describe('a converted track', () => {
  it('takes the place of the original, merged in decode order', () => {
    const setup = setUp();
    const { conversion, notes, encoder } = setup;
    conversion.epoch(epochOf([AVC, OPUS]));
    sendBoth(setup, AVC, OPUS, 0, 300);
    expect(notes.take()).toEqual([]);
    encoder().give(4);
    expect(notes.take()).toEqual([
      'epoch start v0:h264 a0:aac',
      ...['v0 0', 'a0 0', 'a0 50', 'v0 100', 'a0 100', 'a0 150'],
    ]);
    expect(notes.epochs[0]?.tracks[0]).toBe(AVC);
    expect(encoder().options.outputs).toEqual([
      { kind: 'audio', name: 'source', bitrate: 128_000, sampleRate: 48_000, channels: 2 },
    ]);
  });

  it('leaves the memory of others as it is for as long as they wait for it', () => {
    const setup = setUp();
    const { conversion, notes, encoder } = setup;
    conversion.epoch(epochOf([AVC, OPUS]));
    for (let ms = 0; ms < 300; ms += 50) {
      inSlab(Buffer.alloc(1000, ms / 50), (data) =>
        conversion.packet({ ...packet(AVC, ms, ms === 0), data }),
      );
      conversion.packet(packet(OPUS, ms));
    }
    encoder().give();
    const pictures = notes.packets.filter(({ track }) => track === AVC);
    expect(pictures.length).toBeGreaterThan(3);
    pictures.forEach(({ data }, index) => {
      expect(data).toEqual(Buffer.alloc(1000, index));
    });
  });

  it('has the id of the source', () => {
    const setup = setUp();
    const second = audio('opus', 'a1');
    setup.conversion.epoch(epochOf([AVC, second]));
    sendBoth(setup, AVC, second, 0, 200);
    setup.encoder().give();
    expect(setup.notes.lines[0]).toBe('epoch start v0:h264 a1:aac');
  });

  it('holds the others up by 1.5 s of media at most', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([AVC, OPUS]));
    sendBoth(setup, AVC, OPUS, 0, 100);
    setup.encoder().give();
    setup.notes.take();
    send(setup, AVC, 100, 1600, 100);
    expect(setup.notes.take()).toEqual([]);
    send(setup, AVC, 1600, 1900, 100);
    expect(setup.notes.take()).toContain('v0 100');
    // A late packet is better than none.
    setup.conversion.packet(packet(OPUS, 150));
    setup.encoder().give();
    expect(setup.notes.take()).toContain('a0 150');
  });

  it('is waited for longer when it comes later and later, up to 4 s of media', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 100);
    setup.encoder().give();
    sendBoth(setup, HEVC, AAC, 100, 2600);
    // 2.45 s late.
    setup.encoder().give(1);
    setup.notes.take();
    sendBoth(setup, HEVC, AAC, 2600, 3000);
    setup.encoder().give(23);
    setup.notes.take();
    sendBoth(setup, HEVC, AAC, 3000, 5000);
    expect(setup.notes.take()).toEqual([]);
    sendBoth(setup, HEVC, AAC, 5000, 7000);
    expect(setup.notes.take()).not.toEqual([]);
  });

  it('is not waited for when its encoder is dead', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 100);
    setup.encoder().give();
    setup.encoder().exit(CRASH);
    setup.notes.take();
    setup.conversion.packet(packet(AAC, 100));
    expect(setup.notes.take()).toContain('a0 100');
  });

  it('does not hold the beginning up for longer than 3 s, and joins at the next keyframe', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([AVC, OPUS]));
    sendBoth(setup, AVC, OPUS, 0, 500);
    setup.clock.advance(2999);
    expect(setup.notes.take()).toEqual([]);
    setup.clock.advance(1);
    expect(setup.notes.take()).toEqual([
      'epoch start v0:h264 a0:opus',
      ...['v0 0', 'v0 100', 'v0 200', 'v0 300', 'v0 400'],
    ]);
    sendBoth(setup, AVC, OPUS, 500, 800);
    setup.encoder().give();
    sendBoth(setup, AVC, OPUS, 800, 1100);
    setup.encoder().give();
    const lines = setup.notes.take();
    expect(lines.slice(lines.indexOf('v0 900'))).toEqual([
      'v0 900',
      'epoch config-change v0:h264 a0:aac',
      ...['v0 1000', 'a0 1000', 'a0 1050'],
    ]);
    expect(setup.notes.epochs[1]?.startedAt).toBe(1_700_000_001_000);
    expect(setup.conversion.state()[1]?.dropped).toBe(20);
  });

  it('goes on as the same track after a crash, from a keyframe', () => {
    const setup = setUp();
    const { conversion, notes, clock, encoder, encoders } = setup;
    conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 500);
    encoder().give();
    encoder().exit(CRASH);
    expect(conversion.state()[0]).toMatchObject({ policy: 'transcode', state: 'failed', error: CRASH });
    sendBoth(setup, HEVC, AAC, 500, 800);
    clock.advance(250);
    expect(encoders).toHaveLength(1);
    sendBoth(setup, HEVC, AAC, 800, 1200);
    expect(encoders).toHaveLength(2);
    expect(encoder().written.map(({ dts }) => dts)).toEqual([90_000, 99_000]);
    encoder().give();
    expect(conversion.state()[0]).toMatchObject({ state: 'running', error: CRASH, dropped: 5 });
    expect(notes.epochs).toHaveLength(1);
    expect(notes.take()).toContain('v0 1000');
  });

  it('begins an epoch when it is another one after a crash', () => {
    const setup = setUp();
    const { conversion, notes, clock, encoder } = setup;
    conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 500);
    encoder().give();
    encoder().exit(CRASH);
    clock.advance(250);
    sendBoth(setup, HEVC, AAC, 500, 1100);
    encoder().output = video('h264', 'v0', { config: Uint8Array.of(2) });
    encoder().give();
    expect(notes.take()).toContain('epoch config-change v0:h264 a0:aac');
    expect(notes.lines).toEqual([]);
    expect(notes.epochs[1]?.start).toBe(90_000);
  });

  it('loses nothing when only the first start fails', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 300);
    setup.encoder().exit(CRASH);
    setup.clock.advance(250);
    setup.encoder().give();
    expect(setup.notes.take().slice(0, 2)).toEqual(['epoch start v0:h264 a0:aac', 'v0 0']);
  });

  it('is started again after ever longer waits', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([AVC, OPUS]));
    const waits: number[] = [];
    for (let start = 1; start <= 9; start++) {
      setup.conversion.packet(packet(OPUS, start));
      setup.encoder().exit(CRASH);
      const before = setup.clock.now();
      while (setup.encoders.length === start) {
        setup.clock.advance(250);
        setup.conversion.packet(packet(OPUS, start + 0.5));
      }
      waits.push(setup.clock.now() - before);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('gets no more input while it is too far behind for too long', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    for (let ms = 0; ms < 14_000; ms += 100) {
      setup.clock.advance(100);
      sendBoth(setup, HEVC, AAC, ms, ms + 100);
    }
    const written = setup.encoder().written.length;
    expect(written).toBeGreaterThan(50);
    expect(written).toBeLessThan(80);
    expect(setup.conversion.state()[0]?.error?.code).toBe('SLUICE_TRANSCODE_SLOW');
    setup.encoder().give();
    sendBoth(setup, HEVC, AAC, 14_000, 14_200);
    expect(setup.encoder().written.map(({ keyframe }) => keyframe)).toEqual([true, false]);
  });

  it('is bounded in bytes', () => {
    const setup = setUp();
    const { conversion, encoder } = setup;
    conversion.epoch(epochOf([HEVC, AAC]));
    for (let ms = 0; ms < 10_000; ms += 50) {
      conversion.packet(packet(HEVC, ms, ms % 1000 === 0, 1024 * 1024));
      if (setup.encoders.length > 0) encoder().queuedBytes = encoder().written.length * 1024 * 1024;
    }
    expect(conversion.heldBytes).toBeLessThan(34 * 1024 * 1024);
    expect(conversion.state()[0]?.dropped).toBeGreaterThan(100);
  });

  it('waits for room among the jobs', () => {
    const setup = setUp({}, FFMPEG, async () => FFMPEG, 1);
    setup.conversion.epoch(epochOf([HEVC, OPUS]));
    sendBoth(setup, HEVC, OPUS, 0, 200);
    expect(setup.encoders).toHaveLength(1);
    expect(setup.conversion.state()[1]?.error?.code).toBe('SLUICE_TRANSCODE_LIMIT');
    setup.encoder().exit(CRASH);
    expect(setup.encoders).toHaveLength(2);
    expect(setup.encoder().options.input).toBe(OPUS);
  });

  it('tells outside of a delivery what downstream throws, and ends the encoders', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 200);
    setup.notes.fault = new Error('no');
    setup.encoder().give();
    expect(setup.faults).toEqual([setup.notes.fault]);
    expect(setup.encoder().told).toBe('stop');
    expect(() => setup.conversion.packet(packet(AAC, 500))).not.toThrow();
    expect(setup.clock.pending).toBe(0);
  });
});

describe('the end of an epoch', () => {
  it('drains the encoders before anything of the next goes downstream', async () => {
    const setup = setUp();
    const { conversion, notes, encoders, encoder, clock } = setup;
    conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 200);
    conversion.epoch(epochOf([AVC, AAC], 200, 'config-change'));
    sendBoth(setup, AVC, AAC, 200, 300);
    conversion.end();
    conversion.close();
    expect(notes.take()).toEqual([]);
    expect(encoder().told).toBe('finish');
    encoder().give();
    encoder().exit();
    expect(encoders).toHaveLength(1);
    expect(notes.take()).toEqual([
      'epoch start v0:h264 a0:aac',
      ...['v0 0', 'a0 0', 'a0 50', 'v0 100', 'a0 100', 'a0 150'],
      'epoch config-change v0:h264 a0:aac',
      ...['v0 200', 'a0 200', 'a0 250', 'end', 'close'],
    ]);
    await conversion.settled();
    expect(clock.pending).toBe(0);
  });

  it('goes through directly again as soon as the old one is drained', () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC]));
    send(setup, HEVC, 0, 200, 100);
    setup.conversion.epoch(epochOf([AVC], 200));
    send(setup, AVC, 200, 300, 100);
    setup.encoder().give();
    setup.encoder().exit();
    const next = packet(AVC, 300, true);
    setup.conversion.packet(next);
    expect(setup.notes.packets.at(-1)).toBe(next);
  });

  it('is finished when what the publisher has sent is through, long before the stream closes', async () => {
    const { conversion, notes, encoder } = setUp();
    await conversion.finished();
    conversion.epoch(epochOf([HEVC]));
    conversion.packet(packet(HEVC, 0, true));
    conversion.end();
    let finished = false;
    const waiting = conversion.finished().then(() => {
      finished = true;
    });
    await flush();
    expect(finished).toBe(false);
    encoder().give();
    encoder().exit();
    await waiting;
    expect(notes.take()).toEqual(['epoch start v0:h264', 'v0 0', 'end']);
    conversion.close();
    expect(notes.take()).toEqual(['close']);
  });

  it('that is stopped sends nothing downstream any more, and nobody waits for it', async () => {
    const { conversion, notes, encoder } = setUp();
    conversion.epoch(epochOf([HEVC]));
    conversion.packet(packet(HEVC, 0, true));
    conversion.end();
    const waiting = Promise.all([conversion.finished(), conversion.settled()]);
    conversion.stop();
    await waiting;
    conversion.close();
    expect(notes.take()).toEqual([]);
    expect(encoder().told).toBe('stop');
  });

  it('does not wait for an encoder longer than 5 s', async () => {
    const setup = setUp();
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 200);
    setup.conversion.close();
    setup.clock.advance(4999);
    expect(setup.notes.take().at(-1)).not.toBe('close');
    setup.clock.advance(1);
    expect(setup.notes.take().at(-1)).toBe('close');
    expect(setup.encoder().told).toBe('stop');
    await setup.conversion.settled();
  });

  it('is bounded for a source that changes all the time', () => {
    const setup = setUp();
    for (let ms = 0; ms < 20_000; ms += 1000) {
      setup.conversion.epoch(epochOf([HEVC], ms, 'config-change'));
      send(setup, HEVC, ms, ms + 1000, 100, 1000);
    }
    const alive = setup.encoders.filter(({ told }) => told !== 'stop');
    expect(alive.length).toBeLessThanOrEqual(5);
  });
});

describe('ffmpeg', () => {
  it('is waited for', async () => {
    const setup = setUp({}, null);
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 200);
    expect(setup.encoders).toHaveLength(0);
    await flush();
    expect(setup.encoder().written).toHaveLength(2);
    setup.encoder().give();
    expect(setup.notes.take()[0]).toBe('epoch start v0:h264 a0:aac');
  });

  it('may be missing: the rest plays at once, and the API says why', async () => {
    const missing = new SluiceError('SLUICE_FFMPEG_MISSING', 'none on PATH');
    const setup = setUp({ codecs: { aac: 'transcode' } }, null, () => Promise.reject(missing));
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 100);
    await flush();
    expect(setup.notes.take()).toEqual(['epoch start v0:hevc a0:aac', 'v0 0', 'a0 0', 'a0 50']);
    expect(setup.conversion.state()).toMatchObject([
      {
        policy: 'drop',
        reason: 'HEVC is not allowed in MPEG-TS segments, but there is no ffmpeg to convert it: none on PATH',
      },
      { policy: 'remux' },
    ]);
    const next = packet(AAC, 100);
    setup.conversion.packet(next);
    expect(setup.notes.packets.at(-1)).toBe(next);
  });

  it('may be found too late: conversion begins with the next keyframe', async () => {
    let found: (ffmpeg: Ffmpeg) => void = () => {};
    const setup = setUp({}, null, () => new Promise((resolve) => (found = resolve)));
    setup.conversion.epoch(epochOf([HEVC, AAC]));
    sendBoth(setup, HEVC, AAC, 0, 200);
    setup.clock.advance(3000);
    expect(setup.notes.take()[0]).toBe('epoch start v0:hevc a0:aac');
    setup.source.known = FFMPEG;
    found(FFMPEG);
    await flush();
    sendBoth(setup, HEVC, AAC, 200, 1200);
    setup.encoder().give();
    expect(setup.notes.take()).toContain('epoch config-change v0:h264 a0:aac');
    expect(setup.notes.epochs[1]?.start).toBe(90_000);
  });
});

describe('silence', () => {
  it('is added where there is no sound, and gone when there is', () => {
    const setup = setUp({ silentAudio: true });
    setup.conversion.epoch(epochOf([AVC]));
    send(setup, AVC, 0, 200, 100);
    expect(setup.notes.take()).toEqual([
      'epoch start v0:h264 a0:aac',
      ...['v0 0', 'a0 0', `a0 ${64 / 3}`, `a0 ${128 / 3}`, 'a0 64', `a0 ${256 / 3}`, 'v0 100'],
    ]);
    setup.conversion.epoch(epochOf([AVC, AAC], 200, 'config-change'));
    sendBoth(setup, AVC, AAC, 200, 300);
    expect(setup.notes.take()).toEqual([
      'epoch config-change v0:h264 a0:aac',
      ...['v0 200', 'a0 200', 'a0 250'],
    ]);
    expect(setup.notes.epochs[1]?.tracks[1]).toBe(AAC);
  });

  it('goes with converted video', () => {
    const setup = setUp({ silentAudio: true });
    setup.conversion.epoch(epochOf([HEVC]));
    send(setup, HEVC, 0, 200, 100);
    setup.encoder().give();
    expect(setup.notes.take().slice(0, 3)).toEqual(['epoch start v0:h264 a0:aac', 'v0 0', 'a0 0']);
  });
});
