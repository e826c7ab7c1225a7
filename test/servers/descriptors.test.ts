import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { descriptorLimit, lacksDescriptors, shareDescriptors } from '../../src/servers/descriptors.ts';

describe('the shares of the descriptors', () => {
  it.each([
    [65_536, 1000, { rtmp: 1000, http: 64_280 }],
    [4096, 1000, { rtmp: 1000, http: 2840 }],
    // Too few for as many encoders as are allowed.
    [1024, 1000, { rtmp: 384, http: 384 }],
    [1024, 10, { rtmp: 10, http: 758 }],
    // Too few for the reserve.
    [160, 1000, { rtmp: 40, http: 40 }],
    [Number.POSITIVE_INFINITY, 1000, { rtmp: 1000, http: Number.POSITIVE_INFINITY }],
  ])('of %d with rtmp.maxConnections %d', (limit, maxRtmp, shares) => {
    expect(shareDescriptors(limit, maxRtmp)).toEqual(shares);
  });

  it('leave the reserve and something for each, whatever the limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 2 ** 20 }),
        fc.integer({ min: 1, max: 2 ** 20 }),
        (limit, max) => {
          const { rtmp, http } = shareDescriptors(limit, max);
          expect(rtmp).toBeGreaterThan(0);
          expect(rtmp).toBeLessThanOrEqual(max);
          expect(http).toBeGreaterThanOrEqual(rtmp);
          expect(limit - rtmp - http).toBeGreaterThanOrEqual(Math.min(256, limit / 2));
        },
      ),
    );
  });
});

it('the limit is that of this process, where there is one', () => {
  expect(descriptorLimit()).toBeGreaterThan(100);
});

it.each([
  ['EMFILE', true],
  ['ENFILE', true],
  ['ENOSPC', false],
])('an error %s means that descriptors lack: %s', (code, lacks) => {
  expect(lacksDescriptors(Object.assign(new Error(code), { code }))).toBe(lacks);
  expect(lacksDescriptors(code)).toBe(false);
});
