import { describe, expect, it } from 'vitest';
import { msFromTicks, secondsFromTicks } from '../../../src/media/time.ts';
import { lacksAudio, makeSilentAudio } from '../../../src/transcode/conversion/silent-audio.ts';
import { audio, epochOf, Notes, packet, video } from './support.ts';

const AVC = video('h264');

function silenceBeside(milliseconds: readonly number[], start = 0): Notes {
  const notes = new Notes();
  const sink = makeSilentAudio(notes);
  sink.epoch(epochOf([AVC], start));
  for (const ms of milliseconds) sink.packet(packet(AVC, ms));
  return notes;
}

const soundOf = (notes: Notes) => notes.packets.filter(({ track }) => track.kind === 'audio');

describe('makeSilentAudio', () => {
  it('counts samples for hours without drifting', () => {
    const hour = 3600_000;
    const pictures = Array.from({ length: hour / 40 }, (_, index) => index * 40);
    const sound = soundOf(silenceBeside(pictures));
    const last = sound.at(-1);
    expect(last?.dts).toBe(Math.round(((sound.length - 1) * 1024 * 90_000) / 48_000));
    expect(Math.abs(msFromTicks(last?.dts ?? 0) - hour)).toBeLessThan(62);
  });

  it('stands before the picture that it belongs to, in decode order', () => {
    const { packets } = silenceBeside([0, 40, 80, 2000], 0);
    const times = packets.map(({ dts }) => dts);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('leaves a long hole a hole', () => {
    const sound = soundOf(silenceBeside([0, 40, 60_000, 60_100]));
    expect(sound.length).toBeLessThan(10);
    expect(sound.some(({ dts }) => secondsFromTicks(dts) === 60)).toBe(true);
  });

  it('takes an id that is free', () => {
    const notes = new Notes();
    makeSilentAudio(notes).epoch(epochOf([AVC, audio('speex')]));
    expect(notes.take()).toEqual(['epoch start v0:h264 a0:speex a1:aac']);
  });
});

describe('lacksAudio', () => {
  it.each([
    [[AVC], true],
    [[AVC, audio('aac')], false],
    [[AVC, audio('speex')], true],
    [[audio('aac')], false],
    [[video('hevc')], false],
  ])('%#', (tracks, expected) => {
    expect(lacksAudio(epochOf(tracks))).toBe(expected);
  });
});
