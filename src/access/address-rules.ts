import { BlockList, isIP } from 'node:net';

/** Who may come in by address: `deny` wins, and an empty `allow` means everybody. */
export interface AddressRules {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`. */
export function isAddressRange(text: string): boolean {
  const [address = '', prefix, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

const compiled = new WeakMap<readonly string[], BlockList>();

/** @param address as the socket has it; what is no address is in no range */
export function isInRanges(address: string, ranges: readonly string[]): boolean {
  if (ranges.length === 0) return false;
  let list = compiled.get(ranges);
  if (list === undefined) {
    list = compile(ranges);
    compiled.set(ranges, list);
  }
  const plain = plainAddress(address);
  const family = isIP(plain);
  return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

/** What is no address (proxies may add a port to it) is not known to be outside of `deny`. */
export function mayComeFrom(address: string, { allow, deny }: AddressRules): boolean {
  if (deny.length > 0 && isIP(plainAddress(address)) === 0) return false;
  return !isInRanges(address, deny) && (allow.length === 0 || isInRanges(address, allow));
}

export function isLoopback(address: string): boolean {
  return isInRanges(address, LOOPBACK);
}

const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1'];

/** On a dual-stack socket IPv4 peers come as ::ffff:192.0.2.1. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}

function compile(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
