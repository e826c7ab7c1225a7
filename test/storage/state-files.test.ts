import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { streamFolder } from '../../src/live/stream-name.ts';
import type { StreamState } from '../../src/packaging/rendition-state.ts';
import type { DiskFs } from '../../src/storage/disk-fs.ts';
import { StateFiles } from '../../src/storage/state-files.ts';
import { decodeState, encodeState } from '../../src/storage/state-schema.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { faultyFs, systemError } from './support/disk.ts';
import { temporaryDirectory } from './support/folder.ts';
import { makeGate } from './support/gate.ts';
import { anyState, streamState } from './support/state.ts';

interface Notes {
  readonly files: StateFiles;
  readonly corrupt: string[];
  readonly errors: string[];
}

function open(directory: string, fs?: DiskFs): Notes {
  const corrupt: string[] = [];
  const errors: string[] = [];
  const files = new StateFiles({
    directory,
    clock: new FakeClock(),
    onCorrupt: (file, reason) => corrupt.push(`${file.slice(directory.length + 1)} ${reason}`),
    onError: (_file, error) => errors.push(String(error)),
    ...(fs === undefined ? {} : { fs }),
  });
  return { files, corrupt, errors };
}

async function withFile(name: string, content: string | Uint8Array): Promise<string> {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, 'state'));
  await writeFile(join(directory, 'state', name), content);
  return directory;
}

/** The file that a tamperer with knowledge of the checksum would write. */
function forge(state: unknown): string {
  const text = JSON.stringify(state);
  const sum = createHash('sha256').update(text).digest('hex');
  return `{"version":1,"sha256":"${sum}","state":${text}}\n`;
}

describe('StateFiles', () => {
  it('gives back after a restart what was saved last', async () => {
    const directory = await temporaryDirectory();
    const { files } = open(directory);
    const newest = streamState({ end: 5 });
    const other = streamState({ app: 'a/b', rendition: null });
    void files.save('live@test', streamState());
    void files.save('a@b@test', other);
    void files.save('live@gone', streamState({ name: 'gone' }));
    void files.save('live@test', newest);
    void files.remove('live@gone');
    await files.settled();
    expect((await readdir(join(directory, 'state'))).sort()).toEqual(['a@b@test.json', 'live@test.json']);
    const { files: next, corrupt, errors } = open(directory);
    expect([...(await next.load())].sort()).toEqual([
      ['a@b@test', other],
      ['live@test', newest],
    ]);
    expect([...corrupt, ...errors]).toEqual([]);
  });

  it('loads nothing where nothing is', async () => {
    const { files, errors } = open(join(await temporaryDirectory(), 'not/there'));
    expect((await files.load()).size).toBe(0);
    expect(errors).toEqual([]);
  });

  it('writes one version of a stream at a time and skips all but the newest', async () => {
    const gate = makeGate();
    let writes = 0;
    const fs = faultyFs((operation) => {
      if (operation !== 'writeFile') return null;
      writes++;
      return writes === 1 ? gate.closed : null;
    });
    const directory = await temporaryDirectory();
    await mkdir(join(directory, 'state'));
    const { files } = open(directory, fs);
    const saved = [1, 2, 3, 4].map((end) => files.save('live@test', streamState({ end })));
    expect(writes).toBe(1);
    gate.open();
    await Promise.all(saved);
    expect(writes).toBe(2);
    expect((await files.load()).get('live@test')?.end).toBe(4);
  });

  it('reports a disk that does not write once, and again after it worked', async () => {
    let broken = true;
    const fs = faultyFs((operation) => (broken && operation === 'writeFile' ? systemError('EROFS') : null));
    const { files, errors } = open(await temporaryDirectory(), fs);
    const save = () => files.save('live@test', streamState());
    await save();
    await save();
    expect(errors).toEqual(['Error: EROFS: injected']);
    broken = false;
    await save();
    expect((await files.load()).size).toBe(1);
    broken = true;
    await save();
    expect(errors).toHaveLength(2);
  });

  it('leaves the old state where a process is killed between writing and renaming', async () => {
    const directory = await temporaryDirectory();
    await open(directory).files.save('live@test', streamState({ end: 1 }));
    const renaming = makeGate();
    const never = new Promise<void>(() => {});
    const killed = faultyFs((operation) => {
      if (operation !== 'rename') return null;
      renaming.open();
      return never;
    });
    void open(directory, killed).files.save('live@test', streamState({ end: 2 }));
    await renaming.closed;
    const { files, corrupt } = open(directory);
    expect((await files.load()).get('live@test')?.end).toBe(1);
    expect(corrupt).toEqual([]);
    // By the clock of the test the unfinished file is from the future; an old one goes.
    const unfinished = (await readdir(join(directory, 'state'))).filter((file) => file.endsWith('.tmp'));
    expect(unfinished).toHaveLength(1);
    for (const file of unfinished) await utimes(join(directory, 'state', file), 1_600_000_000, 1_600_000_000);
    await files.load();
    expect(await readdir(join(directory, 'state'))).toEqual(['live@test.json']);
  });

  it('is not confused by two processes that write the same stream', async () => {
    const directory = await temporaryDirectory();
    const processes = [open(directory), open(directory)];
    for (let end = 0; end < 30; end++) {
      await Promise.all(
        processes.map(({ files }, index) => files.save('live@test', streamState({ end: 100 * index + end }))),
      );
      const state = (await open(directory).files.load()).get('live@test');
      expect([end, 100 + end]).toContain(state?.end);
    }
    expect(await readdir(join(directory, 'state'))).toEqual(['live@test.json']);
  });

  it('sets a bad file aside, a bounded number of times, and loads the others', async () => {
    const directory = await temporaryDirectory();
    const { files, corrupt } = open(directory);
    await files.save('live@good', streamState({ name: 'good' }));
    for (let n = 1; n <= 8; n++) {
      await writeFile(join(directory, 'state/live@test.json'), `bad ${n}`);
      expect([...(await files.load()).keys()]).toEqual(['live@good']);
    }
    expect(corrupt).toHaveLength(8);
    expect(corrupt[0]).toBe('state/live@test.json is cut short or no state file');
    expect((await readdir(join(directory, 'state'))).sort()).toEqual([
      'live@good.json',
      ...[1, 2, 3, 4, 5].map((n) => `live@test.json.corrupt-${n}`),
    ]);
    expect(await readFile(join(directory, 'state/live@test.json.corrupt-5'), 'utf8')).toBe('bad 8');
  });

  it.each([
    ['empty', '', 'cut short'],
    ['cut short', encodeState(streamState()).slice(0, -50), 'cut short'],
    ['from another version', encodeState(streamState()).replace('"version":1', '"version":2'), 'version 2'],
    ['damaged', encodeState(streamState()).replace('90000123', '90000124'), 'checksum'],
    ['of another stream', encodeState(streamState({ name: 'other' })), 'live/other'],
    ['too large', Buffer.alloc(8 * 1024 * 1024 + 1, '{'), 'larger'],
    ['not text', Buffer.alloc(1000, 0xff), 'cut short'],
  ])('sets aside a file that is %s', async (_what, content, reason) => {
    const { files, corrupt, errors } = open(await withFile('live@test.json', content));
    expect((await files.load()).size).toBe(0);
    expect(corrupt).toEqual([expect.stringContaining(reason)]);
    expect(errors).toEqual([]);
  });

  it('reports a bad file that it cannot set aside, and goes on', async () => {
    const directory = await withFile('live@test.json', 'bad');
    await open(directory).files.save('live@good', streamState({ name: 'good' }));
    const fs = faultyFs((operation) => (operation === 'rename' ? systemError('EROFS') : null));
    const { files, errors } = open(directory, fs);
    expect([...(await files.load()).keys()]).toEqual(['live@good']);
    expect(errors).toEqual(['Error: EROFS: injected']);
  });

  it('sets aside what is no file, so that its stream can write there, and leaves strangers alone', async () => {
    const directory = await withFile('stranger.txt', 'x');
    const state = (name: string) => join(directory, 'state', name);
    await mkdir(state('live@x.json/inside'), { recursive: true });
    await symlink(state('stranger.txt'), state('live@y.json'));
    await mkdir(state('lost+found'));
    const unfinished = '.live@x.json.0123abcd.tmp';
    await mkdir(state(unfinished));
    await utimes(state(unfinished), 1, 1);
    const { files, corrupt, errors } = open(directory);
    await files.save('live@good', streamState({ name: 'good' }));
    expect([...(await files.load()).keys()]).toEqual(['live@good']);
    expect(corrupt.sort()).toEqual([
      'state/live@x.json is a directory',
      'state/live@y.json is no regular file',
    ]);
    await files.save('live@x', streamState({ name: 'x' }));
    expect([...(await files.load()).keys()].sort()).toEqual(['live@good', 'live@x']);
    expect(corrupt).toHaveLength(2);
    expect(errors).toEqual([]);
    expect(await readdir(state('live@x.json.corrupt-1'))).toEqual(['inside']);
    expect(await readdir(join(directory, 'state'))).toContain(unfinished);
  });

  it('reports a directory that it cannot set aside once, and goes on', async () => {
    const directory = await withFile('live@test.json.corrupt-5', 'x');
    for (const n of [1, 2, 3, 4]) await writeFile(join(directory, `state/live@test.json.corrupt-${n}`), 'x');
    await mkdir(join(directory, 'state/live@test.json'));
    const { files, corrupt, errors } = open(directory);
    await files.save('live@good', streamState({ name: 'good' }));
    expect([...(await files.load()).keys()]).toEqual(['live@good']);
    expect(corrupt).toEqual([]);
    expect(errors).toEqual([expect.stringContaining('ENOTDIR')]);
  });

  it('gives the same state or sets the file aside whatever happens to its bytes', async () => {
    const good = Buffer.from(encodeState(streamState()));
    const byte = fc.integer({ min: 0, max: 255 });
    const position = fc.nat(good.length - 1);
    const damage = fc.oneof(
      fc.record({ at: position, remove: fc.constantFrom(0, 1, 5), insert: fc.array(byte, { maxLength: 5 }) }),
      fc.record({ at: position, remove: fc.constant(good.length), insert: fc.constant<number[]>([]) }),
    );
    const directory = await temporaryDirectory();
    await mkdir(join(directory, 'state'));
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, remove, insert }) => {
        const bytes = Buffer.concat([good.subarray(0, at), Buffer.from(insert), good.subarray(at + remove)]);
        await writeFile(join(directory, 'state/live@test.json'), bytes);
        const { files, corrupt, errors } = open(directory);
        const state = (await files.load()).get('live@test');
        expect(errors).toEqual([]);
        expect(corrupt).toHaveLength(state === undefined ? 1 : 0);
        if (state !== undefined) expect(state).toEqual(streamState());
      }),
      { numRuns: 500 },
    );
  });
});

describe('a state', () => {
  it('survives being written and read', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(decodeState(encodeState(state), streamFolder(state.app, state.name))).toEqual(state);
      }),
    );
  });

  it('of a build that did not write how long old segments are is read, and what is written of it too', () => {
    const { rendition } = streamState();
    const old = {
      ...streamState(),
      rendition: { ...rendition, retired: [{ uri: 'r-1.ts', bytes: 1, until: 1 }] },
    };
    const state = decodeState(encodeState(old as unknown as StreamState), streamFolder('live', 'test'));
    if (typeof state === 'string') throw new Error(state);
    expect(state.rendition?.retired).toEqual([{ uri: 'r-1.ts', bytes: 1, duration: 0, until: 1 }]);
    expect(decodeState(encodeState(state), streamFolder('live', 'test'))).toEqual(state);
  });

  const good = streamState();
  const { rendition } = good;
  const [segment] = rendition?.segments ?? [];
  const withRendition = (change: object) => ({ ...good, rendition: { ...rendition, ...change } });
  const withSegment = (change: object) => withRendition({ segments: [{ ...segment, ...change }] });
  const described = (change: object) =>
    withRendition({ description: { ...rendition?.description, ...change } });

  it.each<[string, unknown]>([
    ['no object', null],
    ['a path as the name', { ...good, name: '../test' }],
    ['a name in the application', { ...good, app: 'live/test', name: '' }],
    ['a query in the name', { ...good, name: 'test?x' }],
    ['an unknown key', { ...good, extra: 1 }],
    ['a time out of range', { ...good, savedAt: 1e15 }],
    ['a negative time', { ...good, startedAt: -1 }],
    ['an end that is no number', { ...good, end: null }],
    ['a fraction of a media sequence', { ...good, nextMediaSequence: 13.5 }],
    ['a media sequence given out', { ...good, nextMediaSequence: 12 }],
    ['a discontinuity sequence given out', { ...good, nextDiscontinuitySequence: 2 }],
    ['a huge discontinuity sequence', { ...good, nextDiscontinuitySequence: 2 ** 32 }],
    ['no target duration', withRendition({ targetDuration: 0 })],
    [
      'a hole in the media sequence',
      withRendition({ segments: [segment, { ...segment, mediaSequence: 12, uri: 'b.ts' }] }),
    ],
    ['a segment twice', withRendition({ retired: [{ uri: 's-10.ts', bytes: 1, duration: 1, until: 1 }] })],
    ['a path as a segment', withSegment({ uri: '../../etc/passwd' })],
    [
      'a path as an old segment',
      withRendition({ retired: [{ uri: 'a/b.ts', bytes: 1, duration: 1, until: 1 }] }),
    ],
    ['a line break in a segment', withSegment({ uri: 'a\n.ts' })],
    ['no segment file', withSegment({ uri: 'media.m3u8' })],
    ['a segment without duration', withSegment({ duration: 0 })],
    ['a segment longer than the target duration', withSegment({ duration: 2.5 * 90_000 })],
    ['a negative size', withSegment({ bytes: -1 })],
    ['a date no playlist can show', withSegment({ programDateTime: 1e17 })],
    ['a codec that breaks out of its quotes', described({ codecs: ['avc1"\n#EXT'] })],
    ['a resolution of nothing', described({ resolution: { width: 0, height: 720 } })],
    ['a frame rate of nothing', described({ frameRate: 0 })],
    ['a fractional bandwidth', withRendition({ bandwidth: { peak: 1.5, average: 1 } })],
  ])('with %s is refused', (_what, state) => {
    expect(decodeState(forge(state), 'live@test')).toMatch(/^is not valid: /);
  });

  it('is taken when it is as it should be', () => {
    expect(decodeState(forge(good), 'live@test')).toEqual(good);
  });
});

it('a file that cannot be removed is forgotten: its next trouble is told again', async () => {
  const fs = faultyFs((operation) => (operation === 'readFile' ? null : systemError('EROFS')));
  const { files, errors } = open(await temporaryDirectory(), fs);
  await files.save('live@test', streamState());
  await files.save('live@test', streamState());
  await files.remove('live@test');
  expect(errors).toHaveLength(1);
  await files.save('live@test', streamState());
  expect(errors).toHaveLength(2);
});
