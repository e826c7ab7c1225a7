import { describe, expect, it } from 'vitest';
import { mp3Track, parseMp3Header } from '../../src/codecs/mp3.ts';
import { hex } from '../formats/amf/support.ts';

describe('parseMp3Header', () => {
  it.each([
    ['fffb9064', { mpegVersion: 1, sampleRate: 44100, channels: 2, samplesPerFrame: 1152, frameSize: 417 }],
    ['fffb9264', { mpegVersion: 1, sampleRate: 44100, channels: 2, samplesPerFrame: 1152, frameSize: 418 }],
    ['fffb94c4', { mpegVersion: 1, sampleRate: 48000, channels: 1, samplesPerFrame: 1152, frameSize: 384 }],
    ['fffae864', { mpegVersion: 1, sampleRate: 32000, channels: 2, samplesPerFrame: 1152, frameSize: 1440 }],
    ['fff380c4', { mpegVersion: 2, sampleRate: 22050, channels: 1, samplesPerFrame: 576, frameSize: 208 }],
    ['ffe318c4', { mpegVersion: 2, sampleRate: 8000, channels: 1, samplesPerFrame: 576, frameSize: 72 }],
  ])('%s', (bytes, expected) => {
    expect(parseMp3Header(hex(bytes))).toEqual(expected);
    expect(parseMp3Header(hex(`0000${bytes}`), 2)).toEqual(expected);
  });

  it.each([
    ['no sync', 'fefb9064'],
    ['half a sync', 'ff1b9064'],
    ['reserved version', 'ffeb9064'],
    ['layer II', 'fffd9064'],
    ['free format', 'fffb0064'],
    ['bit rate 15', 'fffbf064'],
    ['sample rate 3', 'fffb9c64'],
    ['cut short', 'fffb90'],
    ['nothing', ''],
  ])('null for %s', (_name, bytes) => {
    expect(parseMp3Header(hex(bytes))).toBeNull();
  });

  it('makes a track that counts its samples', () => {
    const header = parseMp3Header(hex('fff380c4'));
    if (header === null) throw new Error('not parsed');
    expect(mp3Track('a1', header)).toMatchObject({
      id: 'a1',
      codec: 'mp3',
      codecString: 'mp4a.40.34',
      sampleRate: 22050,
      channels: 1,
      samplesPerFrame: 576,
      adts: null,
    });
  });
});
