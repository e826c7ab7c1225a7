import { isIP } from 'node:net';
import Fastify from 'fastify';
import { isLoopback } from '../../src/access/address-rules.ts';
import { guardApi } from '../../src/servers/http/api-access.ts';
import { check } from '../support/tolerate.ts';

/** Lines: a peer's address, Host, another header, Authorization. */
export const maxLength = 512;

const TOKEN = 'token';
const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

const open = await guarded(null);
const closed = await guarded(TOKEN);

export async function fuzz(data: Buffer): Promise<void> {
  // What the HTTP parser lets through.
  const [address = '', host = '', other = '', authorization = ''] = data
    .toString('latin1')
    .split('\n')
    .map((line) => line.replace(/[^\x20-\x7e\xa0-\xff]/g, '').trim());
  const [, name = '', value = ''] = /^([^:]*):(.*)$/.exec(other) ?? [];
  const headers: Record<string, string> = { host: host || 'example.org', authorization };
  if (HEADER_NAME.test(name.toLowerCase())) headers[name.toLowerCase()] = value.trim();
  // The kernel says where a connection comes from.
  const peer = isIP(address) === 0 ? '192.0.2.1' : address;
  const request = { url: '/', headers, remoteAddress: peer };
  const local = await open.inject(request);
  check(local.statusCode === 200 || local.statusCode === 403, `status ${local.statusCode} without a token`);
  if (local.statusCode === 200) {
    check(isLoopback(peer), `let in from ${peer}`);
    // What no browser can ask for, like 127.300.0.1, does no harm.
    const { hostname } = new URL(
      URL.canParse(`http://${headers.host}`) ? `http://${headers.host}` : 'http://localhost',
    );
    check(hostname === 'localhost' || isLoopback(hostname.replace(/[[\]]/g, '')), `let in as ${hostname}`);
    check(
      !/^(forwarded|via|x-forwarded-(for|host|proto)|x-real-ip)$/.test(name.toLowerCase()),
      `let in through a proxy`,
    );
  }
  const remote = await closed.inject(request);
  check(remote.statusCode === 200 || remote.statusCode === 401, `status ${remote.statusCode} with a token`);
  if (remote.statusCode === 200) check(headers.authorization?.endsWith(TOKEN) === true, 'let in without it');
}

async function guarded(token: string | null) {
  const app = Fastify();
  guardApi(app, { token: () => token, onDenied: () => {} });
  app.get('/', async () => 'secret');
  await app.ready();
  return app;
}
