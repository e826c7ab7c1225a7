import { describe, expect, it } from 'vitest';
import { lastWords } from '../../../src/transcode/ffmpeg/last-words.ts';

describe('lastWords', () => {
  it.each([
    ['', null],
    ['\n \r\n', null],
    ["[error] Unknown encoder 'h264_x'\n", "Unknown encoder 'h264_x'"],
    [
      '[h264_nvenc @ 0x55d0] [error] Cannot load libcuda.so.1\n[error] Error initializing output stream 0:0 -- Error while opening encoder\n[fatal] Conversion failed!\n',
      'Cannot load libcuda.so.1',
    ],
    [
      '[vost#0:0/h264_nvenc @ 0x1] [h264_nvenc @ 0x2] [error] Cannot load libcuda.so.1\n[vost#0:0/h264_nvenc @ 0x1] [error] Task finished with error code: -1 (Operation not permitted)\n[vost#0:0/h264_nvenc @ 0x1] [error] Terminating thread with return code -1 (Operation not permitted)\n',
      'Cannot load libcuda.so.1',
    ],
    [
      '[flv @ 0x1] [warning] Stream #0: not enough frames to estimate rate; consider increasing probesize\n',
      null,
    ],
    [
      "[AVHWDeviceContext @ 0x1] [error] No VA display found for device /dev/dri/renderD128.\n[error] Device creation failed: -22.\n[error] Failed to set value '/dev/dri/renderD128' for option 'vaapi_device': Invalid argument\n[fatal] Error parsing global options: Invalid argument\n",
      'No VA display found for device /dev/dri/renderD128.',
    ],
    ['one\rtwo\n', 'two'],
    ['\x1b[31mred\x07\n', '?[31mred?'],
  ])('%j', (stderr, words) => {
    expect(lastWords(stderr)).toBe(words);
  });

  it('has one line of bearable length', () => {
    expect(lastWords('x'.repeat(8192))).toHaveLength(300);
  });
});
