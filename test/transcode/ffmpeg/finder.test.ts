import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/media/errors.ts';
import { systemClock } from '../../../src/servers/system-clock.ts';
import { type FfmpegFinderOptions, makeFfmpegFinder } from '../../../src/transcode/ffmpeg/ffmpeg.ts';
import { makeFolder, writeProgram } from '../../processes/support.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';

const folder = makeFolder();
const FILTERS = ['aformat', 'aresample', 'format', 'scale', 'select', 'setsar', 'split'];

interface Fake {
  readonly version?: string;
  readonly filters?: readonly string[];
  readonly muxers?: readonly string[];
}

/** A program that answers as ffmpeg does. */
function fakeFfmpeg(
  name: string,
  { version = '6.1', filters = FILTERS, muxers = ['flv'] }: Fake = {},
): string {
  const answers = {
    '-version': `ffmpeg version ${version} Copyright\nlibavutil      58. 29.100 / 58. 29.100`,
    '-encoders': 'Encoders:\n ------\n V....D libx264              x\n A....D aac                  x',
    '-decoders': 'Decoders:\n ------\n VFS..D h264                 x',
    '-filters': filters.map((filter) => ` ... ${filter}           V->V       x`).join('\n'),
    '-muxers': muxers.map((muxer) => `  E ${muxer}             x`).join('\n'),
    '-demuxers': ' D  flv             x\n D  matroska,webm   x',
  };
  const cases = Object.entries(answers).map(([question, answer]) => `${question}) echo '${answer}';;`);
  return writeProgram(folder, name, `for last; do :; done\ncase "$last" in\n${cases.join('\n')}\nesac`);
}

function finder(over: Partial<FfmpegFinderOptions> = {}) {
  return makeFfmpegFinder({
    configured: () => undefined,
    clock: systemClock,
    staticPath: async () => null,
    onPath: () => [],
    ...over,
  });
}

async function failureOf(promise: Promise<unknown>): Promise<SluiceError> {
  const error = await promise.then(
    () => new Error('it was found'),
    (reason: unknown) => reason,
  );
  if (error instanceof SluiceError) return error;
  throw error;
}

describe('the search for ffmpeg', () => {
  const good = fakeFfmpeg('good');

  it('prefers what was configured, then the package, then PATH', async () => {
    const all = { staticPath: async () => fakeFfmpeg('static'), onPath: () => [fakeFfmpeg('path')] };
    expect(await finder({ ...all, configured: () => good }).find()).toMatchObject({
      path: good,
      origin: 'configured',
    });
    expect(await finder(all).find()).toMatchObject({ origin: 'ffmpeg-static' });
    expect(await finder({ onPath: all.onPath }).find()).toMatchObject({ origin: 'PATH' });
  });

  it('tells what it found', async () => {
    const search = finder({ configured: () => good });
    expect(search.known).toBeNull();
    const found = await search.find();
    expect(found.version).toEqual({ major: 6, minor: 1, text: '6.1' });
    expect([...found.encoders]).toEqual(['libx264', 'aac']);
    expect([...found.decoders]).toEqual(['h264']);
    expect([...found.filters]).toEqual(FILTERS);
    expect(search.known).toBe(found);
    expect(search.passedOver).toEqual([]);
  });

  it('looks a configured name up on PATH', async () => {
    const names: string[] = [];
    const onPath = (name: string) => {
      names.push(name);
      return name === 'ffmpeg6' ? [good] : [];
    };
    expect(await finder({ configured: () => 'ffmpeg6', onPath }).find()).toMatchObject({
      origin: 'configured',
    });
    expect(names).toEqual(['ffmpeg6']);
  });

  it('finds the one of this machine', async () => {
    const found = await makeFfmpegFinder({ configured: () => undefined, clock: systemClock }).find();
    expect(found.encoders.has('libx264') && found.encoders.has('aac')).toBe(true);
    expect(found.decoders.has('h264')).toBe(true);
    expect(found.encoders.size).toBeGreaterThan(50);
    expect(found.decoders.size).toBeGreaterThan(100);
    expect(found.filters.size).toBeGreaterThan(100);
  });
});

/** An ELF of an IBM mainframe. */
function foreign(): string {
  const path = writeProgram(folder, 'foreign', '');
  const elf = Buffer.alloc(64);
  elf.write('\x7fELF\x02\x02\x01', 'latin1');
  elf.writeUInt16BE(22, 18);
  writeFileSync(path, elf);
  return path;
}

describe('what is passed over', () => {
  it.each([
    ['missing', join(folder, 'missing'), 'is not there'],
    ['not executable', writeProgram(folder, 'plain', 'true', 0o644), 'may not be executed'],
    ['of another processor', foreign(), 'it is made for s390x, and this is '],
    ['crashing', writeProgram(folder, 'crash', 'kill -SEGV $$'), 'crashes (SIGSEGV)'],
    [
      'failing',
      writeProgram(folder, 'fail', 'echo "libx264.so.160: not found" >&2; exit 127'),
      'code 127: libx264.so.160: not found',
    ],
    ['printing without end', writeProgram(folder, 'endless', 'yes'), 'prints without end'],
    ['something else', writeProgram(folder, 'other', 'echo "avconv version 11"'), 'is not ffmpeg'],
    [
      'too old',
      fakeFfmpeg('old', { version: '4.3.6-0+deb11u1' }),
      'is version 4.3.6-0+deb11u1; 4.4 is the oldest',
    ],
    [
      'without a filter',
      fakeFfmpeg('bare', { filters: FILTERS.slice(1), muxers: [] }),
      'without filter aformat, muxer flv',
    ],
    [
      'silent about its encoders',
      writeProgram(folder, 'half', '[ "$1" = -version ] && echo "ffmpeg version 7.0" || exit 3'),
      'ends with code 3',
    ],
  ])('one that is %s', async (_, path, reason) => {
    const error = await failureOf(finder({ configured: () => path }).find());
    expect(error.code).toBe('SLUICE_FFMPEG_MISSING');
    expect(error.message).toContain(`transcode.ffmpeg ${path} `);
    expect(error.message).toContain(reason);
    const search = finder({ configured: () => path, onPath: () => [fakeFfmpeg('spare')] });
    expect(await search.find()).toMatchObject({ origin: 'PATH' });
    expect(search.passedOver.join()).toContain(reason);
  });

  it('one that hangs, after 5 s', async () => {
    const clock = new FakeClock();
    const hanging = writeProgram(folder, 'hang', 'trap "" TERM; while :; do sleep 0.1; done');
    const search = finder({ configured: () => hanging, clock }).find();
    search.catch(() => {});
    await until('the alarm', () => clock.pending === 1);
    clock.advance(5000);
    expect((await failureOf(search)).message).toContain('does not answer within 5 s');
  });
});

describe('without any', () => {
  it('the error names each place and says how to get one', async () => {
    const staticPath = () => Promise.reject(new Error('ERR_MODULE_NOT_FOUND'));
    const error = await failureOf(finder({ configured: () => 'ffmpeg6', staticPath }).find());
    expect(error.message).toBe(
      'no ffmpeg that works: transcode.ffmpeg ffmpeg6 is not on PATH; ffmpeg-static is not installed; none is on PATH',
    );
    expect(error.advice).toContain('apt install ffmpeg');
  });

  it('looks again after 30 s at the earliest, and once for all who ask', async () => {
    const clock = new FakeClock();
    let looks = 0;
    let paths: string[] = [];
    const search = finder({
      clock,
      onPath: () => {
        looks++;
        return paths;
      },
    });
    const failures = await Promise.all([failureOf(search.find()), failureOf(search.find())]);
    expect(failures[0]).toBe(failures[1]);
    clock.advance(29_999);
    expect(await failureOf(search.find())).toBe(failures[0]);
    expect(looks).toBe(1);
    paths = [fakeFfmpeg('late')];
    clock.advance(1);
    const [one, other] = await Promise.all([search.find(), search.find()]);
    expect(one).toBe(other);
    expect(looks).toBe(2);
    clock.advance(3_600_000);
    expect(await search.find()).toBe(one);
    expect(looks).toBe(2);
  });
});
