import type { FfmpegVersion } from './ffmpeg.ts';

/**
 * Names in what `-encoders` and `-decoders` print: six flags, a name, a description. Versions differ in the flags they
 * know and in the legend before the list, whose lines have `=` for a name.
 */
export function parseCodecs(text: string): ReadonlySet<string> {
  return namesIn(text, /^ [VASD][A-Z.]{5} ([^\s=]\S*)/);
}

/** Names in what `-filters` prints: two or three flags, a name, `V->V`, a description. */
export function parseFilters(text: string): ReadonlySet<string> {
  return namesIn(text, /^ [A-Z.]{2,3} (\S+) +[AVN|]+->[AVN|]+/);
}

/** Names in what `-muxers` and `-demuxers` print: `D`, `E` or `d` for devices, names with commas between, a description. */
export function parseFormats(text: string): ReadonlySet<string> {
  const names = [...namesIn(text, /^ [D ][E ][d ]? *([^\s=.]\S*)(?:\s|$)/)];
  return new Set(names.flatMap((name) => name.split(',')));
}

function namesIn(text: string, line: RegExp): ReadonlySet<string> {
  const names = text.split(/\r?\n/).map((row) => line.exec(row)?.[1]);
  return new Set(names.filter((name) => name !== undefined));
}

/** libavutil's version and the first release of ffmpeg that has it: builds from git name no release. */
const RELEASES: readonly (readonly [major: number, minor: number, release: readonly [number, number]])[] = [
  [60, 0, [8, 0]],
  [59, 39, [7, 1]],
  [59, 0, [7, 0]],
  [58, 29, [6, 1]],
  [58, 0, [6, 0]],
  [57, 28, [5, 1]],
  [57, 0, [5, 0]],
  [56, 70, [4, 4]],
  [56, 0, [4, 0]],
];

/**
 * Reads what `-version` prints: `4.4.2-0ubuntu0.22.04.1`, `n7.1-3-gabc`, `N-12345-gabc`, `2024-05-27-git-abc` …; null
 * when it is not ffmpeg that says so.
 */
export function parseVersion(text: string): FfmpegVersion | null {
  const name = /^ffmpeg version (\S+)/m.exec(text)?.[1];
  if (name === undefined) return null;
  const release = /^n?(\d{1,2})\.(\d{1,3})(?![\d])/.exec(name);
  if (release !== null) return { major: Number(release[1]), minor: Number(release[2]), text: name };
  const library = /^libavutil\s+(\d+)\.\s*(\d+)\./m.exec(text);
  if (library === null) return { major: 99, minor: 0, text: name };
  const [major, minor] = releaseOf(Number(library[1]), Number(library[2]));
  return { major, minor, text: name };
}

function releaseOf(major: number, minor: number): readonly [number, number] {
  const found = RELEASES.find(([since, sinceMinor]) => major === since && minor >= sinceMinor);
  if (found !== undefined) return found[2];
  return major > 60 ? [99, 0] : [0, 0];
}
