import { hlsAddresses } from '../../src/servers/http/hls-address.ts';
import { check } from '../support/tolerate.ts';

/** A path below /hls/. */
export const maxLength = 512;

export function fuzz(data: Buffer): void {
  const path = data.toString('utf8');
  const addresses = hlsAddresses(path, 'live');
  check(addresses.length <= 2, `${addresses.length} readings`);
  for (const { app, name, file } of addresses) {
    check(!name.includes('/') && !(file ?? '').includes('/'), 'a slash in a name');
    check(!app.startsWith('/') && !app.endsWith('/') && !app.includes('//'), `application ${app}`);
    const written = file === null ? `${app}/${name}.m3u8` : `${app}/${name}/${file}`;
    check(written === path || written === `live/${path}`, `${path} reads as ${written}`);
  }
}
