import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStreamPath, streamFolder } from '../../src/live/stream-name.ts';
import { failure } from '../formats/amf/support.ts';

const long = (length: number) => 'x'.repeat(length);

describe('parseStreamPath', () => {
  it.each([
    ['live', 'test', 'live', 'test'],
    ['live', 'Az09~_-.x', 'live', 'Az09~_-.x'],
    ['live/', 'test', 'live', 'test'],
    ['/live//', '/test/', 'live', 'test'],
    ['live/event', 'test', 'live/event', 'test'],
    ['live', 'event/test', 'live/event', 'test'],
    ['live/test', '', 'live', 'test'],
    ['', 'live/test', 'live', 'test'],
    ['a/b/c/d', 'test', 'a/b/c/d', 'test'],
    ['-', '_', '-', '_'],
    ['live', 'v1..2', 'live', 'v1..2'],
    [long(128), long(128), long(128), long(128)],
  ])('%j and %j', (app, key, expectedApp, expectedName) => {
    expect(parseStreamPath(app, key)).toEqual({ app: expectedApp, name: expectedName, query: '' });
  });

  it.each([
    ['live', 'test?token=x', 'token=x'],
    ['live?token=x', 'test', 'token=x'],
    ['live?a=1', 'test?b=2', 'a=1&b=2'],
    ['live?', 'test?', ''],
    ['live', 'test?a=?&path=/../x', 'a=?&path=/../x'],
    ['live/test?token=x', '', 'token=x'],
    ['live/test', '?token=x', 'token=x'],
    ['live?a=1', 'test?', 'a=1'],
  ])('the query of %j and %j is no part of the name', (app, key, query) => {
    expect(parseStreamPath(app, key)).toEqual({ app: 'live', name: 'test', query });
  });

  it.each([
    ['nothing', '', ''],
    ['only an application', 'live', ''],
    ['only a key', '', 'test'],
    ['only slashes', '//', '/'],
    ['only a query', '?token=x', '?token=y'],
    ['a parent', 'live', '..'],
    ['a parent in the application', '..', 'test'],
    ['a parent in the middle', 'live', '../test'],
    ['a deep parent', 'live/a', 'b/../../test'],
    ['the directory itself', 'live', '.'],
    ['a hidden file', 'live', '.test'],
    ['an encoded parent', 'live', '%2e%2e'],
    ['an encoded slash', 'live', 'a%2fb'],
    ['a backslash', 'live', '..\\test'],
    ['a drive', 'c:', 'test'],
    ['a null byte', 'live', 'te\0st'],
    ['a line break', 'live', 'test\n'],
    ['a line break before', 'live', '\ntest'],
    ['a carriage return', 'live', 'te\rst'],
    ['an escape', 'live', 'te\u001b[31mst'],
    ['DEL', 'live', 'te\u007fst'],
    ['a space', 'live', 'te st'],
    ['a fragment', 'live', 'te#st'],
    ['markup', 'live', '<script>'],
    ['quotes', 'live', 'te"st'],
    ['no ASCII letter', 'live', 'tést'],
    ['a lone surrogate', 'live', 'te\ud800st'],
    ['a text direction mark', 'live', 'te\u202est'],
    ['too long a name', 'live', long(129)],
    ['too long an application', long(129), 'test'],
    ['an application too long in total', `${long(64)}/${long(64)}`, 'test'],
    ['too many parts', 'a/b/c/d/e', 'test'],
  ])('refuses %s', (_what, app, key) => {
    expect(failure(() => parseStreamPath(app, key))).toBe('SLUICE_RTMP_BAD_NAME');
  });

  it('says nothing but safe names', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.string({ unit: fc.constantFrom('a', '.', '/', '?', '-', '%', '\\', '\0', '\n'), maxLength: 20 }),
    );
    fc.assert(
      fc.property(text, text, (app, key) => {
        const code = failure(() => {
          const path = parseStreamPath(app, key);
          expect(`${path.app}/${path.name}`).toMatch(
            /^([A-Za-z0-9~_-][A-Za-z0-9~._-]*\/){1,4}[A-Za-z0-9~_-][A-Za-z0-9~._-]*$/,
          );
          // As a URL and as a file name it is what it says, nothing is resolved or escaped.
          expect(new URL(`http://h/${path.app}/${path.name}`).pathname).toBe(`/${path.app}/${path.name}`);
        });
        expect([undefined, 'SLUICE_RTMP_BAD_NAME']).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('streamFolder', () => {
  it.each([
    ['live', 'test', 'live@test'],
    ['a/b', 'test', 'a@b@test'],
  ])('of %s and %s', (app, name, folder) => {
    expect(streamFolder(app, name)).toBe(folder);
  });

  it('fits into a file name with room for suffixes, and still differs', () => {
    const folders = ['a', 'b'].map((end) => streamFolder(long(128), long(127) + end));
    expect(folders.map((folder) => folder.length)).toEqual([200, 200]);
    expect(folders[0]).not.toBe(folders[1]);
    expect(folders[0]).toMatch(/^x{128}@x{37}@@[0-9a-f]{32}$/);
  });

  it('is another one for another stream', () => {
    const part = fc.stringMatching(/^[ab~.-]{1,3}$/);
    const path = fc.tuple(
      fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      part,
    );
    fc.assert(
      fc.property(path, path, (one, other) => {
        const same = one.join('/') === other.join('/');
        expect(streamFolder(...one) === streamFolder(...other)).toBe(same);
      }),
    );
  });
});
