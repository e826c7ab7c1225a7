import fc from 'fast-check';
import type { RenditionState, StreamState } from '../../../src/packaging/rendition-state.ts';
import { segmentInfo } from '../../packaging/support.ts';

/** A stream that has been live for a while. */
export function streamState(change: Partial<StreamState> = {}): StreamState {
  return {
    app: 'live',
    name: 'test',
    savedAt: 1_700_000_000_000.25,
    startedAt: 1_699_999_000_000,
    end: 90_000_123,
    nextMediaSequence: 13,
    nextDiscontinuitySequence: 4,
    rendition: {
      targetDuration: 2,
      discontinuitySequence: 2,
      segments: [segmentInfo(10, 2), segmentInfo(11, 2.2, true), segmentInfo(12, 1.5)],
      retired: [{ uri: 's-9.ts', bytes: 700, duration: 180_000, until: 1_700_000_010_000 }],
      ended: false,
      description: {
        codecs: ['avc1.64001f', 'mp4a.40.2'],
        resolution: { width: 1280, height: 720 },
        frameRate: 29.97,
      },
      bandwidth: { peak: 3_000_000, average: 2_500_000 },
    },
    aligned: [],
    ...change,
  };
}

const part = fc.stringMatching(/^[A-Za-z0-9~_-][A-Za-z0-9~._-]{0,15}$/);
const time = fc.double({ min: 0, max: 4e12, noNaN: true }).map((value) => value + 0);
const natural = fc.integer({ min: 0, max: 2 ** 40 });

/** States as a packager has them. */
export const anyState: fc.Arbitrary<StreamState> = fc
  .record({
    app: fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    name: part,
    savedAt: time,
    startedAt: time,
    end: natural,
    first: natural,
    targetDuration: fc.integer({ min: 1, max: 60 }),
    discontinuitySequence: fc.nat(),
    codecs: fc.subarray(['avc1.64001f', 'mp4a.40.2', 'mp4a.40.34']),
    resolution: fc.option(fc.record({ width: fc.constant(1920), height: fc.constant(1080) })),
    frameRate: fc.option(fc.constantFrom(25, 29.97, 60)),
    bandwidth: fc.record({ peak: natural, average: natural }),
    ended: fc.boolean(),
    listed: fc.array(
      fc.record({
        share: fc.double({ min: 0.01, max: 1, noNaN: true }),
        bytes: natural,
        programDateTime: time,
        discontinuity: fc.boolean(),
        independent: fc.boolean(),
      }),
      { maxLength: 12 },
    ),
    retired: fc.array(
      fc.record({ bytes: natural, duration: fc.integer({ min: 1, max: 2 ** 40 }), until: time }),
      {
        maxLength: 6,
      },
    ),
    started: fc.boolean(),
    others: fc.uniqueArray(fc.constantFrom('720p', '360p', 'audio')),
  })
  .map((drawn) => {
    const { app, name, savedAt, startedAt, end, first, targetDuration, discontinuitySequence } = drawn;
    const segments = drawn.listed.map(({ share, ...rest }, index) => ({
      mediaSequence: first + index,
      uri: `s-${first + index}.ts`,
      duration: Math.ceil(share * targetDuration * 90_000),
      ...rest,
    }));
    const { codecs, resolution, frameRate, bandwidth, ended } = drawn;
    const retired = drawn.retired.map((one, index) => ({ uri: `r-${index}.ts`, ...one }));
    const rendition: RenditionState = {
      targetDuration,
      discontinuitySequence,
      segments,
      retired,
      ended,
      description: { codecs, resolution, frameRate },
      bandwidth,
    };
    const named = <T extends { readonly uri: string }>(prefix: string, some: readonly T[]) =>
      some.map((one) => ({ ...one, uri: `${prefix}-${one.uri}` }));
    const others = drawn.others.map((other) => ({
      ...rendition,
      name: other,
      segments: named(other, segments),
      retired: named(other, retired),
    }));
    return {
      app,
      name,
      savedAt,
      startedAt,
      end,
      rendition: drawn.started ? rendition : null,
      aligned: drawn.started ? others : [],
      nextMediaSequence: first + segments.length,
      nextDiscontinuitySequence: discontinuitySequence + segments.length + 1,
    };
  });
