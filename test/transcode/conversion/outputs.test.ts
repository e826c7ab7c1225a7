import { describe, expect, it } from 'vitest';
import { bitrateFor, outputFor } from '../../../src/transcode/conversion/outputs.ts';
import { audio, video } from './support.ts';

const SETTINGS = { encoder: 'libx264', preset: 'veryfast', audioBitrate: 96 };

describe('bitrateFor', () => {
  it.each([
    [1, 1, 25, 400_000],
    [1280, 720, 30, 3_200_000],
    [720, 1280, 30, 3_200_000],
    [1280, 720, 60, 4_800_000],
    [7680, 4320, 25, 30_000_000],
    [0, 0, null, 3_000_000],
  ])('%d×%d at %d is %d', (width, height, frameRate, bitrate) => {
    expect(bitrateFor(video('hevc', 'v0', { width, height, frameRate }))).toBe(bitrate);
  });
});

describe('outputFor', () => {
  it('keeps size and frames of pictures', () => {
    expect(outputFor(video('hevc'), SETTINGS)).toMatchObject({
      ...{ kind: 'video', width: null, height: null, frameDivisor: 1, codec: 'h264', gop: 2 },
    });
  });

  it.each([
    [44_100, 2, 44_100, 2],
    [22_050, 1, 44_100, 1],
    [11_025, 1, 44_100, 1],
    [16_000, 1, 48_000, 1],
    [48_000, 6, 48_000, 2],
    [0, 0, 48_000, 2],
  ])('makes of %d Hz with %d channels %d Hz with %d', (sampleRate, channels, rate, heard) => {
    expect(outputFor(audio('pcm', 'a0', { sampleRate, channels }), SETTINGS)).toMatchObject({
      ...{ kind: 'audio', bitrate: 96_000, sampleRate: rate, channels: heard },
    });
  });
});
