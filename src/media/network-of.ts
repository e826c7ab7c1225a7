const IPV4_AS_IPV6 = '0064:ff9b:0000:0000:';

/**
 * Whom an address counts as where nobody is to have too much: an IPv4 address is one customer's, of IPv6 every customer
 * has a /64 at least (RFC 6177 section 1). Addresses from a translator (RFC 6052 section 2.1, 64:ff9b::/96) are IPv4 ones.
 *
 * @param address as sockets have it; what is none stands for itself
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  const groups = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0'));
  const network = `${groups.slice(0, 4).join(':')}:`;
  return network === IPV4_AS_IPV6 ? address : `${network}:/64`;
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
