import { expect, test } from 'vitest';
import { ADTS_HEADER_SIZE, aacTrack, writeAdtsHeader } from '../../src/codecs/aac.ts';
import { mp3Track, parseMp3Header } from '../../src/codecs/mp3.ts';
import { silentFrame } from '../../src/codecs/silent-audio.ts';
import type { AudioTrack } from '../../src/media/track.ts';
import { run } from '../support/ffmpeg.ts';

const FRAMES = 50;
const RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000];
/** AudioSpecificConfig of AAC-LC. */
const lc = (index: number, channels: number) =>
  Buffer.from([(2 << 3) | (index >> 1), ((index & 1) << 7) | (channels << 3)]);

/** Whether all that is decoded is zeros, and how much it is. */
async function heardIn(format: string, stream: Uint8Array): Promise<{ silent: boolean; samples: number }> {
  const { stdout, stderr } = await run(
    'ffmpeg',
    ['-v', 'warning', '-xerror', '-f', format, '-i', 'pipe:0', '-f', 'framecrc', '-'],
    { stdin: stream },
  );
  if (stderr !== '') throw new Error(`ffmpeg says: ${stderr.slice(0, 1000)}`);
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const samples = lines.reduce((sum, line) => sum + Number(line.split(',')[3]), 0);
  // The checksum of nothing but zeros is 0.
  return { silent: lines.every((line) => line.endsWith('0x00000000')), samples };
}

function adtsStream(track: AudioTrack): Buffer {
  const frame = silentFrame(track, new Uint8Array());
  if (frame === null || track.adts === null) throw new Error('no silence for it');
  const whole = Buffer.alloc(ADTS_HEADER_SIZE + frame.data.length);
  writeAdtsHeader(whole, 0, track.adts, frame.data.length);
  whole.set(frame.data, ADTS_HEADER_SIZE);
  return Buffer.concat(Array.from({ length: FRAMES }, () => whole));
}

test.each([1, 2, 3, 4, 5, 6, 7])('silent AAC with channel configuration %i is silence', async (channels) => {
  const heard = await heardIn('aac', adtsStream(aacTrack('a0', lc(3, channels))));
  expect(heard).toEqual({ silent: true, samples: FRAMES * 1024 });
});

test.each(RATES)('silent AAC at %i Hz is silence', async (rate) => {
  const heard = await heardIn('aac', adtsStream(aacTrack('a0', lc(RATES.indexOf(rate), 2))));
  expect(heard).toEqual({ silent: true, samples: FRAMES * 1024 });
});

test.each([
  ['MPEG-1 stereo with CRC', [0xff, 0xfa, 0x90, 0x00]],
  ['MPEG-1 mono', [0xff, 0xfb, 0x90, 0xc0]],
  ['MPEG-1 joint stereo, 48 kHz', [0xff, 0xfb, 0xb4, 0x60]],
  ['MPEG-2 at 22.05 kHz', [0xff, 0xf3, 0x40, 0xc4]],
])('silent MP3, %s', async (_name, bytes) => {
  const newest = Uint8Array.from(bytes);
  const header = parseMp3Header(newest);
  if (header === null) throw new Error('not a header');
  const track = mp3Track('a0', header);
  const frame = silentFrame(track, newest);
  expect(frame?.data).toHaveLength(header.frameSize);
  const frames = Array.from({ length: FRAMES }, () => frame?.data ?? new Uint8Array());
  const heard = await heardIn('mp3', Buffer.concat(frames));
  expect(heard).toEqual({ silent: true, samples: FRAMES * header.samplesPerFrame });
});
