import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkOf } from '../../src/media/network-of.ts';

const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
const half = fc.tuple(group, group, group, group).map((groups) => groups.join(':'));

/** As the kernel writes it: the first run of two zeros or more is left out. */
function compressed(address: string): string {
  return address.replace(/(^|:)0(:0)+(?=:|$)/, '::').replace(':::', '::');
}

describe('the network of an address', () => {
  it('is the address itself for IPv4, also through a translator, and for what is none', () => {
    for (const address of ['192.0.2.7', '64:ff9b::c000:207', 'unknown', ''])
      expect(networkOf(address)).toBe(address);
  });

  it('is the same for a whole /64 of IPv6 and for no other', () => {
    expect(networkOf('2001:db8::1')).toBe('2001:0db8:0000:0000::/64');
    expect(networkOf('2001:DB8:0:0:ffff::9')).toBe('2001:0db8:0000:0000::/64');
    expect(networkOf('2001:db8:0:1::1')).toBe('2001:0db8:0000:0001::/64');
    expect(networkOf('::1')).toBe('0000:0000:0000:0000::/64');
    expect(networkOf('::')).toBe('0000:0000:0000:0000::/64');
    expect(networkOf('fe80::1%eth0')).toBe(networkOf('fe80::2%eth0'));
    const long = (prefix: string) => prefix.replace(/[^:]+/g, (text) => text.padStart(4, '0'));
    fc.assert(
      fc.property(half, half, (prefix, rest) => {
        fc.pre(long(prefix) !== '0064:ff9b:0000:0000');
        const expected = `${long(prefix)}::/64`;
        expect(networkOf(`${prefix}:${rest}`)).toBe(expected);
        expect(networkOf(compressed(`${prefix}:${rest}`))).toBe(expected);
      }),
    );
  });

  it('is nothing that a text could make fail', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0a:.%g'), maxLength: 30 });
    fc.assert(
      fc.property(text, (address) => {
        const network = networkOf(address);
        expect(network === address || /^(.{4,}:){1,4}:\/64$/.test(network), network).toBe(true);
      }),
    );
  });
});
