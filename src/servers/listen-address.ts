import { lookup } from 'node:dns/promises';

/**
 * Where to listen when the configuration says `host`. localhost may be several addresses, and a listener has one: that of
 * IPv4, where whatever is told 127.0.0.1 finds it too.
 *
 * @returns undefined for all addresses
 */
export async function listenAddress(host: string | undefined): Promise<string | undefined> {
  if (host !== 'localhost') return host;
  const { address } = await lookup(host, { family: 4 }).catch(() => lookup(host));
  return address;
}
