import { describe, expect, it } from 'vitest';
import type { Tamper } from './synthetic-gateway.ts';
import {
  at,
  checksOf,
  describeBreaks,
  insertAfterHead,
  secondVariant,
  shiftNumber,
  watchStream,
} from './synthetic-stream.ts';
import type { SegmentOptions } from './synthetic-ts.ts';
import { captions } from './synthetic-ts.ts';
import { peakBitRate } from './validator.ts';

const attribute = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
const captionsOnPictures = (nals: Buffer[]) => [...nals.slice(0, -1), captions, ...nals.slice(-1)];

const withoutPictures = (text: string) =>
  text.replace('avc1.42c01e,', '').replace(',RESOLUTION=320x180,FRAME-RATE=25.000', '');
const fromStep = (first: number, edit: (text: string) => string) => (text: string, step: number) =>
  step < first ? text : edit(text);
/** Without the segments before this one. */
const onlyFrom = (text: string, first: number) => {
  const [head = '', ...entries] = text.split(/(?=#EXT-X-PROGRAM-DATE-TIME)/);
  const kept = entries.filter((entry) => Number(/segment-(\d+)/.exec(entry)?.[1]) >= first);
  return [head.replace(/MEDIA-SEQUENCE:\d+/, `MEDIA-SEQUENCE:${first}`), ...kept].join('');
};

describeBreaks('multivariant playlist', [
  {
    name: 'average too low',
    finds: 'V5',
    steps: 12,
    multivariant: attribute('AVERAGE-BANDWIDTH=80000', 'AVERAGE-BANDWIDTH=50000'),
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
      'BANDWIDTH=200000,AVERAGE-BANDWIDTH=80000',
      'BANDWIDTH=50000,AVERAGE-BANDWIDTH=50000',
    ),
  },
  { name: 'no average', finds: 'V5', multivariant: attribute('AVERAGE-BANDWIDTH=80000,', '') },
  {
    name: 'average above peak',
    finds: 'V5',
    multivariant: attribute('AVERAGE-BANDWIDTH=80000', 'AVERAGE-BANDWIDTH=280000'),
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
    name: 'bandwidth just below the peak of what is listed',
    finds: 'V4',
    multivariant: attribute(
      'BANDWIDTH=200000,AVERAGE-BANDWIDTH=80000',
      'BANDWIDTH=63000,AVERAGE-BANDWIDTH=63000',
    ),
  },
  {
    name: 'average too high',
    finds: 'V5',
    steps: 12,
    multivariant: attribute('AVERAGE-BANDWIDTH=80000', 'AVERAGE-BANDWIDTH=195000'),
  },
]);

const inLow = (edit: (text: string, step: number) => string) => (text: string, step: number, path: string) =>
  path.includes('/low/') ? edit(text, step) : text;
/** A second variant whose segments are its own. */
const low = (segment: (step: number) => SegmentOptions): Tamper => ({
  multivariant: secondVariant,
  rungs: { low: { segment } },
});

describeBreaks('alignment of variants', [
  {
    name: 'discontinuities are counted unlike',
    finds: 'V9',
    multivariant: secondVariant,
    media: inLow((text) => shiftNumber(text, 'DISCONTINUITY-SEQUENCE', 1)),
  },
  {
    name: 'discontinuity in one variant only',
    finds: 'V9',
    says: 'only this variant has a DISCONTINUITY',
    multivariant: secondVariant,
    media: inLow((text) =>
      text.replace(/(#EXT-X-PROG[^\n]*\n#EXTINF[^\n]*\nsegment-8)/, '#EXT-X-DISCONTINUITY\n$1'),
    ),
  },
  {
    name: 'EXTINF differs',
    finds: 'V10',
    says: '#8: EXTINF is 2.005',
    multivariant: secondVariant,
    media: inLow((text) => text.replace(/2\.00000,\nsegment-8/, '2.00500,\nsegment-8')),
  },
  {
    name: 'dates differ',
    finds: 'V10',
    says: 'the date is 5 ms off',
    multivariant: secondVariant,
    media: inLow((text) => text.replaceAll('.000Z', '.005Z')),
  },
  {
    name: 'numbers differ',
    finds: 'V10',
    says: 'the date is -2000 ms off',
    multivariant: secondVariant,
    media: inLow((text) => shiftNumber(text, 'MEDIA-SEQUENCE', 1)),
  },
  {
    name: 'timestamps differ',
    finds: 'V11',
    says: 'the first picture is',
    ...low(() => ({ pts: (pts) => pts + 3 })),
  },
  {
    name: 'pictures are missing at the end',
    finds: 'V11',
    says: 'the last picture is -80.0 ms off',
    ...low(at(4, { pts: (pts, frame) => (frame >= 48 ? pts - 2 * 3600 + (frame - 48) : pts) })),
  },
  {
    name: 'no keyframe where the source has one',
    finds: 'V11',
    says: 'no keyframe',
    ...low(at(4, { keyframe: false })),
    multivariant: (text) => secondVariant(text.replace('#EXT-X-INDEPENDENT-SEGMENTS\n', '')),
  },
  {
    name: 'sound is late',
    finds: 'V11',
    says: 'sound begins 33.3 ms off',
    ...low(() => ({ audioShiftTicks: 3000 })),
  },
  {
    name: 'no sound',
    finds: 'V11',
    says: 'only the first variant has sound',
    ...low(() => ({ audio: undefined })),
    multivariant: (text) => text + secondVariant(text).slice(text.length).replace(',mp4a.40.2', ''),
  },
  {
    name: 'pictures beside a source without',
    finds: 'V11',
    segment: () => ({ video: false }),
    rungs: { low: { segment: () => ({ video: true }) } },
    multivariant: (text) => withoutPictures(text) + secondVariant(text).slice(text.length),
  },
  {
    name: 'far behind',
    finds: 'V12',
    says: 'is 3 segments behind',
    multivariant: fromStep(3, secondVariant),
    rungs: { low: { lag: 3 } },
  },
  {
    name: 'listed before it has a segment',
    finds: 'V12',
    says: 'is listed without a segment',
    multivariant: secondVariant,
    rungs: { low: { from: 1 } },
  },
  {
    name: 'listed and not there',
    finds: 'R2',
    multivariant: secondVariant,
    response: (response, path, _, step) =>
      step >= 4 && path.endsWith('low/video.m3u8') ? { ...response, status: 404 } : response,
  },
  {
    name: 'resolution of an audio-only variant',
    finds: 'V2',
    multivariant: (text) =>
      text +
      secondVariant(text).slice(text.length).replace('avc1.42c01e,', '').replace('FRAME-RATE=25.000,', ''),
    rungs: { low: { segment: () => ({ video: false }) } },
  },
  {
    name: 'pictures in an audio-only variant',
    finds: ['V1', 'V2', 'V3'],
    multivariant: (text) => text + withoutPictures(secondVariant(text).slice(text.length)),
    rungs: { low: {} },
  },
]);

describe('variants', () => {
  it('may disappear between two requests', async () => {
    let asked = 0;
    const validator = await watchStream({
      multivariant: (text, step) => (step < 4 || (step === 4 && asked === 0) ? secondVariant(text) : text),
      response: (response, path, _, step) => {
        if (step < 4 || !path.endsWith('low/video.m3u8')) return response;
        asked += 1;
        return { ...response, status: 404 };
      },
    });
    expect(asked).toBe(1);
    expect(checksOf(validator), validator.summary().text).toEqual([]);
  });

  it('may come back with nothing of what they had before', async () => {
    const away = (step: number) => step >= 3 && step < 9;
    const validator = await watchStream({
      steps: 13,
      multivariant: (text, step) => (away(step) ? text : secondVariant(text)),
      media: inLow((text, step) => (step < 9 ? text : onlyFrom(text, 14))),
    });
    expect(checksOf(validator), validator.summary().text).toEqual([]);
    expect(validator.summary().variants.map(({ segments }) => segments)).toEqual([13, 7]);
  });
});

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
