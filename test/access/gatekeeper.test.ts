import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type AccessSettings, Gatekeeper } from '../../src/access/gatekeeper.ts';
import { isValidPlaybackToken, signPlayback } from '../../src/access/playback-token.ts';
import { hashKey } from '../../src/access/stream-keys.ts';
import { SluiceError } from '../../src/media/errors.ts';

const NOW = 1_700_000_000;
const SECRET = 'a secret of some length';
const OLD = 'the secret before this one';
const KEY = 'correct-horse-battery';
/** Not the fault of the key or the link. */
const UNANSWERED =
  'SLUICE_CALLBACK_FAILED: the callback could not be reached, failed or did not answer in time';

type Part<K extends keyof AccessSettings> = Partial<AccessSettings[K]>;

function settings(change: {
  publish?: Part<'publish'>;
  play?: Part<'play'>;
  callback?: Part<'callback'>;
}): AccessSettings {
  return {
    publish: { allow: [], deny: [], keys: [], ...change.publish },
    play: { allow: [], deny: [], secrets: [], ...change.play },
    callback: { actions: ['publish'], timeout: 5, onError: 'deny', ...change.callback },
  };
}

function rig(change: Parameters<typeof settings>[0] = {}) {
  const failures: string[] = [];
  const now = { seconds: NOW };
  let current = settings(change);
  const apps: string[] = [];
  const gatekeeper = new Gatekeeper({
    settings: (app) => {
      apps.push(app);
      return current;
    },
    now: () => now.seconds,
    onCallbackFailure: (question, reason, allowed) =>
      failures.push(`${question.action} ${question.app}/${question.name} ${reason} ${allowed}`),
  });
  return {
    gatekeeper,
    failures,
    now,
    apps,
    change: (next: Parameters<typeof settings>[0]) => {
      current = settings(next);
    },
    publish: (key = 'test', address = '192.0.2.1') =>
      outcome(() => gatekeeper.publish({ app: 'live', key, query: 'a=1', address })),
    enter: (query = '', address = '192.0.2.1', name = 'test') =>
      outcome(() => gatekeeper.enter({ app: 'live', name, query, address })),
    follow: (query = '', address = '192.0.2.1', name = 'test') =>
      outcome(() => gatekeeper.follow({ app: 'live', name, query, address })),
  };
}

/** The answer, or the code and reason of a refusal. */
async function outcome<T>(action: () => T | Promise<T>): Promise<T | string> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof SluiceError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(answer: (response: ServerResponse, body: unknown) => void): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    answer(response, JSON.parse(body));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`;
}

describe('publishing', () => {
  it('is open without settings: the key is the name', async () => {
    const { gatekeeper, publish } = rig();
    expect(await publish('cam')).toBe('cam');
    // And costs nobody a turn of the event loop.
    expect(gatekeeper.publish({ app: 'live', key: 'cam', query: '', address: 'unknown' })).toBe('cam');
  });

  it('with keys takes nothing else, and never says more than that', async () => {
    const { publish } = rig({ publish: { keys: [{ name: 'cam', key: hashKey(KEY) }] } });
    expect(await publish(KEY)).toBe('cam');
    for (const wrong of ['cam', '', KEY.slice(1), hashKey(KEY)])
      expect(await publish(wrong)).toBe('SLUICE_PUBLISH_DENIED: the stream key is not known');
  });

  it('is refused by address before the key is looked at', async () => {
    const { publish } = rig({
      publish: { deny: ['192.0.2.0/24'], keys: [{ name: 'cam', key: hashKey(KEY) }] },
    });
    const refusal = 'SLUICE_PUBLISH_DENIED: this address may not publish';
    expect([await publish(KEY), await publish('wrong')]).toEqual([refusal, refusal]);
    expect(await publish(KEY, '198.51.100.1')).toBe('cam');
    expect(await publish(KEY, '::ffff:192.0.2.9')).toBe(refusal);
  });

  it('asks the callback about the public name, after everything else has agreed', async () => {
    const asked: unknown[] = [];
    let status = 200;
    const url = await listen((response, body) => {
      asked.push(body);
      response.writeHead(status).end();
    });
    const { publish } = rig({
      publish: { deny: ['203.0.113.1'], keys: [{ name: 'cam', key: hashKey(KEY) }] },
      callback: { url },
    });
    expect(await publish('wrong')).toMatch('not known');
    expect(await publish(KEY, '203.0.113.1')).toMatch('address');
    expect(asked).toEqual([]);
    expect(await publish(KEY)).toBe('cam');
    expect(asked).toEqual([
      { action: 'publish', app: 'live', name: 'cam', address: '192.0.2.1', query: 'a=1' },
    ]);
    status = 403;
    expect(await publish(KEY)).toBe('SLUICE_PUBLISH_DENIED: the callback refused');
  });

  it('does not ask a callback that is for playing', async () => {
    const { publish } = rig({ callback: { url: 'http://127.0.0.1:2/', actions: ['play'] } });
    expect(await publish('cam')).toBe('cam');
  });

  it.each(['deny', 'allow'] as const)(
    'onError %s decides when the callback is not there',
    async (onError) => {
      const { publish, failures } = rig({ callback: { url: 'http://u:hunter2@127.0.0.1:2/', onError } });
      expect(await publish('cam')).toBe(onError === 'allow' ? 'cam' : UNANSWERED);
      expect(failures).toEqual([
        `publish live/cam the request failed (ECONNREFUSED) ${onError === 'allow' ? 'true' : 'false'}`,
      ]);
    },
  );

  it('a callback that fails refuses nobody for the key, and is counted as a refusal', async () => {
    const url = await listen((response) => response.writeHead(500).end());
    const { gatekeeper, publish, failures } = rig({ callback: { url } });
    expect(await publish('cam')).toBe(UNANSWERED);
    expect(gatekeeper.denied).toEqual({ publish: 1, play: 0 });
    expect(failures).toEqual(['publish live/cam it answered 500 false']);
  });

  it('reads the settings at each attempt', async () => {
    const { publish, change, apps } = rig();
    expect(await publish('cam')).toBe('cam');
    change({ publish: { keys: [{ name: 'other', key: hashKey('cam') }] } });
    expect(await publish('cam')).toBe('other');
    change({ publish: { deny: ['0.0.0.0/0'] } });
    expect(await publish('cam')).toMatch('SLUICE_PUBLISH_DENIED');
    expect(new Set(apps)).toEqual(new Set(['live']));
  });

  it('a crowd of viewers that wait for the callback keeps no publisher out', async () => {
    const waiting: ServerResponse[] = [];
    const url = await listen((response, body) => {
      if (JSON.stringify(body).includes('"play"')) waiting.push(response);
      else response.end();
    });
    const { enter, publish, failures } = rig({
      play: { secrets: [SECRET] },
      callback: { url, actions: ['publish', 'play'] },
    });
    const crowd = Array.from({ length: 1101 }, () => enter());
    expect(await crowd.at(-1)).toBe(UNANSWERED);
    expect(failures).toEqual(['play live/test too many requests wait for it false']);
    expect(await publish('cam')).toBe('cam');
    await expect.poll(() => waiting.length).toBe(100);
    for (const response of waiting.splice(0, 10)) response.end();
    // Ten of those that waited have their turn.
    await expect.poll(() => waiting.length).toBe(100);
    expect(await crowd[0]).toMatch(/^\d+\./);
    expect(failures).toHaveLength(1);
  });

  it.each([
    ['deny', UNANSWERED],
    ['allow', expect.stringMatching(/^\d+\./)],
  ] as const)(
    'that gets no answer in time is as the settings say, however long it waited for its turn: %s',
    async (onError, answer) => {
      const url = await listen(() => {});
      const { enter, failures } = rig({
        play: { secrets: [SECRET] },
        callback: { url, actions: ['play'], timeout: 0.5, onError },
      });
      const crowd = Array.from({ length: 150 }, () => enter());
      expect(await Promise.all(crowd)).toEqual(Array(150).fill(answer));
      // Also of those that had to wait for their turn.
      expect(failures).toHaveLength(150);
    },
  );
});

describe('playing', () => {
  const token = (change: { name?: string; expires?: number; secret?: string } = {}) =>
    signPlayback(change.secret ?? SECRET, {
      app: 'live',
      name: change.name ?? 'test',
      expires: change.expires ?? NOW + 60,
    });
  const NOT_SIGNED = 'SLUICE_PLAY_DENIED: the address is not signed, or has expired';

  it('is open without secrets, whatever the address has in it', async () => {
    const { gatekeeper, enter, follow } = rig();
    expect(gatekeeper.isOpen('live')).toBe(true);
    expect(await enter('token=nonsense')).toBeNull();
    expect(await follow('token=nonsense')).toBeUndefined();
  });

  it('needs the token of this stream, before it expires, on both playlists', async () => {
    const { gatekeeper, enter, follow, now } = rig({ play: { secrets: [SECRET] } });
    expect(gatekeeper.isOpen('live')).toBe(false);
    expect(await enter(`token=${token()}`)).toBe(token());
    expect(await follow(`token=${token()}`)).toBeUndefined();
    for (const query of ['', 'token=', 'token', `Token=${token()}`, `token=${token({ name: 'other' })}`]) {
      expect(await enter(query), query).toBe(NOT_SIGNED);
      expect(await follow(query), query).toBe(NOT_SIGNED);
    }
    now.seconds = NOW + 121;
    expect(await enter(`token=${token()}`)).toBe(NOT_SIGNED);
    expect(await follow(`token=${token()}`)).toBe(NOT_SIGNED);
  });

  it('leaves the parameters of players alone', async () => {
    const { enter, follow } = rig({ play: { secrets: [SECRET] } });
    for (const query of [
      `_HLS_msn=5&_HLS_part=1&token=${token()}`,
      `token=${token()}&_HLS_skip=YES&x=%zz`,
      `token=${encodeURIComponent(token())}`,
    ]) {
      expect(await enter(query), query).toBe(token());
      expect(await follow(query), query).toBeUndefined();
    }
  });

  it('counts the first of two tokens, as every other reader of an address would', async () => {
    const { enter } = rig({ play: { secrets: [SECRET] } });
    expect(await enter(`token=${token()}&token=bad`)).toBe(token());
    expect(await enter(`token=bad&token=${token()}`)).toBe(NOT_SIGNED);
  });

  it('lets links of the last secret go on until it is taken away', async () => {
    const { follow, change } = rig({ play: { secrets: [OLD] } });
    const query = `token=${token({ secret: OLD })}`;
    change({ play: { secrets: [SECRET, OLD] } });
    expect(await follow(query)).toBeUndefined();
    change({ play: { secrets: [SECRET] } });
    expect(await follow(query)).toBe(NOT_SIGNED);
  });

  it('is refused by address, with the best of tokens', async () => {
    const { enter, follow } = rig({ play: { secrets: [SECRET], deny: ['192.0.2.1'] } });
    const refusal = 'SLUICE_PLAY_DENIED: this address may not play';
    expect(await enter(`token=${token()}`)).toBe(refusal);
    expect(await follow(`token=${token()}`)).toBe(refusal);
    expect(await follow(`token=${token()}`, '192.0.2.2')).toBeUndefined();
    const inside = rig({ play: { allow: ['10.0.0.0/8'] } });
    expect(await inside.enter()).toBe(refusal);
    expect(await inside.enter('', '10.1.2.3')).toBeNull();
  });

  it('the callback lets in who has no token, for as long as a long evening', async () => {
    const asked: unknown[] = [];
    const url = await listen((response, body) => {
      asked.push(body);
      response.end();
    });
    const { enter, follow, now } = rig({
      play: { secrets: [SECRET, OLD] },
      callback: { url, actions: ['play'] },
    });
    const granted = await enter('session=abc');
    expect(asked).toEqual([
      { action: 'play', app: 'live', name: 'test', address: '192.0.2.1', query: 'session=abc' },
    ]);
    expect(isValidPlaybackToken(String(granted), { app: 'live', name: 'test' }, [SECRET], NOW)).toBe(true);
    // The media playlist is loaded every few seconds and asks nobody.
    expect(await follow(`token=${granted}`)).toBeUndefined();
    now.seconds += 12 * 3600;
    expect(await follow(`token=${granted}`)).toBeUndefined();
    now.seconds += 61;
    expect(await follow(`token=${granted}`)).toBe(NOT_SIGNED);
    expect(asked).toHaveLength(1);
    // Nor does a valid token.
    now.seconds = NOW;
    expect(await enter(`token=${token()}`)).toBe(token());
    expect(asked).toHaveLength(1);
  });

  it('the callback refuses, or is not there', async () => {
    const url = await listen((response) => response.writeHead(401).end());
    const refused = rig({ play: { secrets: [SECRET] }, callback: { url, actions: ['play'] } });
    expect(await refused.enter()).toBe('SLUICE_PLAY_DENIED: the callback refused');
    const gone = { url: 'http://127.0.0.1:2/', actions: ['play' as const] };
    const failing = rig({ play: { secrets: [SECRET] }, callback: { ...gone, onError: 'allow' } });
    expect(await failing.enter()).toMatch(/^\d+\./);
    expect(failing.failures).toEqual(['play live/test the request failed (ECONNREFUSED) true']);
  });
});
