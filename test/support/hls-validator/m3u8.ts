import type { Problem } from './report.ts';
import { ProblemList } from './report.ts';

// A strict playlist reader. It never throws: everything wrong becomes a P1 problem and the rest is still read,
// so one slip does not hide the others.

export type Tag = { name: string; value: string; line: number };

/** Quoted values are stored without their quotes. */
export type Attributes = ReadonlyMap<string, string>;

export type PlaylistSegment = {
  uri: string;
  line: number;
  mediaSequence: number;
  /** DISCONTINUITY-SEQUENCE plus all DISCONTINUITY tags up to and including this segment's own. */
  discontinuityNumber: number;
  duration: number;
  title: string;
  discontinuity: boolean;
  gap: boolean;
  /** Milliseconds since the epoch, only when this segment carries the tag itself. */
  programDateTime: number | undefined;
};

type PlaylistHead = {
  problems: Problem[];
  version: number | undefined;
  independentSegments: boolean;
  tags: Tag[];
};

export type MediaPlaylist = PlaylistHead & {
  kind: 'media';
  targetDuration: number | undefined;
  mediaSequence: number;
  discontinuitySequence: number | undefined;
  playlistType: string | undefined;
  serverControl: string | undefined;
  endList: boolean;
  segments: PlaylistSegment[];
};

export type VariantEntry = { uri: string; line: number; attributes: Attributes };

export type MultivariantPlaylist = PlaylistHead & {
  kind: 'multivariant';
  variants: VariantEntry[];
  media: { line: number; attributes: Attributes }[];
};

export type Playlist = MediaPlaylist | MultivariantPlaylist;

type AttributeKind =
  | 'integer'
  | 'float'
  | 'signed'
  | 'hex'
  | 'quoted'
  | 'word'
  | 'resolution'
  | 'yes-no'
  | 'either';

const attributeKinds: Readonly<Record<string, AttributeKind>> = {
  BANDWIDTH: 'integer',
  'AVERAGE-BANDWIDTH': 'integer',
  'PROGRAM-ID': 'integer',
  CODECS: 'quoted',
  'SUPPLEMENTAL-CODECS': 'quoted',
  RESOLUTION: 'resolution',
  'FRAME-RATE': 'float',
  'HDCP-LEVEL': 'word',
  'VIDEO-RANGE': 'word',
  'STABLE-VARIANT-ID': 'quoted',
  'STABLE-RENDITION-ID': 'quoted',
  'PATHWAY-ID': 'quoted',
  SCORE: 'float',
  AUDIO: 'quoted',
  VIDEO: 'quoted',
  SUBTITLES: 'quoted',
  'CLOSED-CAPTIONS': 'either',
  TYPE: 'word',
  URI: 'quoted',
  'GROUP-ID': 'quoted',
  LANGUAGE: 'quoted',
  NAME: 'quoted',
  DEFAULT: 'yes-no',
  AUTOSELECT: 'yes-no',
  FORCED: 'yes-no',
  'INSTREAM-ID': 'quoted',
  CHARACTERISTICS: 'quoted',
  CHANNELS: 'quoted',
  METHOD: 'word',
  IV: 'hex',
  KEYFORMAT: 'quoted',
  KEYFORMATVERSIONS: 'quoted',
  'TIME-OFFSET': 'signed',
  PRECISE: 'yes-no',
  'PART-TARGET': 'float',
  DURATION: 'float',
  'PLANNED-DURATION': 'float',
  INDEPENDENT: 'yes-no',
  GAP: 'yes-no',
  'CAN-BLOCK-RELOAD': 'yes-no',
  'HOLD-BACK': 'float',
  'PART-HOLD-BACK': 'float',
  'CAN-SKIP-UNTIL': 'float',
  ID: 'quoted',
  CLASS: 'quoted',
  'START-DATE': 'quoted',
  'END-DATE': 'quoted',
};

const attributePatterns: Readonly<Record<AttributeKind, RegExp>> = {
  integer: /^\d{1,20}$/,
  float: /^\d+(\.\d+)?$/,
  signed: /^-?\d+(\.\d+)?$/,
  hex: /^0[xX][0-9A-Fa-f]+$/,
  quoted: /^"[^"]*"$/,
  word: /^[^",\s]+$/,
  resolution: /^\d+x\d+$/,
  'yes-no': /^(YES|NO)$/,
  either: /^("[^"]*"|NONE)$/,
};

const multivariantTags: ReadonlySet<string> = new Set([
  'EXT-X-STREAM-INF',
  'EXT-X-MEDIA',
  'EXT-X-I-FRAME-STREAM-INF',
  'EXT-X-SESSION-DATA',
  'EXT-X-SESSION-KEY',
  'EXT-X-CONTENT-STEERING',
]);

const mediaTags: ReadonlySet<string> = new Set([
  'EXTINF',
  'EXT-X-TARGETDURATION',
  'EXT-X-MEDIA-SEQUENCE',
  'EXT-X-DISCONTINUITY-SEQUENCE',
  'EXT-X-DISCONTINUITY',
  'EXT-X-ENDLIST',
  'EXT-X-PLAYLIST-TYPE',
  'EXT-X-I-FRAMES-ONLY',
  'EXT-X-PROGRAM-DATE-TIME',
  'EXT-X-BYTERANGE',
  'EXT-X-KEY',
  'EXT-X-MAP',
  'EXT-X-GAP',
  'EXT-X-BITRATE',
  'EXT-X-PART',
  'EXT-X-PART-INF',
  'EXT-X-SERVER-CONTROL',
  'EXT-X-PRELOAD-HINT',
  'EXT-X-RENDITION-REPORT',
  'EXT-X-SKIP',
  'EXT-X-DATERANGE',
]);

const singleUseTags: ReadonlySet<string> = new Set([
  'EXTM3U',
  'EXT-X-VERSION',
  'EXT-X-INDEPENDENT-SEGMENTS',
  'EXT-X-START',
  'EXT-X-TARGETDURATION',
  'EXT-X-MEDIA-SEQUENCE',
  'EXT-X-DISCONTINUITY-SEQUENCE',
  'EXT-X-ENDLIST',
  'EXT-X-PLAYLIST-TYPE',
  'EXT-X-I-FRAMES-ONLY',
  'EXT-X-PART-INF',
  'EXT-X-SERVER-CONTROL',
  'EXT-X-SKIP',
  'EXT-X-CONTENT-STEERING',
]);

const tagsWithoutValue: ReadonlySet<string> = new Set([
  'EXTM3U',
  'EXT-X-INDEPENDENT-SEGMENTS',
  'EXT-X-ENDLIST',
  'EXT-X-I-FRAMES-ONLY',
  'EXT-X-DISCONTINUITY',
  'EXT-X-GAP',
]);

const oncePerSegment: ReadonlySet<string> = new Set([
  'EXTINF',
  'EXT-X-DISCONTINUITY',
  'EXT-X-PROGRAM-DATE-TIME',
  'EXT-X-BYTERANGE',
  'EXT-X-GAP',
]);

const attributeTags: ReadonlySet<string> = new Set([
  'EXT-X-STREAM-INF',
  'EXT-X-MEDIA',
  'EXT-X-I-FRAME-STREAM-INF',
  'EXT-X-START',
  'EXT-X-KEY',
  'EXT-X-MAP',
  'EXT-X-SERVER-CONTROL',
  'EXT-X-PART-INF',
  'EXT-X-PART',
  'EXT-X-PRELOAD-HINT',
  'EXT-X-RENDITION-REPORT',
  'EXT-X-SKIP',
  'EXT-X-DATERANGE',
]);

type Line = { number: number; text: string };
type Entry = { kind: 'tag'; tag: Tag } | { kind: 'uri'; uri: string; line: number };

export function parsePlaylist(source: Uint8Array | string): Playlist {
  const problems = new ProblemList();
  const entries = readEntries(readLines(source, problems), problems);
  const tags = entries.flatMap((entry) => (entry.kind === 'tag' ? [entry.tag] : []));
  checkTags(tags, problems);

  const isMultivariant = tags.some((tag) => multivariantTags.has(tag.name));
  if (isMultivariant) {
    const stray = tags.find((tag) => mediaTags.has(tag.name));
    if (stray) problems.error('P1', `line ${stray.line}: #${stray.name} in a multivariant playlist`);
    const playlist = readMultivariant(entries, tags, problems);
    checkVersion(playlist, problems);
    return { ...playlist, problems: problems.all };
  }
  const playlist = readMedia(entries, tags, problems);
  checkVersion(playlist, problems);
  return { ...playlist, problems: problems.all };
}

function readLines(source: Uint8Array | string, problems: ProblemList): Line[] {
  let text: string;
  if (typeof source === 'string') {
    text = source;
  } else {
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(source);
    } catch {
      problems.error('P1', 'the playlist is not valid UTF-8');
      text = new TextDecoder().decode(source);
    }
  }
  if (text.startsWith('\uFEFF')) {
    problems.error('P1', 'the playlist starts with a byte order mark');
    text = text.slice(1);
  }
  if (text.normalize('NFC') !== text) problems.error('P1', 'the playlist is not in Unicode normal form C');
  return text.split('\n').map((line, index) => ({
    number: index + 1,
    text: line.endsWith('\r') ? line.slice(0, -1) : line,
  }));
}

function hasControlCharacter(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
  }
  return false;
}

function readEntries(lines: Line[], problems: ProblemList): Entry[] {
  if (lines[0]?.text !== '#EXTM3U') problems.error('P1', 'the first line is not #EXTM3U');
  const entries: Entry[] = [];
  for (const { number, text } of lines) {
    if (text === '') continue;
    if (hasControlCharacter(text)) problems.error('P1', `line ${number}: control character`);
    if (text.trim() !== text) problems.error('P1', `line ${number}: white space around the line`);
    if (!text.startsWith('#')) {
      if (/\s/.test(text.trim())) problems.error('P1', `line ${number}: white space in a URI`);
      entries.push({ kind: 'uri', uri: text.trim(), line: number });
    } else if (text.startsWith('#EXT')) {
      const colon = text.indexOf(':');
      const name = colon === -1 ? text.slice(1) : text.slice(1, colon);
      const value = colon === -1 ? '' : text.slice(colon + 1);
      if (tagsWithoutValue.has(name) && colon !== -1) {
        problems.error('P1', `line ${number}: #${name} must not have a value`);
      }
      entries.push({ kind: 'tag', tag: { name, value, line: number } });
    }
  }
  return entries;
}

function checkTags(tags: Tag[], problems: ProblemList): void {
  const seen = new Set<string>();
  for (const tag of tags) {
    if (singleUseTags.has(tag.name) && seen.has(tag.name)) {
      problems.error('P1', `line ${tag.line}: #${tag.name} appears more than once`);
    }
    seen.add(tag.name);
    // Reading the list once here reports its mistakes exactly once, whoever reads it again later.
    if (attributeTags.has(tag.name)) parseAttributes(tag, problems);
  }
}

/** Reads an attribute list; what cannot be read ends the list and is a problem. */
export function parseAttributes(tag: Tag, problems?: ProblemList): Attributes {
  const attributes = new Map<string, string>();
  const pattern = /([A-Z0-9-]+)=("[^"]*"|[^",\s]+)(,|$)/y;
  let position = 0;
  while (position < tag.value.length) {
    pattern.lastIndex = position;
    const match = pattern.exec(tag.value);
    if (!match) {
      problems?.error(
        'P1',
        `line ${tag.line}: malformed attribute list at "${tag.value.slice(position, position + 30)}"`,
      );
      return attributes;
    }
    const [whole, name = '', raw = '', separator] = match;
    const kind = attributeKinds[name];
    if (kind && !attributePatterns[kind].test(raw)) {
      problems?.error('P1', `line ${tag.line}: ${name}=${raw} is not of type ${kind}`);
    }
    if (attributes.has(name)) problems?.error('P1', `line ${tag.line}: attribute ${name} is repeated`);
    attributes.set(name, raw.startsWith('"') ? raw.slice(1, -1) : raw);
    position += whole.length;
    if (separator === ',' && position === tag.value.length) {
      problems?.error('P1', `line ${tag.line}: attribute list ends with a comma`);
    }
  }
  if (tag.value === '') problems?.error('P1', `line ${tag.line}: #${tag.name} has no attributes`);
  return attributes;
}

function integerTag(tags: Tag[], name: string, problems: ProblemList): number | undefined {
  const tag = tags.find((candidate) => candidate.name === name);
  if (!tag) return undefined;
  if (/^\d{1,16}$/.test(tag.value)) return Number(tag.value);
  problems.error('P1', `line ${tag.line}: #${name} needs a decimal integer, not "${tag.value}"`);
  return undefined;
}

function readHead(tags: Tag[], problems: ProblemList): PlaylistHead {
  return {
    problems: [],
    tags,
    version: integerTag(tags, 'EXT-X-VERSION', problems),
    independentSegments: tags.some((tag) => tag.name === 'EXT-X-INDEPENDENT-SEGMENTS'),
  };
}

function readMultivariant(entries: Entry[], tags: Tag[], problems: ProblemList): MultivariantPlaylist {
  const variants: VariantEntry[] = [];
  let open: Tag | undefined;
  for (const entry of entries) {
    if (entry.kind === 'uri') {
      if (open) variants.push({ uri: entry.uri, line: entry.line, attributes: parseAttributes(open) });
      else problems.error('P1', `line ${entry.line}: URI without #EXT-X-STREAM-INF`);
      open = undefined;
      continue;
    }
    if (open) problems.error('P1', `line ${open.line}: #EXT-X-STREAM-INF is not followed by its URI`);
    open = entry.tag.name === 'EXT-X-STREAM-INF' ? entry.tag : undefined;
    if (open && !parseAttributes(open).has('BANDWIDTH')) {
      problems.error('P1', `line ${open.line}: #EXT-X-STREAM-INF without BANDWIDTH`);
    }
  }
  if (open) problems.error('P1', `line ${open.line}: #EXT-X-STREAM-INF is not followed by its URI`);

  const media = tags
    .filter((tag) => tag.name === 'EXT-X-MEDIA')
    .map((tag) => ({ line: tag.line, attributes: parseAttributes(tag) }));
  for (const { line, attributes } of media) {
    for (const name of ['TYPE', 'GROUP-ID', 'NAME']) {
      if (!attributes.has(name)) problems.error('P1', `line ${line}: #EXT-X-MEDIA without ${name}`);
    }
  }
  return { ...readHead(tags, problems), kind: 'multivariant', variants, media };
}

type PendingSegment = {
  tags: Set<string>;
  duration: number | undefined;
  title: string;
  programDateTime: number | undefined;
};

function emptyPending(): PendingSegment {
  return { tags: new Set(), duration: undefined, title: '', programDateTime: undefined };
}

function readMedia(entries: Entry[], tags: Tag[], problems: ProblemList): MediaPlaylist {
  const targetDuration = integerTag(tags, 'EXT-X-TARGETDURATION', problems);
  if (!tags.some((tag) => tag.name === 'EXT-X-TARGETDURATION')) {
    problems.error('P1', '#EXT-X-TARGETDURATION is missing');
  }
  const mediaSequence = integerTag(tags, 'EXT-X-MEDIA-SEQUENCE', problems) ?? 0;
  const discontinuitySequence = integerTag(tags, 'EXT-X-DISCONTINUITY-SEQUENCE', problems);
  const playlistType = tags.find((tag) => tag.name === 'EXT-X-PLAYLIST-TYPE');
  if (playlistType && !/^(EVENT|VOD)$/.test(playlistType.value)) {
    problems.error('P1', `line ${playlistType.line}: unknown playlist type "${playlistType.value}"`);
  }

  const segments: PlaylistSegment[] = [];
  let discontinuityNumber = discontinuitySequence ?? 0;
  let pending = emptyPending();
  let segmentsBegan = false;
  for (const entry of entries) {
    if (entry.kind === 'tag') {
      const { name, line } = entry.tag;
      const mustComeFirst = name === 'EXT-X-MEDIA-SEQUENCE' || name === 'EXT-X-DISCONTINUITY-SEQUENCE';
      if (mustComeFirst && segmentsBegan) {
        problems.error('P1', `line ${line}: #${name} after the first segment began`);
      }
      if (name === 'EXTINF' || name === 'EXT-X-DISCONTINUITY') segmentsBegan = true;
      readSegmentTag(entry.tag, pending, problems);
      continue;
    }
    if (pending.duration === undefined && !pending.tags.has('EXTINF')) {
      problems.error('P1', `line ${entry.line}: URI without #EXTINF`);
    }
    const discontinuity = pending.tags.has('EXT-X-DISCONTINUITY');
    if (discontinuity) discontinuityNumber += 1;
    segments.push({
      uri: entry.uri,
      line: entry.line,
      mediaSequence: mediaSequence + segments.length,
      discontinuityNumber,
      duration: pending.duration ?? 0,
      title: pending.title,
      discontinuity,
      gap: pending.tags.has('EXT-X-GAP'),
      programDateTime: pending.programDateTime,
    });
    pending = emptyPending();
  }
  if (pending.tags.has('EXTINF')) problems.error('P1', 'the last #EXTINF has no URI');

  return {
    ...readHead(tags, problems),
    kind: 'media',
    targetDuration,
    mediaSequence,
    discontinuitySequence,
    playlistType: playlistType?.value,
    serverControl: tags.find((tag) => tag.name === 'EXT-X-SERVER-CONTROL')?.value,
    endList: tags.some((tag) => tag.name === 'EXT-X-ENDLIST'),
    segments,
  };
}

const dateTimePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}(Z|[+-]\d\d:?\d\d)$/;

function readSegmentTag({ name, value, line }: Tag, pending: PendingSegment, problems: ProblemList): void {
  if (!oncePerSegment.has(name)) return;
  if (pending.tags.has(name)) problems.error('P1', `line ${line}: second #${name} for one segment`);
  pending.tags.add(name);
  if (name === 'EXTINF') {
    const match = /^(\d+(?:\.\d+)?)(,(.*))?$/.exec(value);
    if (!match) problems.error('P1', `line ${line}: #EXTINF needs a decimal duration, not "${value}"`);
    else if (match[2] === undefined) problems.error('P1', `line ${line}: #EXTINF without its comma`);
    pending.duration = match ? Number(match[1]) : undefined;
    pending.title = match?.[3] ?? '';
  } else if (name === 'EXT-X-PROGRAM-DATE-TIME') {
    if (!dateTimePattern.test(value)) {
      problems.error('P1', `line ${line}: date "${value}" needs milliseconds and a time zone`);
    }
    const time = Date.parse(value);
    pending.programDateTime = Number.isNaN(time) ? undefined : time;
  }
}

function neededVersion(playlist: Playlist): { version: number; reason: string } {
  let needed = { version: 1, reason: 'nothing special' };
  const need = (version: number, reason: string) => {
    if (version > needed.version) needed = { version, reason };
  };
  const framesOnly = playlist.tags.some((tag) => tag.name === 'EXT-X-I-FRAMES-ONLY');
  for (const tag of playlist.tags) {
    if (tag.name === 'EXTINF' && tag.value.split(',')[0]?.includes('.')) need(3, 'decimal EXTINF');
    if (tag.name === 'EXT-X-BYTERANGE' || tag.name === 'EXT-X-I-FRAMES-ONLY') need(4, tag.name);
    if (tag.name === 'EXT-X-MAP') need(framesOnly ? 5 : 6, tag.name);
    if (tag.name === 'EXT-X-KEY') {
      const attributes = parseAttributes(tag);
      if (attributes.has('IV')) need(2, 'key IV');
      if (attributes.has('KEYFORMAT') || attributes.get('METHOD') === 'SAMPLE-AES') need(5, 'key format');
    }
    if (tag.name === 'EXT-X-MEDIA' && tag.value.includes('INSTREAM-ID="SERVICE')) need(7, 'SERVICE captions');
    if (tag.name === 'EXT-X-DEFINE') need(tag.value.includes('QUERYPARAM') ? 11 : 8, 'variables');
    if (tag.name === 'EXT-X-SKIP') need(9, 'delta update');
  }
  return needed;
}

function checkVersion(playlist: Playlist, problems: ProblemList): void {
  const needed = neededVersion(playlist);
  const declared = playlist.version ?? 1;
  if (declared < needed.version) {
    problems.error('P1', `version ${declared} declared, ${needed.version} needed for ${needed.reason}`);
  }
  // 6 is always acceptable: it is the version from which a segment may round down to the target duration.
  if (declared > Math.max(needed.version, 6)) {
    problems.warning('P1', `version ${declared} declared, ${Math.max(needed.version, 6)} would do`);
  }
  if (playlist.kind !== 'media' || declared >= 6 || playlist.targetDuration === undefined) return;
  const target = playlist.targetDuration;
  if (
    playlist.segments.some((segment) => segment.duration > target && Math.round(segment.duration) <= target)
  ) {
    problems.warning(
      'P1',
      `version ${declared} declared, 6 needed for an EXTINF that rounds to the target duration`,
    );
  }
}
