import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAddressRange, isInRanges, isLoopback, mayComeFrom } from '../../src/access/address-rules.ts';

describe('isAddressRange', () => {
  it.each([
    '192.0.2.7',
    '192.0.2.0/24',
    '0.0.0.0/0',
    '192.0.2.7/32',
    '2001:db8::/32',
    '::/0',
    '::1/128',
    '::ffff:192.0.2.1',
  ])('%s is one', (text) => {
    expect(isAddressRange(text)).toBe(true);
    expect(isInRanges('203.0.113.1', ['198.51.100.1', text])).toBe(text.endsWith('/0'));
  });

  it.each([
    '',
    '/',
    '/8',
    '192.0.2.0/33',
    '::/129',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '192.0.2.0/1.5',
    '192.0.2.0/8/8',
    '192.0.2.0/0x8',
    '192.0.2.0/ 8',
    '192.0.2',
    '192.0.2.256',
    'localhost',
    '192.0.2.1:80',
    '[::1]',
    '*',
  ])('"%s" is none', (text) => {
    expect(isAddressRange(text)).toBe(false);
  });
});

describe('isInRanges', () => {
  it.each([
    ['192.0.2.0', ['192.0.2.0/24'], true],
    ['192.0.2.255', ['192.0.2.0/24'], true],
    ['192.0.3.0', ['192.0.2.0/24'], false],
    ['192.0.1.255', ['192.0.2.0/24'], false],
    // The host part of a range does not matter.
    ['192.0.2.1', ['192.0.2.77/24'], true],
    ['192.0.2.7', ['192.0.2.7'], true],
    ['192.0.2.7', ['192.0.2.7/32'], true],
    ['192.0.2.8', ['192.0.2.7/32'], false],
    ['255.255.255.255', ['0.0.0.0/0'], true],
    ['2001:db8::1', ['0.0.0.0/0'], false],
    ['2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', ['2001:db8::/32'], true],
    ['2001:db9::', ['2001:db8::/32'], false],
    ['2001:DB8:0:0::1', ['2001:db8::1'], true],
    ['::2', ['::1/128'], false],
    ['2001:db8::1', ['::/0'], true],
    ['192.0.2.1', ['::/0'], true],
    // However an IPv4 peer on a dual-stack socket is written.
    ['::ffff:192.0.2.7', ['192.0.2.0/24'], true],
    ['::ffff:c000:207', ['192.0.2.0/24'], true],
    ['::FFFF:192.0.2.7', ['192.0.2.0/24'], true],
    ['192.0.2.7', ['::ffff:192.0.2.0/120'], true],
    ['192.0.2.7', ['::ffff:192.0.2.7'], true],
    ['fe80::1%eth0', ['fe80::/10'], true],
    ['192.0.2.7', ['198.51.100.0/24', '2001:db8::/32', '192.0.2.7'], true],
    ['192.0.2.7', [], false],
  ])('%s in %j: %s', (address, ranges, expected) => {
    expect(isInRanges(address, ranges)).toBe(expected);
  });

  it.each(['', 'unknown', 'localhost', '192.0.2.7:80', '192.0.2.7, 192.0.2.8', '[::1]', '/run/x.sock'])(
    'what is no address, such as "%s", is in no range',
    (address) => {
      expect(isInRanges(address, ['0.0.0.0/0', '::/0'])).toBe(false);
    },
  );

  it('is what the bits say, for any address and any prefix', () => {
    const ipv4 = fc.nat(0xffff_ffff).map((bits) => bits >>> 0);
    const text = (bits: number) => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
    fc.assert(
      fc.property(ipv4, ipv4, fc.integer({ min: 0, max: 32 }), fc.nat(31), (one, far, prefix, bit) => {
        const other = bit < prefix ? (one ^ (1 << (31 - bit))) >>> 0 : far;
        const mask = prefix === 0 ? 0 : (~0 << (32 - prefix)) >>> 0;
        const same = ((one ^ other) & mask) === 0;
        expect(isInRanges(text(other), [`${text(one)}/${prefix}`])).toBe(same);
        expect(isInRanges(`::ffff:${text(other)}`, [`${text(one)}/${prefix}`])).toBe(same);
      }),
    );
  });
});

describe('mayComeFrom', () => {
  it('lets everybody in without rules, also peers without an address', () => {
    expect(mayComeFrom('192.0.2.1', { allow: [], deny: [] })).toBe(true);
    expect(mayComeFrom('unknown', { allow: [], deny: [] })).toBe(true);
  });

  it('deny wins over allow, whichever is narrower', () => {
    expect(mayComeFrom('192.0.2.7', { allow: ['192.0.2.7'], deny: ['192.0.2.0/24'] })).toBe(false);
    expect(mayComeFrom('192.0.2.7', { allow: ['192.0.2.0/24'], deny: ['192.0.2.7'] })).toBe(false);
    expect(mayComeFrom('192.0.2.8', { allow: ['192.0.2.0/24'], deny: ['192.0.2.7'] })).toBe(true);
    expect(mayComeFrom('198.51.100.1', { allow: ['192.0.2.0/24'], deny: [] })).toBe(false);
    expect(mayComeFrom('unknown', { allow: ['0.0.0.0/0'], deny: [] })).toBe(false);
    for (const address of ['unknown', '192.0.2.7:5000', '[2001:db8::1]:443']) {
      expect(mayComeFrom(address, { allow: [], deny: ['192.0.2.7'] }), address).toBe(false);
    }
  });
});

it('isLoopback', () => {
  for (const address of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1'])
    expect(isLoopback(address), address).toBe(true);
  for (const address of ['0.0.0.0', '::', '128.0.0.1', '192.0.2.1', 'localhost'])
    expect(isLoopback(address), address).toBe(false);
});
