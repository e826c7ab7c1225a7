import { closeSync, openSync, readSync } from 'node:fs';
import { arch } from 'node:os';
import type { Clock } from '../../media/clock.ts';
import { type RunResult, runProgram } from '../../processes/run.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import { lastWords } from './last-words.ts';
import { parseCodecs, parseFilters, parseFormats, parseVersion } from './listings.ts';

/** Long enough for a cold disk, and short enough for somebody who waits. */
const TIMEOUT_MS = 5000;
/** Each list has some 50 kB. */
const MAX_BYTES = 4 * 1024 * 1024;
const OLDEST = { major: 4, minor: 4 };

const LISTS = ['-encoders', '-decoders', '-filters', '-muxers', '-demuxers'];
/** Without these nothing can be transcoded; builds that were made for one purpose leave them out. */
const NEEDED = {
  filters: ['aformat', 'aresample', 'format', 'scale', 'select', 'setsar', 'split'],
  muxers: ['flv'],
  demuxers: ['flv', 'matroska'],
};

/** What a look at a program gave: an ffmpeg, or why it is none. */
export type Probed = { readonly ffmpeg: Ffmpeg } | { readonly reason: string };

/** Asks a program for its version and abilities. Never rejects. */
export async function probeFfmpeg(path: string, origin: Ffmpeg['origin'], clock: Clock): Promise<Probed> {
  const ask = (question: string) =>
    runProgram({
      command: path,
      args: question === '-version' ? [question] : ['-hide_banner', question],
      clock,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
  const told = await ask('-version');
  if (!isGood(told)) return { reason: reasonOf(told, path) };
  const version = parseVersion(told.stdout.toString());
  if (version === null) return { reason: 'is not ffmpeg' };
  const isOld =
    version.major < OLDEST.major || (version.major === OLDEST.major && version.minor < OLDEST.minor);
  if (isOld)
    return { reason: `is version ${version.text}; ${OLDEST.major}.${OLDEST.minor} is the oldest that works` };
  const lists = await Promise.all(LISTS.map(ask));
  const failed = lists.find((list) => !isGood(list));
  if (failed !== undefined) return { reason: reasonOf(failed, path) };
  const [encoders = '', decoders = '', filters = '', muxers = '', demuxers = ''] = lists.map(({ stdout }) =>
    stdout.toString(),
  );
  const ffmpeg: Ffmpeg = {
    path,
    origin,
    version,
    encoders: parseCodecs(encoders),
    decoders: parseCodecs(decoders),
    filters: parseFilters(filters),
  };
  const lacks = [
    ...NEEDED.filters.filter((name) => !ffmpeg.filters.has(name)).map((name) => `filter ${name}`),
    ...NEEDED.muxers.filter((name) => !parseFormats(muxers).has(name)).map((name) => `muxer ${name}`),
    ...NEEDED.demuxers.filter((name) => !parseFormats(demuxers).has(name)).map((name) => `demuxer ${name}`),
  ];
  return lacks.length === 0 ? { ffmpeg } : { reason: `was built without ${lacks.join(', ')}` };
}

function isGood({ ended, code }: RunResult): boolean {
  return ended === null && code === 0;
}

function reasonOf({ ended, error, signal, code, stderr }: RunResult, path: string): string {
  if (ended === 'timeout') return `does not answer within ${TIMEOUT_MS / 1000} s`;
  if (ended === 'too-much-output') return 'prints without end';
  if (error !== null) return startFailure(error);
  if (signal !== null) return `crashes (${signal})`;
  const words = foreignMachine(path) ?? lastWords(stderr);
  return `ends with code ${code}${words === null ? '' : `: ${words}`}`;
}

function startFailure(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'is not there';
  if (error.code === 'EACCES') return 'may not be executed';
  return `cannot be started: ${error.message}`;
}

/** e_machine of ELF by Node's name of the processor. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'ia32',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

/** A program of another processor is tried as a shell script by the system, and what the shell says of it helps nobody. */
function foreignMachine(path: string): string | null {
  const header = Buffer.alloc(20);
  try {
    const file = openSync(path, 'r');
    try {
      readSync(file, header);
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
  if (header.toString('latin1', 0, 4) !== '\x7fELF') return null;
  const machine = header.readUInt8(5) === 2 ? header.readUInt16BE(18) : header.readUInt16LE(18);
  const name = MACHINES[machine] ?? `machine ${machine}`;
  return name === arch() ? null : `it is made for ${name}, and this is ${arch()}`;
}
