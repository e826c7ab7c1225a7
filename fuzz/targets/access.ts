import { isAddressRange, isInRanges, mayComeFrom } from '../../src/access/address-rules.ts';
import { carriesToken } from '../../src/access/bearer-token.ts';
import { Gatekeeper } from '../../src/access/gatekeeper.ts';
import { isValidPlaybackToken, signPlayback } from '../../src/access/playback-token.ts';
import { hashKey, isKeyHash } from '../../src/access/stream-keys.ts';
import { check, failure } from '../support/tolerate.ts';

/** Lines: a peer's address, a rule, the query of a playlist's address, a stream key, an Authorization header. */
export const maxLength = 512;

const NOW = 1_700_000_000;
const SECRET = 'a secret of some length';
const STREAM = { app: 'live', name: 'test' };
const VALID = signPlayback(SECRET, { ...STREAM, expires: NOW + 60 });
const KEY = 'the right key';

const gatekeeper = new Gatekeeper({
  settings: () => ({
    publish: { allow: [], deny: ['192.0.2.0/24'], keys: [{ name: 'test', key: hashKey(KEY) }] },
    play: { allow: [], deny: [], secrets: [SECRET] },
    callback: { actions: [], timeout: 1, onError: 'deny' },
  }),
  now: () => NOW,
  onCallbackFailure: () => {},
});

/** What is in neither is no address, and cannot be outside of a rule. */
const EVERYWHERE: readonly string[] = ['0.0.0.0/0', '::/0'];

export function fuzz(data: Buffer): void {
  const [address = '', rule = '', query = '', key = '', authorization = ''] = data
    .toString('utf8')
    .split('\n');
  if (isAddressRange(rule)) {
    const rules = [rule];
    const inside = isInRanges(address, rules);
    const known = isInRanges(address, EVERYWHERE);
    check(mayComeFrom(address, { allow: [], deny: rules }) === (known && !inside), 'denied or not');
    check(mayComeFrom(address, { allow: rules, deny: rules }) === false, 'deny does not win');
  }
  const token = query.slice(query.indexOf('=') + 1);
  if (isValidPlaybackToken(token, STREAM, [SECRET], NOW))
    check(token === VALID, `a token of its own: ${token}`);
  const denied = failure(() => {
    const entered = gatekeeper.enter({ ...STREAM, query, address });
    check(entered === VALID, `let in with ${query}`);
  });
  check(denied === null || denied === 'SLUICE_PLAY_DENIED', `${denied} from playing`);
  const refused = failure(() => {
    const name = gatekeeper.publish({ app: 'live', key, query, address });
    check(name === 'test' && key === KEY, `published as ${name}`);
  });
  check(refused === null || refused === 'SLUICE_PUBLISH_DENIED', `${refused} from publishing`);
  check(isKeyHash(hashKey(key)), 'a hash that is none');
  if (carriesToken(authorization, 'token')) {
    check(/^bearer +token$/i.test(authorization), `operator with ${authorization}`);
  }
}
