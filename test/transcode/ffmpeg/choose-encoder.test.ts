import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/servers/system-clock.ts';
import { chooseH264Encoder, trialArguments } from '../../../src/transcode/ffmpeg/choose-encoder.ts';
import type { Ffmpeg } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import { makeFolder, writeProgram } from '../../processes/support.ts';
import { ffmpegAt } from './support.ts';

const folder = makeFolder();
const log = join(folder, 'log');

/** An ffmpeg that lists these encoders, and fails with those in `broken`. */
function withEncoders(encoders: readonly string[], broken: readonly string[]): Ffmpeg {
  const cases = broken.map(
    (encoder) => `*${encoder}*) echo "[error] no device for ${encoder}" >&2; exit 1;;`,
  );
  const script = `echo "$*" >> '${log}'\ncase "$*" in\n${cases.join('\n')}\nesac`;
  return { ...ffmpegAt(writeProgram(folder, `ffmpeg${Math.random()}`, script)), encoders: new Set(encoders) };
}

describe('auto', () => {
  it('is the first hardware encoder that works', async () => {
    const ffmpeg = withEncoders(
      ['libx264', 'h264_vaapi', 'h264_qsv', 'h264_nvenc'],
      ['h264_nvenc', 'h264_qsv'],
    );
    expect(await chooseH264Encoder(ffmpeg, systemClock)).toEqual({
      encoder: 'h264_vaapi',
      rejected: ['h264_nvenc: no device for h264_nvenc', 'h264_qsv: no device for h264_qsv'],
    });
  });

  it('is libx264 without any, and nothing is tried', async () => {
    appendFileSync(log, '');
    const before = readFileSync(log, 'utf8');
    expect(await chooseH264Encoder(withEncoders(['libx264'], []), systemClock)).toEqual({
      encoder: 'libx264',
      rejected: [],
    });
    expect(readFileSync(log, 'utf8')).toBe(before);
  });

  it('is tried once', async () => {
    const ffmpeg = withEncoders(['h264_nvenc'], ['h264_nvenc']);
    const lines = () => readFileSync(log, 'utf8').split('\n').length;
    const before = lines();
    const choices = await Promise.all([
      chooseH264Encoder(ffmpeg, systemClock),
      chooseH264Encoder(ffmpeg, systemClock),
    ]);
    expect(choices[0]).toBe(choices[1]);
    expect(choices[0]?.encoder).toBe('libx264');
    expect(lines()).toBe(before + 1);
  });

  it('is libx264 when ffmpeg cannot even be started', async () => {
    const gone = { ...ffmpegAt(join(folder, 'gone')), encoders: new Set(['h264_qsv']) };
    expect(await chooseH264Encoder(gone, systemClock)).toMatchObject({ encoder: 'libx264' });
  });

  it('is tried with the options that streams get', () => {
    const args = trialArguments(ffmpegAt('ffmpeg'), 'h264_vaapi');
    expect(args).toContain('-vaapi_device');
    expect(args).toContain('[0:v]setsar=1,format=nv12,hwupload[o]');
    expect(args.slice(-3)).toEqual(['-f', 'null', '-']);
    expect(args.join(' ')).toContain('-f lavfi -i color=black:size=320x240:rate=25');
  });
});
