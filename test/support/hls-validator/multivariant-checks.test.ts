import { describe, expect, it } from 'vitest';
import { describeBreaks, insertAfterHead, secondVariant, shiftNumber } from './synthetic-stream.ts';
import { captions } from './synthetic-ts.ts';
import { peakBitRate } from './validator.ts';

const attribute = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
const captionsOnPictures = (nals: Buffer[]) => [...nals.slice(0, -1), captions, ...nals.slice(-1)];

describeBreaks('multivariant playlist', [
  {
    name: 'average too low',
    finds: 'V5',
    steps: 12,
    multivariant: attribute('AVERAGE-BANDWIDTH=180000', 'AVERAGE-BANDWIDTH=50000'),
  },
  {
    name: 'picture attributes without picture',
    finds: ['V2', 'V3'],
    segment: () => ({ video: false }),
    multivariant: attribute('avc1.42c01e,', ''),
  },
  {
    name: 'no variant',
    finds: 'P1',
    multivariant: (text) =>
      text.replace(/#EXT-X-STREAM[\s\S]*/, '#EXT-X-SESSION-DATA:DATA-ID="x",VALUE="y"\n'),
  },
  { name: 'wrong profile', finds: 'V1', multivariant: attribute('avc1.42c01e', 'avc1.64001e') },
  { name: 'wrong audio codec', finds: 'V1', multivariant: attribute('mp4a.40.2', 'mp4a.40.34') },
  { name: 'audio missing in CODECS', finds: 'V1', multivariant: attribute(',mp4a.40.2', '') },
  { name: 'audio in CODECS only', finds: 'V1', segment: () => ({ audio: undefined }) },
  { name: 'no CODECS', finds: 'V1', multivariant: attribute(/CODECS="[^"]*",/, '') },
  { name: 'resolution without cropping', finds: 'V2', multivariant: attribute('320x180', '320x192') },
  { name: 'no resolution', finds: 'V2', multivariant: attribute('RESOLUTION=320x180,', '') },
  { name: 'wrong frame rate', finds: 'V3', multivariant: attribute('25.000', '30.000') },
  { name: 'slightly wrong frame rate', finds: 'V3', multivariant: attribute('25.000', '24.800') },
  { name: 'no frame rate', finds: 'V3', multivariant: attribute('FRAME-RATE=25.000,', '') },
  {
    name: 'bandwidth too low',
    finds: 'V4',
    multivariant: attribute(
      'BANDWIDTH=200000,AVERAGE-BANDWIDTH=180000',
      'BANDWIDTH=50000,AVERAGE-BANDWIDTH=50000',
    ),
  },
  { name: 'no average', finds: 'V5', multivariant: attribute('AVERAGE-BANDWIDTH=180000,', '') },
  {
    name: 'average above peak',
    finds: 'V5',
    multivariant: attribute('AVERAGE-BANDWIDTH=180000', 'AVERAGE-BANDWIDTH=280000'),
  },
  { name: 'no captions attribute', finds: 'V6', multivariant: attribute(',CLOSED-CAPTIONS=NONE', '') },
  {
    name: 'captions differ',
    finds: 'V6',
    multivariant: (text) => secondVariant(text).replace(',CLOSED-CAPTIONS=NONE', ''),
  },
  { name: 'captions group missing', finds: 'V6', multivariant: attribute('CAPTIONS=NONE', 'CAPTIONS="cc"') },
  { name: 'captions in the video', finds: 'V6', segment: () => ({ nals: captionsOnPictures }) },
  { name: 'audio group missing', finds: 'V7', multivariant: attribute(',CLOSED', ',AUDIO="group",CLOSED') },
  {
    name: 'target durations differ',
    finds: 'V8',
    multivariant: secondVariant,
    media: (text, _, path) => (path.includes('/low/') ? text.replace('DURATION:2', 'DURATION:3') : text),
  },
  {
    name: 'server control differs',
    finds: 'V8',
    multivariant: secondVariant,
    media: (text, _, path) =>
      path.includes('/low/') ? insertAfterHead('#EXT-X-SERVER-CONTROL:HOLD-BACK=6.0')(text) : text,
  },
  {
    name: 'discontinuities differ',
    finds: 'V9',
    multivariant: secondVariant,
    media: (text, _, path) =>
      path.includes('/low/') ? shiftNumber(text, 'DISCONTINUITY-SEQUENCE', 1) : text,
  },
]);

describe('bit rates', () => {
  it('takes the peak over runs of segments, not over a single short one', () => {
    const segments = [
      { duration: 2, bytes: 1000 },
      { duration: 0.5, bytes: 5000 },
      { duration: 2, bytes: 1000 },
    ];
    expect(peakBitRate(segments, 2)).toBe((6000 * 8) / 2.5);
  });
});
