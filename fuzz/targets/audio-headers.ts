import {
  ADTS_HEADER_SIZE,
  aacTrack,
  adtsHeaderSize,
  parseAudioSpecificConfig,
  writeAdtsHeader,
} from '../../src/codecs/aac.ts';
import { audioFormat } from '../../src/codecs/audio-headers.ts';
import { codecStringFromRecord } from '../../src/codecs/codec-strings.ts';
import { mp3Track, parseMp3Header } from '../../src/codecs/mp3.ts';
import { check, failure } from '../support/tolerate.ts';

/** An AudioSpecificConfig, MP3 frame or any codec's configuration: all readers get the same bytes. */
export const maxLength = 256;

export function fuzz(data: Buffer): void {
  const code = failure(() => aac(data));
  check(code === null || code === 'SLUICE_CODEC_MALFORMED', `${code} from AAC`);
  mp3(data);
  for (const codec of ['opus', 'flac', 'ac3', 'eac3', 'speex', 'pcm'] as const) {
    const { sampleRate, channels } = audioFormat(codec, data);
    check(sampleRate >= 0 && sampleRate < 2 ** 20 && channels >= 0 && channels <= 255, `${codec} format`);
  }
  for (const codec of ['hevc', 'av1', 'vp9', 'opus', 'flac', 'ac3', 'eac3', 'pcm']) {
    const text = codecStringFromRecord(codec, data);
    // It goes into the playlist between quotes.
    check(text === null || /^[\w.-]+$/.test(text), `${codec}: ${text}`);
  }
}

function aac(data: Buffer): void {
  const headerSize = adtsHeaderSize(data);
  check(headerSize === 0 || headerSize === 7 || headerSize === 9, `ADTS header of ${headerSize}`);
  const config = parseAudioSpecificConfig(data);
  check(config.sampleRate >= 7350 && config.sampleRate <= 96_000, `sample rate ${config.sampleRate}`);
  check(config.channels >= 0 && config.channels <= 8, `${config.channels} channels`);
  const { adts, codecString } = aacTrack('a0', data);
  check(/^mp4a\.40\.\d+$/.test(codecString ?? ''), `codec ${codecString}`);
  if (adts === null) return;
  const frame = new Uint8Array(ADTS_HEADER_SIZE + data.length);
  writeAdtsHeader(frame, 0, adts, data.length);
  check(adtsHeaderSize(frame) === ADTS_HEADER_SIZE, 'our own ADTS header is not read as one');
}

function mp3(data: Buffer): void {
  const header = parseMp3Header(data);
  if (header === null) return;
  // The frame size is what a reader moves forward by.
  check(Number.isInteger(header.frameSize) && header.frameSize >= 4, `MP3 frame of ${header.frameSize}`);
  check(header.sampleRate >= 8000 && header.sampleRate <= 48_000, `sample rate ${header.sampleRate}`);
  check(mp3Track('a0', header).channels <= 2, 'MP3 channels');
}
