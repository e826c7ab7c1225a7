import { parseStreamPath, streamFolder } from '../../src/live/stream-name.ts';
import { hlsAddresses, multivariantPath } from '../../src/servers/http/hls-address.ts';
import { check, failure } from '../support/tolerate.ts';

/** Application and stream key, a line feed between them. */
export const maxLength = 512;

export function fuzz(data: Buffer): void {
  const [app = '', key = ''] = data.toString('utf8').split('\n');
  const code = failure(() => {
    const path = parseStreamPath(app, key);
    check(/^[\w~-][\w~.-]{0,127}$/.test(path.name), `name ${path.name}`);
    check(/^[\w~-][\w~.-]*(\/[\w~-][\w~.-]*){0,3}$/.test(path.app), `application ${path.app}`);
    check(!path.name.includes('?') && !path.app.includes('?'), 'a query in the name');
    check(/^[\w~.@-]{3,200}$/.test(streamFolder(path.app, path.name)), 'a folder of another shape');
    // Whatever may be published can be played.
    const address = multivariantPath(path.app, path.name, 'live').slice('hls/'.length);
    const found = hlsAddresses(address, 'live').some(
      (each) => each.app === path.app && each.name === path.name && each.file === null,
    );
    check(found, `${address} does not lead to ${path.app}/${path.name}`);
  });
  check(code === null || code === 'SLUICE_RTMP_BAD_NAME', `${code} from a name`);
}
