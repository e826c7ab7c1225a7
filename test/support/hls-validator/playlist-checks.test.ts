import { expect, it } from 'vitest';
import { at, describeBreaks, insertAfterHead, shiftNumber, stall } from './synthetic-stream.ts';

const replaceFrom = (first: number, from: string | RegExp, to: string) => (text: string, step: number) =>
  step >= first ? text.replace(from, to) : text;

describeBreaks('media playlists over time', [
  { name: 'unusable URI', finds: 'P1', media: replaceFrom(3, 'segment-8.ts', 'http://[') },
  {
    name: 'target duration zero',
    finds: ['P2', 'P3'],
    media: (text) => text.replace('DURATION:2', 'DURATION:0'),
  },
  { name: 'segment without duration', finds: ['P12', 'P2'], segment: at(4, { declaredDuration: 0 }) },
  {
    name: 'discontinuity sequence goes back while the whole window changes',
    finds: 'P4',
    segment: at(1, { discontinuity: true }),
    media: (text, step) =>
      step === 8
        ? shiftNumber(text, 'MEDIA-SEQUENCE', 100)
            .replaceAll('segment-', 'other-')
            .replace(/DISCONTINUITY-SEQUENCE:\d+/, 'DISCONTINUITY-SEQUENCE:0')
        : text,
  },
  {
    name: 'a slip in the syntax is reported',
    finds: 'P1',
    media: insertAfterHead('#EXT-X-TARGETDURATION:2'),
  },
  { name: 'target duration changes', finds: 'P2', media: replaceFrom(5, 'DURATION:2', 'DURATION:3') },
  {
    name: 'EXTINF rounds above the target',
    finds: 'P2',
    segment: at(4, { frames: 62, declaredDuration: 2.5 }),
  },
  { name: 'segment far too long', finds: 'P3', segment: at(4, { frames: 65 }) },
  {
    name: 'media sequence goes back',
    finds: 'P4',
    media: (text, step) => (step === 8 ? shiftNumber(text, 'MEDIA-SEQUENCE', -3) : text),
  },
  {
    name: 'media sequence counts removed segments twice',
    finds: 'P4',
    media: (text, step) => (step >= 7 ? shiftNumber(text, 'MEDIA-SEQUENCE', 1) : text),
  },
  {
    name: 'segments withdrawn at the end',
    finds: 'P4',
    media: (text, step) =>
      step === 5 ? text.replace(/#EXT-X-PROGRAM-DATE-TIME:.*\n.*\nsegment-9[\s\S]*/, '') : text,
  },
  {
    name: 'discontinuity sequence moves without reason',
    finds: 'P4',
    media: (text, step) => (step >= 6 ? shiftNumber(text, 'DISCONTINUITY-SEQUENCE', 1) : text),
  },
  {
    name: 'discontinuity sequence stays when the tag leaves',
    finds: 'P4',
    segment: at(1, { discontinuity: true }),
    media: (text) => text.replace(/DISCONTINUITY-SEQUENCE:\d+/, 'DISCONTINUITY-SEQUENCE:0'),
  },
  {
    name: 'discontinuity tag is dropped before its segment',
    finds: 'P4',
    segment: at(2, { discontinuity: true }),
    media: (text, step) =>
      step === 7
        ? shiftNumber(text.replace('#EXT-X-DISCONTINUITY\n', ''), 'DISCONTINUITY-SEQUENCE', 1)
        : text,
  },
  { name: 'URI of a number changes', finds: 'P5', media: replaceFrom(5, 'segment-8.ts', 'other-8.ts') },
  {
    name: 'EXTINF of a listed segment changes',
    finds: 'P5',
    media: replaceFrom(5, '2.00000,\nsegment-8', '2.01000,\nsegment-8'),
  },
  { name: 'too few segments', finds: 'P6', window: 5 },
  { name: 'too few seconds', finds: 'P6', segment: () => ({ frames: 20 }), window: 7 },
  { name: 'no dates', finds: 'P8', media: (text) => text.replace(/#EXT-X-PROGRAM-DATE-TIME.*\n/g, '') },
  {
    name: 'one date is off',
    finds: 'P8',
    media: (text) => text.replace(/\.000Z(\n.*\nsegment-8)/, '.200Z$1'),
  },
  {
    name: 'dates of listed segments move',
    finds: 'P8',
    media: (text, step) => (step >= 5 ? text.replaceAll('.000Z', '.100Z') : text),
  },
  {
    name: 'discontinuity without a date',
    finds: 'P8',
    segment: at(3, { discontinuity: true }),
    media: (text) => text.replace(/(DISCONTINUITY\n)#EXT-X-PROGRAM.*\n/, '$1'),
  },
  {
    name: 'discontinuity without sequence',
    finds: 'P9',
    window: 20,
    segment: at(7, { discontinuity: true }),
    media: (text) => text.replace(/#EXT-X-DISCONTINUITY-SEQUENCE.*\n/, ''),
  },
  {
    name: 'sliding without discontinuity sequence',
    finds: 'P9',
    media: (text) => text.replace(/#EXT-X-DISCONTINUITY-SEQUENCE.*\n/, ''),
  },
  { name: 'declared independent, but is not', finds: 'P11', segment: at(3, { keyframe: false }) },
  {
    name: 'independence declared twice',
    finds: 'P11',
    media: insertAfterHead('#EXT-X-INDEPENDENT-SEGMENTS'),
  },
  { name: 'EXTINF too short', finds: 'P12', segment: at(4, { declaredDuration: 1.9 }) },
  {
    name: 'EXTINF too long before a discontinuity',
    finds: 'P12',
    segment: (step) => (step === 4 ? { declaredDuration: 2.2 } : { discontinuity: step === 5 }),
  },
  {
    name: 'EXTINF of a single picture before a discontinuity too long',
    finds: 'P12',
    segment: (step) => (step === 4 ? { frames: 1, declaredDuration: 0.15 } : { discontinuity: step === 5 }),
  },
  {
    name: 'EXTINF of the last segment too long',
    finds: 'P12',
    segment: at(8, { declaredDuration: 2.2 }),
    media: (text, step) => (step === 8 ? `${text}#EXT-X-ENDLIST\n` : text),
  },
  {
    name: 'EXTINF too short after one that was too long, so that the sum hardly drifts',
    finds: 'P12',
    segment: (step) => (step === 3 ? { declaredDuration: 2.03 } : at(4, { declaredDuration: 1.95 })(step)),
  },
  { name: 'EXTINF drifts by half a frame each', finds: 'P12', segment: () => ({ declaredDuration: 1.98 }) },
  {
    name: 'sliding playlist of type EVENT',
    finds: 'P13',
    media: insertAfterHead('#EXT-X-PLAYLIST-TYPE:EVENT'),
  },
  {
    name: 'type VOD without end',
    finds: 'P13',
    window: 20,
    media: insertAfterHead('#EXT-X-PLAYLIST-TYPE:VOD'),
  },
  {
    name: 'type changes',
    finds: 'P13',
    window: 20,
    media: (text, step) => (step >= 4 ? insertAfterHead('#EXT-X-PLAYLIST-TYPE:EVENT')(text) : text),
  },
  {
    name: 'end is withdrawn',
    finds: 'P14',
    says: 'ENDLIST was withdrawn',
    media: (text, step) => (step === 5 ? `${text}#EXT-X-ENDLIST\n` : text),
  },
  {
    name: 'segments after the end',
    finds: 'P14',
    says: 'changed after ENDLIST',
    media: (text, step) => (step >= 5 ? `${text}#EXT-X-ENDLIST\n` : text),
  },
  { name: 'removed segments are gone at once', finds: 'R1', keepSeconds: 0 },
  { name: 'removed segments go after a quarter of the window', finds: 'R1', keepSeconds: 3 },
  {
    name: 'a listed segment is missing',
    finds: 'R2',
    response: (response, path) => (path.endsWith('segment-8.ts') ? { ...response, status: 404 } : response),
  },
  {
    name: 'the media playlist is missing',
    finds: 'R2',
    response: (response, path) => (path.endsWith('video.m3u8') ? { ...response, status: 404 } : response),
  },
]);

it('P7: no new segment for too long is one finding', async () => {
  const { validator } = await stall(false);
  expect(validator.findings.map((finding) => finding.check)).toEqual(['P7']);
});
