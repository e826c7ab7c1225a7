import { randomUUID } from 'node:crypto';
import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { MediaPlaylist, MultivariantPlaylist, Playlist, PlaylistSegment } from './m3u8.ts';
import { parsePlaylist } from './m3u8.ts';
import type { Finding, Problem } from './report.ts';
import { formatFindings, ProblemList } from './report.ts';
import type { AudioFacts, TransportSegment, VideoFacts } from './ts.ts';
import { analyseSegment, clockRate, maximumPcrInterval, timestampDifference } from './ts.ts';

export type { Finding, Problem } from './report.ts';
export { formatFinding, formatFindings } from './report.ts';

export type HttpRequest = { method: 'GET' | 'HEAD' | 'OPTIONS'; headers: Record<string, string> };
/** Header names in lower case; the body exactly as it came, neither decoded nor redirected. */
export type HttpResponse = { status: number; headers: Record<string, string>; body: Uint8Array };
export type RequestFunction = (url: string, request: HttpRequest) => Promise<HttpResponse>;

export type ValidatorOptions = {
  request?: RequestFunction;
  now?: () => number;
  sleep?: (milliseconds: number) => Promise<unknown>;
  /** Sent with every request, for example an authorization. */
  headers?: Record<string, string>;
  /** Active HTTP checks (ranges, HEAD, unknown names, lifetime of removed segments). Default true. */
  probe?: boolean;
  /** Checks that do not apply in a test, for example ['P6']. */
  ignore?: readonly string[];
  /** Added to the 1.5 target durations of P7, for busy machines. */
  updateSlackMilliseconds?: number;
};

export type WatchOptions = { until: AbortSignal | (() => boolean); intervalMs: number };

export type Summary = {
  polls: number;
  errors: number;
  warnings: number;
  checks: Record<string, number>;
  variants: {
    url: string;
    segments: number;
    seconds: number;
    peakBitRate: number | undefined;
    averageBitRate: number | undefined;
    overheadRatio: number | undefined;
    codecs: string[];
    audioFramesPerPacket: number | undefined;
  }[];
  text: string;
};

const origin = 'https://player.example';
const playlistTypes = ['application/vnd.apple.mpegurl', 'audio/mpegurl'];

/** Plain node:http, because fetch would hide encodings and follow redirects. A connection per request is slow but honest. */
export const rawRequest: RequestFunction = (url, { method, headers }) =>
  new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? requestSecure : requestPlain;
    const request = send(url, { method, headers, agent: false, timeout: 15_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const flat: Record<string, string> = {};
        for (const [name, value] of Object.entries(response.headers)) {
          if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
        }
        resolve({ status: response.statusCode ?? 0, headers: flat, body: Buffer.concat(chunks) });
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 15 s')));
    request.on('error', reject);
    request.end();
  });

type SegmentRecord = {
  mediaSequence: number;
  url: string;
  /** Without the query, which may carry a changing token. */
  identity: string;
  duration: number;
  discontinuity: boolean;
  discontinuityNumber: number;
  gap: boolean;
  time: number | undefined;
};

type AnalysedSegment = { record: SegmentRecord; media: TransportSegment };

type RemovedSegment = { record: SegmentRecord; mustLiveUntil: number };

type Variant = {
  key: string;
  url: string;
  frameRate: number | undefined;
  independentSegments: boolean;
  targetDuration: number | undefined;
  playlistType: string | undefined;
  firstMediaSequence: number;
  previous: MediaPlaylist | undefined;
  previousPollAt: number;
  lastChangeAt: number;
  records: Map<number, SegmentRecord>;
  sequenceByIdentity: Map<string, number>;
  longestWindow: number;
  discontinuitySeen: boolean;
  ended: boolean;
  removed: RemovedSegment[];
  lastAnalysed: AnalysedSegment | undefined;
  /** EXTINF and media time since the last discontinuity, in seconds. */
  run: { declared: number; measured: number };
  rates: { duration: number; bytes: number }[];
  facts: MeasuredFacts;
  probed: Set<string>;
  overhead: { total: number; elementary: number };
};

type MeasuredFacts = {
  streamTypes: number[];
  video: VideoFacts | undefined;
  audio: AudioFacts | undefined;
  captions: boolean;
};

function newVariant(key: string): Variant {
  return {
    key,
    url: key,
    frameRate: undefined,
    independentSegments: false,
    targetDuration: undefined,
    playlistType: undefined,
    firstMediaSequence: 0,
    previous: undefined,
    previousPollAt: 0,
    lastChangeAt: 0,
    records: new Map(),
    sequenceByIdentity: new Map(),
    longestWindow: 0,
    discontinuitySeen: false,
    ended: false,
    removed: [],
    lastAnalysed: undefined,
    run: { declared: 0, measured: 0 },
    rates: [],
    facts: { streamTypes: [], video: undefined, audio: undefined, captions: false },
    probed: new Set(),
    overhead: { total: 0, elementary: 0 },
  };
}

export class HlsValidator {
  readonly #url: string;
  readonly #request: RequestFunction;
  readonly #now: () => number;
  readonly #sleep: (milliseconds: number) => Promise<unknown>;
  readonly #headers: Record<string, string>;
  readonly #probe: boolean;
  readonly #ignore: ReadonlySet<string>;
  readonly #updateSlack: number;
  readonly #findings: Finding[] = [];
  readonly #known = new Set<string>();
  readonly #variants = new Map<string, Variant>();
  readonly #probedPlaylists = new Set<string>();
  #polls = 0;
  #publisherAway = false;

  constructor(url: string | URL, options: ValidatorOptions = {}) {
    this.#url = String(url);
    this.#request = options.request ?? rawRequest;
    this.#now = options.now ?? Date.now;
    this.#sleep = options.sleep ?? delay;
    this.#headers = options.headers ?? {};
    this.#probe = options.probe ?? true;
    this.#ignore = new Set(options.ignore ?? []);
    this.#updateSlack = options.updateSlackMilliseconds ?? 250;
  }

  get findings(): readonly Finding[] {
    return this.#findings;
  }

  get errors(): Finding[] {
    return this.#findings.filter((finding) => finding.severity === 'error');
  }

  get warnings(): Finding[] {
    return this.#findings.filter((finding) => finding.severity === 'warning');
  }

  /** While the publisher is away no new segments are expected; the update clock restarts when it is back. */
  publisherAway(away: boolean): void {
    this.#publisherAway = away;
    for (const variant of this.#variants.values()) variant.lastChangeAt = this.#now();
  }

  /** Looks at everything once and returns what is newly wrong. */
  async poll(): Promise<Finding[]> {
    const before = this.#findings.length;
    this.#polls += 1;
    const askedAt = this.#now();
    const playlist = await this.#fetchPlaylist(this.#url);
    if (playlist?.kind === 'media') {
      await this.#pollVariant(this.#variant(this.#url), playlist, { askedAt, inherited: false });
    } else if (playlist) {
      await this.#pollMultivariant(playlist);
    }
    return this.#findings.slice(before);
  }

  /** Polls until told to stop; one last poll is made after the stop, so that the end is seen too. */
  async watch({ until, intervalMs }: WatchOptions): Promise<Finding[]> {
    const stopped = () => (typeof until === 'function' ? until() : until.aborted);
    while (!stopped()) {
      await this.poll();
      if (!stopped()) await this.#sleep(intervalMs);
    }
    await this.poll();
    return [...this.#findings];
  }

  summary(): Summary {
    const checks: Record<string, number> = {};
    for (const { check } of this.#findings) checks[check] = (checks[check] ?? 0) + 1;
    const variants = [...this.#variants.values()].map(summariseVariant);
    const lines = variants.map(
      (variant) => `${variant.url}: ${variant.segments} segments, ${variant.seconds.toFixed(1)} s`,
    );
    const counts = `${this.errors.length} errors, ${this.warnings.length} warnings in ${this.#polls} polls`;
    return {
      polls: this.#polls,
      errors: this.errors.length,
      warnings: this.warnings.length,
      checks,
      variants,
      text: [counts, ...lines, formatFindings(this.#findings)].filter((line) => line !== '').join('\n'),
    };
  }

  #report(subject: string, problems: readonly Problem[]): void {
    for (const problem of problems) {
      const key = `${problem.check} ${subject} ${problem.message}`;
      if (this.#ignore.has(problem.check) || this.#known.has(key)) continue;
      this.#known.add(key);
      this.#findings.push({ ...problem, subject, at: this.#now() });
    }
  }

  #error(subject: string, check: string, message: string): void {
    this.#report(subject, [{ check, severity: 'error', message }]);
  }

  #variant(url: string): Variant {
    const key = withoutQuery(url);
    let variant = this.#variants.get(key);
    if (!variant) {
      variant = newVariant(key);
      this.#variants.set(key, variant);
    }
    variant.url = url;
    return variant;
  }

  async #pollMultivariant(playlist: MultivariantPlaylist): Promise<void> {
    if (playlist.variants.length === 0)
      this.#error(this.#url, 'P1', 'the multivariant playlist has no variant');
    const seen: { variant: Variant; playlist: MediaPlaylist }[] = [];
    for (const entry of playlist.variants) {
      const variant = this.#variant(new URL(entry.uri, this.#url).href);
      variant.frameRate = Number(entry.attributes.get('FRAME-RATE')) || undefined;
      const askedAt = this.#now();
      const media = await this.#fetchPlaylist(variant.url);
      if (media?.kind === 'multivariant')
        this.#error(variant.key, 'P1', 'the variant is a multivariant playlist');
      if (media?.kind !== 'media') continue;
      await this.#pollVariant(variant, media, { askedAt, inherited: playlist.independentSegments });
      seen.push({ variant, playlist: media });
    }
    this.#report(this.#url, compareVariants(seen));
    await this.#checkMultivariant(playlist);
  }

  /** Declarations are held against measurements; a difference counts only if a fresh copy still shows it. */
  async #checkMultivariant(playlist: MultivariantPlaylist): Promise<void> {
    const problems = multivariantProblems(playlist, this.#url, this.#variants);
    if (problems.length === 0) return;
    const fresh = await this.#fetchPlaylist(this.#url);
    if (fresh?.kind !== 'multivariant') return;
    this.#report(this.#url, multivariantProblems(fresh, this.#url, this.#variants));
  }

  async #send(url: string, method: HttpRequest['method'], headers: Record<string, string>, subject: string) {
    try {
      return await this.#request(url, { method, headers: { origin, ...this.#headers, ...headers } });
    } catch (cause) {
      this.#error(subject, 'R2', `request failed: ${cause instanceof Error ? cause.message : String(cause)}`);
      return undefined;
    }
  }

  async #fetchPlaylist(url: string): Promise<Playlist | undefined> {
    const subject = withoutQuery(url);
    const response = await this.#send(url, 'GET', { 'accept-encoding': 'gzip' }, subject);
    if (!response) return undefined;
    const problems = new ProblemList();
    const usable = checkStatus(response, problems);
    if (!usable) {
      // A gateway may take the stream down when its publisher does not come back.
      this.#report(
        subject,
        problems.all.filter(({ check }) => check !== 'R2' || !this.#publisherAway),
      );
      return undefined;
    }
    checkCors(response, problems);
    checkContentType(response, playlistTypes, problems);
    const body = decodePlaylist(response, problems);
    if (!body) {
      this.#report(subject, problems.all);
      return undefined;
    }
    const playlist = parsePlaylist(body);
    const ended = playlist.kind === 'media' && playlist.endList;
    const target = playlist.kind === 'media' ? playlist.targetDuration : undefined;
    if (!ended) checkPlaylistCaching(response, playlist, problems);
    if (!ended && !this.#publisherAway && target !== undefined) checkAge(response, target, problems);
    const unusable = urisOf(playlist).filter((uri) => !URL.canParse(uri, url));
    for (const uri of unusable) problems.error('P1', `"${uri}" is not a URI`);
    this.#report(subject, problems.all);
    this.#report(subject, playlist.problems);
    if (unusable.length > 0) return undefined;
    if (this.#probe && !this.#probedPlaylists.has(subject)) {
      this.#probedPlaylists.add(subject);
      await this.#probePlaylist(url, response, subject);
    }
    return playlist;
  }

  async #probePlaylist(url: string, known: HttpResponse, subject: string): Promise<void> {
    const problems = new ProblemList();
    const plain = await this.#send(url, 'GET', { 'accept-encoding': 'identity' }, subject);
    if (plain?.status === 200 && plain.headers['content-encoding'] !== undefined) {
      problems.error(
        'H2',
        `playlist is ${plain.headers['content-encoding']} although only identity was accepted`,
      );
    }
    const head = await this.#send(url, 'HEAD', { 'accept-encoding': 'gzip' }, subject);
    if (head && head.status !== 200) problems.error('H7', `HEAD on the playlist answers ${head.status}`);
    if (head && head.body.length > 0) problems.error('H7', 'HEAD on the playlist has a body');
    const tag = known.headers.etag;
    if (tag !== undefined) {
      const conditional = await this.#send(
        url,
        'GET',
        { 'accept-encoding': 'gzip', 'if-none-match': tag },
        subject,
      );
      // The playlist may have moved on in between; then the tag must have changed with it.
      const stillSame = conditional?.status === 200 && conditional.headers.etag === tag;
      if (stillSame) problems.error('H7', 'the playlist is sent again although its ETag matches');
    }
    const preflight = await this.#send(
      url,
      'OPTIONS',
      { 'access-control-request-method': 'GET', 'access-control-request-headers': 'range' },
      subject,
    );
    if (preflight) checkPreflight(preflight, problems);
    await this.#probeUnknown(new URL(`./no-such-${randomUUID()}.m3u8`, url).href, subject);
    this.#report(subject, problems.all);
  }

  async #probeUnknown(url: string, subject: string): Promise<void> {
    const problems = new ProblemList();
    const response = await this.#send(url, 'GET', { 'accept-encoding': 'gzip' }, subject);
    if (response) checkNotFound(response, problems);
    this.#report(subject, problems.all);
  }

  async #pollVariant(
    variant: Variant,
    playlist: MediaPlaylist,
    { askedAt, inherited }: { askedAt: number; inherited: boolean },
  ): Promise<void> {
    const now = this.#now();
    const problems = new ProblemList();
    const segmentsDue = !this.#publisherAway;
    if (!variant.previous) {
      variant.firstMediaSequence = playlist.mediaSequence;
      variant.lastChangeAt = now;
    } else {
      compareSnapshots(variant, playlist, problems);
      trackRemoved(variant, playlist);
    }
    checkDurations(variant, playlist, problems);
    checkWindow(variant, playlist, problems);
    checkKind(variant, playlist, problems);
    if (inherited && playlist.independentSegments) {
      problems.warning('P11', 'INDEPENDENT-SEGMENTS stands in the multivariant and in the media playlist');
    }
    variant.independentSegments = inherited || playlist.independentSegments;
    checkFreshness(variant, playlist, { askedAt, now, segmentsDue, slack: this.#updateSlack }, problems);
    this.#report(variant.key, problems.all);

    const fresh = recordSegments(variant, playlist);
    for (const segment of fresh) await this.#checkSegment(variant, segment);

    const late = new ProblemList();
    checkDates(variant, playlist, late);
    if (playlist.endList) checkLastSegment(variant, late);
    this.#report(variant.key, late.all);
    if (this.#probe) await this.#probeRemoved(variant);

    variant.previous = playlist;
    variant.previousPollAt = askedAt;
    variant.ended ||= playlist.endList;
    const window = windowDuration(playlist);
    variant.longestWindow = Math.max(variant.longestWindow, window);
  }

  async #checkSegment(variant: Variant, record: SegmentRecord): Promise<void> {
    if (record.gap) {
      variant.lastAnalysed = undefined;
      return;
    }
    const subject = `${variant.key} #${record.mediaSequence}`;
    const response = await this.#send(record.url, 'GET', { 'accept-encoding': 'gzip' }, subject);
    const problems = new ProblemList();
    if (!response || !checkStatus(response, problems)) {
      this.#report(subject, problems.all);
      variant.lastAnalysed = undefined;
      return;
    }
    checkCors(response, problems);
    checkContentType(response, ['video/mp2t'], problems);
    checkSegmentCaching(
      response,
      Math.max(variant.longestWindow, 3 * (variant.targetDuration ?? 0)),
      problems,
    );
    const body = decodeSegment(response, problems);
    const media = analyseSegment(body);
    this.#report(subject, problems.all);
    this.#report(subject, media.problems);

    const pair = new ProblemList();
    checkIndependence(variant, record, media, pair);
    compareSegments(variant, { record, media }, pair);
    this.#report(subject, pair.all);
    remember(variant, { record, media }, body.length);
    if (this.#probe && !variant.probed.has('segment')) {
      variant.probed.add('segment');
      await this.#probeSegment(record.url, { ...response, body }, subject);
      await this.#probeUnknown(new URL(`./no-such-${randomUUID()}.ts`, record.url).href, variant.key);
    }
  }

  async #probeSegment(url: string, known: HttpResponse, subject: string): Promise<void> {
    const problems = new ProblemList();
    const size = known.body.length;
    const ask = (headers: Record<string, string>) => this.#send(url, 'GET', headers, subject);

    checkRange(await ask({ range: 'bytes=0-187' }), known.body, 0, 187, problems);
    checkRange(await ask({ range: `bytes=${size - 188}-` }), known.body, size - 188, size - 1, problems);
    checkRange(await ask({ range: 'bytes=-188' }), known.body, size - 188, size - 1, problems);
    const beyond = await ask({ range: `bytes=${size}-` });
    if (beyond && beyond.status !== 416)
      problems.error('H7', `a range beyond the end answers ${beyond.status}, not 416`);
    if (beyond?.status === 416 && beyond.headers['content-range'] !== `bytes */${size}`) {
      problems.error('H7', `416 with content-range "${beyond.headers['content-range'] ?? ''}"`);
    }
    const head = await this.#send(url, 'HEAD', {}, subject);
    if (head && (head.status !== 200 || head.body.length > 0)) {
      problems.error('H7', `HEAD on a segment answers ${head.status} with ${head.body.length} bytes`);
    }
    if (head?.status === 200 && head.headers['content-length'] !== String(size)) {
      problems.error(
        'H7',
        `HEAD announces ${head.headers['content-length'] ?? 'no length'}, the segment has ${size}`,
      );
    }
    const tag = known.headers.etag;
    if (tag === undefined) {
      problems.error('H7', 'a segment has no ETag');
    } else {
      const conditional = await ask({ 'if-none-match': tag });
      if (conditional && conditional.status !== 304) {
        problems.error('H7', `a matching If-None-Match answers ${conditional.status}, not 304`);
      }
    }
    this.#report(subject, problems.all);
  }

  /** Asks for the segment that left first; servers delete in order, so this is the one that could be gone. */
  async #probeRemoved(variant: Variant): Promise<void> {
    const now = this.#now();
    variant.removed = variant.removed.filter(({ mustLiveUntil }) => mustLiveUntil > now);
    const oldest = variant.removed[0];
    if (!oldest) return;
    const subject = `${variant.key} #${oldest.record.mediaSequence}`;
    const response = await this.#send(oldest.record.url, 'GET', { range: 'bytes=0-0' }, subject);
    if (!response || this.#now() >= oldest.mustLiveUntil) return;
    if (response.status !== 200 && response.status !== 206) {
      const seconds = ((oldest.mustLiveUntil - this.#now()) / 1000).toFixed(1);
      this.#error(subject, 'R1', `removed segment answers ${response.status}, ${seconds} s too early`);
      variant.removed.shift();
    }
  }
}

function withoutQuery(url: string): string {
  const parsed = new URL(url);
  return parsed.origin + parsed.pathname;
}

function urisOf(playlist: Playlist): string[] {
  return (playlist.kind === 'media' ? playlist.segments : playlist.variants).map(({ uri }) => uri);
}

function windowDuration(playlist: MediaPlaylist): number {
  return playlist.segments.reduce((sum, segment) => sum + segment.duration, 0);
}

// --- HTTP -------------------------------------------------------------------------------------------------------

function checkStatus(response: HttpResponse, problems: ProblemList): boolean {
  if (response.status >= 300 && response.status < 400) {
    problems.error('H4', `redirected with ${response.status} to ${response.headers.location ?? 'nowhere'}`);
  } else if (response.status !== 200) {
    problems.error('R2', `answers ${response.status} although it is listed`);
  }
  return response.status === 200;
}

function checkContentType(response: HttpResponse, allowed: readonly string[], problems: ProblemList): void {
  const type = (response.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!allowed.includes(type)) problems.error('H1', `content type "${type}", not ${allowed.join(' or ')}`);
}

function hasToken(header: string | undefined, token: string): boolean {
  return (header ?? '')
    .toLowerCase()
    .split(',')
    .some((part) => part.trim() === token);
}

function corsProblem(response: HttpResponse): string | undefined {
  const allowed = response.headers['access-control-allow-origin'];
  if (allowed === undefined) return 'no Access-Control-Allow-Origin';
  if (allowed === '*') return undefined;
  if (allowed !== origin) return `Access-Control-Allow-Origin is "${allowed}"`;
  return hasToken(response.headers.vary, 'origin') ? undefined : 'the origin is echoed without Vary: Origin';
}

function checkCors(response: HttpResponse, problems: ProblemList): void {
  const problem = corsProblem(response);
  if (problem !== undefined) problems.error('H3', problem);
}

function checkPreflight(response: HttpResponse, problems: ProblemList): void {
  if (response.status !== 200 && response.status !== 204) {
    problems.error('H3', `preflight answers ${response.status}`);
    return;
  }
  const problem = corsProblem(response);
  if (problem !== undefined) problems.error('H3', `preflight: ${problem}`);
  const headers = response.headers['access-control-allow-headers'];
  if (headers !== '*' && !hasToken(headers, 'range'))
    problems.error('H3', 'preflight does not allow the Range header');
}

function decodePlaylist(response: HttpResponse, problems: ProblemList): Uint8Array | undefined {
  const encoding = response.headers['content-encoding'];
  if (encoding !== 'gzip') {
    problems.error('H2', `playlist encoding is ${encoding ?? 'identity'} although gzip was accepted`);
    return response.body;
  }
  if (!hasToken(response.headers.vary, 'accept-encoding')) {
    problems.error('H2', 'a compressed playlist lacks Vary: Accept-Encoding');
  }
  try {
    return gunzipSync(response.body);
  } catch {
    problems.error('H2', 'the compressed playlist cannot be decompressed');
    return undefined;
  }
}

function decodeSegment(response: HttpResponse, problems: ProblemList): Uint8Array {
  const encoding = response.headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return response.body;
  problems.error('H2', `a segment is sent with encoding ${encoding}`);
  if (encoding !== 'gzip') return response.body;
  try {
    return gunzipSync(response.body);
  } catch {
    return response.body;
  }
}

function maximumAge(response: HttpResponse): number | undefined {
  const match = /max-age=(\d+)/i.exec(response.headers['cache-control'] ?? '');
  return match ? Number(match[1]) : undefined;
}

function isUncached(response: HttpResponse): boolean {
  const control = response.headers['cache-control'];
  return hasToken(control, 'no-cache') || hasToken(control, 'no-store') || maximumAge(response) === 0;
}

function checkPlaylistCaching(response: HttpResponse, playlist: Playlist, problems: ProblemList): void {
  // The multivariant playlist hardly changes, so half a minute does no harm; a media playlist ages within one segment.
  const limit = playlist.kind === 'media' ? (playlist.targetDuration ?? 1) : 30;
  const age = maximumAge(response);
  if (hasToken(response.headers['cache-control'], 'immutable')) {
    problems.error('H6', 'a live playlist is marked immutable');
  } else if (!isUncached(response) && (age === undefined || age > limit)) {
    problems.error('H6', `a live playlist has cache-control "${response.headers['cache-control'] ?? ''}"`);
  }
}

function checkSegmentCaching(response: HttpResponse, window: number, problems: ProblemList): void {
  const age = maximumAge(response);
  if (!hasToken(response.headers['cache-control'], 'immutable') || age === undefined || age < window) {
    problems.error('H6', `a segment has cache-control "${response.headers['cache-control'] ?? ''}"`);
  }
}

function checkAge(response: HttpResponse, targetDuration: number, problems: ProblemList): void {
  const modified = Date.parse(response.headers['last-modified'] ?? '');
  const date = Date.parse(response.headers.date ?? '');
  // Both headers have whole seconds, hence the extra second.
  if (date - modified > (3 * targetDuration + 1) * 1000) {
    problems.error('H6', `Last-Modified is ${(date - modified) / 1000} s older than Date`);
  }
}

function checkNotFound(response: HttpResponse, problems: ProblemList): void {
  if (response.status !== 404) {
    problems.error('H5', `an unknown name answers ${response.status}, not 404`);
    return;
  }
  if (corsProblem(response) !== undefined)
    problems.warning('H3', 'a 404 cannot be read by a page of another origin');
  const age = maximumAge(response) ?? 0;
  if (hasToken(response.headers['cache-control'], 'immutable') || age > 60) {
    problems.error('H6', `a 404 has cache-control "${response.headers['cache-control'] ?? ''}"`);
  }
  let code: unknown;
  try {
    const encoded = response.headers['content-encoding'] === 'gzip';
    const body = encoded ? gunzipSync(response.body) : response.body;
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (typeof value === 'object' && value !== null && 'code' in value) code = value.code;
  } catch {
    code = undefined;
  }
  if (!/^application\/(problem\+)?json/i.test(response.headers['content-type'] ?? '')) {
    problems.error('H5', `a 404 has content type "${response.headers['content-type'] ?? ''}", not JSON`);
  } else if (typeof code !== 'string' || code === '') {
    problems.error('H5', 'a 404 has no code');
  }
}

function checkRange(
  response: HttpResponse | undefined,
  whole: Uint8Array,
  first: number,
  last: number,
  problems: ProblemList,
): void {
  if (!response) return;
  if (response.status !== 206) {
    problems.error('H7', `range ${first}-${last} answers ${response.status}, not 206`);
    return;
  }
  const expected = `bytes ${first}-${last}/${whole.length}`;
  if (response.headers['content-range'] !== expected) {
    problems.error('H7', `content-range "${response.headers['content-range'] ?? ''}", not "${expected}"`);
  }
  if (Buffer.compare(response.body, whole.subarray(first, last + 1)) !== 0) {
    problems.error('H7', `range ${first}-${last} has other bytes than the whole segment`);
  }
}

// --- media playlist over time -----------------------------------------------------------------------------------

function lastSequence(playlist: MediaPlaylist): number {
  return playlist.mediaSequence + playlist.segments.length - 1;
}

function identityOf(segment: PlaylistSegment, base: string): string {
  return withoutQuery(new URL(segment.uri, base).href);
}

/** P4, P5, P14: what may change between two versions is narrow: append at the end, remove at the front, end. */
function compareSnapshots(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const previous = variant.previous;
  if (!previous) return;
  if (variant.ended) compareEnded(previous, playlist, problems);
  if (playlist.mediaSequence < previous.mediaSequence) {
    problems.error(
      'P4',
      `MEDIA-SEQUENCE went back from ${previous.mediaSequence} to ${playlist.mediaSequence}`,
    );
    return;
  }
  if (lastSequence(playlist) < lastSequence(previous)) {
    problems.error(
      'P4',
      `segments ${lastSequence(playlist) + 1} to ${lastSequence(previous)} were withdrawn`,
    );
  }
  // How often segments moved is not interesting: one wrong number moves all of them.
  for (const segment of playlist.segments) {
    const identity = identityOf(segment, variant.url);
    const knownSequence = variant.sequenceByIdentity.get(identity);
    if (knownSequence !== undefined && knownSequence !== segment.mediaSequence) {
      problems.error('P4', `a segment moved from ${knownSequence} to ${segment.mediaSequence}`, 'moved');
      continue;
    }
    const record = variant.records.get(segment.mediaSequence);
    if (record) compareRecord(record, segment, identity, problems);
  }
  compareDiscontinuities(variant, previous, playlist, problems);
}

function compareEnded(previous: MediaPlaylist, playlist: MediaPlaylist, problems: ProblemList): void {
  if (!playlist.endList) problems.error('P14', 'ENDLIST was withdrawn');
  else if (
    playlist.mediaSequence !== previous.mediaSequence ||
    playlist.segments.length !== previous.segments.length
  ) {
    problems.error('P14', 'the playlist changed after ENDLIST');
  }
}

function compareRecord(
  record: SegmentRecord,
  segment: PlaylistSegment,
  identity: string,
  problems: ProblemList,
): void {
  const name = `segment ${segment.mediaSequence}`;
  if (record.identity !== identity) {
    problems.error('P5', `${name} was ${record.identity} and is now ${identity}`);
    return;
  }
  if (record.duration !== segment.duration) {
    problems.error('P5', `${name}: EXTINF changed from ${record.duration} to ${segment.duration}`);
  }
}

/** A number is DISCONTINUITY-SEQUENCE plus the tags before it, so it stays with its segment whatever is removed. */
function compareDiscontinuities(
  variant: Variant,
  previous: MediaPlaylist,
  playlist: MediaPlaylist,
  problems: ProblemList,
): void {
  for (const segment of playlist.segments) {
    const record = variant.records.get(segment.mediaSequence);
    if (!record || record.identity !== identityOf(segment, variant.url)) continue;
    if (record.discontinuity !== segment.discontinuity) {
      problems.error('P4', `segment ${segment.mediaSequence} gained or lost its DISCONTINUITY`);
      return;
    }
    if (record.discontinuityNumber !== segment.discontinuityNumber) {
      problems.error(
        'P4',
        `segment ${segment.mediaSequence} changed from discontinuity ${record.discontinuityNumber} to ${segment.discontinuityNumber}`,
      );
      return;
    }
  }
  if ((playlist.discontinuitySequence ?? 0) < (previous.discontinuitySequence ?? 0)) {
    problems.error('P4', 'DISCONTINUITY-SEQUENCE went back');
  }
}

function trackRemoved(variant: Variant, playlist: MediaPlaylist): void {
  const previous = variant.previous;
  if (!previous || playlist.mediaSequence <= previous.mediaSequence) return;
  // It may have left right after the last look, so the window counts from there.
  const mustLiveUntil =
    variant.previousPollAt + Math.max(variant.longestWindow, windowDuration(previous)) * 1000;
  for (let number = previous.mediaSequence; number < playlist.mediaSequence; number += 1) {
    const record = variant.records.get(number);
    if (record && !record.gap && number <= lastSequence(previous))
      variant.removed.push({ record, mustLiveUntil });
  }
}

/** P2 and P3. */
function checkDurations(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const target = playlist.targetDuration;
  if (target === undefined) return;
  if (target < 1) problems.error('P2', `TARGETDURATION is ${target}`);
  if (variant.targetDuration !== undefined && variant.targetDuration !== target) {
    problems.error('P2', `TARGETDURATION changed from ${variant.targetDuration} to ${target}`);
  }
  variant.targetDuration = target;
  for (const { mediaSequence, duration } of playlist.segments) {
    if (duration > target + 0.5) {
      problems.error('P3', `segment ${mediaSequence} lasts ${duration} s, target duration is ${target} s`);
    } else if (Math.round(duration) > target) {
      problems.error(
        'P2',
        `EXTINF ${duration} of segment ${mediaSequence} rounds above the target duration ${target}`,
      );
    }
    if (duration === 0) problems.error('P2', `segment ${mediaSequence} lasts 0 s`);
  }
}

/** P6: a young playlist may be short, but from the first removal on the floor holds. */
function checkWindow(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  if (playlist.endList || playlist.mediaSequence <= variant.firstMediaSequence) return;
  const target = playlist.targetDuration ?? variant.targetDuration ?? 0;
  const window = windowDuration(playlist);
  if (playlist.segments.length < 6) {
    problems.error('P6', `segments were removed although only ${playlist.segments.length} are left`, 'count');
  }
  if (window < 3 * target) {
    problems.error('P6', `segments were removed although only ${window.toFixed(3)} s are left`, 'window');
  }
}

/** P9 and P13. */
function checkKind(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const removes = playlist.mediaSequence > variant.firstMediaSequence;
  variant.discontinuitySeen ||= playlist.segments.some((segment) => segment.discontinuity);
  if (playlist.discontinuitySequence === undefined) {
    if (variant.discontinuitySeen) problems.error('P9', 'DISCONTINUITY without DISCONTINUITY-SEQUENCE');
    else if (removes) problems.warning('P9', 'a sliding playlist has no DISCONTINUITY-SEQUENCE');
  }
  if (playlist.playlistType !== undefined && removes) {
    problems.error('P13', `segments are removed from a playlist of type ${playlist.playlistType}`);
  }
  if (playlist.playlistType === 'VOD' && !playlist.endList) problems.error('P13', 'type VOD without ENDLIST');
  if (variant.previous && variant.playlistType !== playlist.playlistType) {
    problems.error(
      'P13',
      `type changed from ${variant.playlistType ?? 'none'} to ${playlist.playlistType ?? 'none'}`,
    );
  }
  variant.playlistType = playlist.playlistType;
}

/** P7: only a look that found nothing new proves a late update; the true gap is never shorter than what was seen. */
function checkFreshness(
  variant: Variant,
  playlist: MediaPlaylist,
  { askedAt, now, segmentsDue, slack }: { askedAt: number; now: number; segmentsDue: boolean; slack: number },
  problems: ProblemList,
): void {
  const previous = variant.previous;
  if (!previous || lastSequence(playlist) !== lastSequence(previous) || playlist.endList || variant.ended) {
    variant.lastChangeAt = now;
    return;
  }
  const limit = 1500 * (playlist.targetDuration ?? 1);
  const unchangedFor = askedAt - variant.lastChangeAt;
  if (segmentsDue && unchangedFor > limit + slack) {
    const seconds = (unchangedFor / 1000).toFixed(1);
    // One stall is one finding, however long it lasts.
    problems.error('P7', `no segment for ${seconds} s after ${lastSequence(previous)}`);
    variant.lastChangeAt = Number.POSITIVE_INFINITY;
  }
}

/** Puts the segments not met before on record and returns them; numbers that changed their meaning are taken over. */
function recordSegments(variant: Variant, playlist: MediaPlaylist): SegmentRecord[] {
  const fresh: SegmentRecord[] = [];
  for (const segment of playlist.segments) {
    const url = new URL(segment.uri, variant.url).href;
    const identity = withoutQuery(url);
    const known = variant.records.get(segment.mediaSequence);
    const record: SegmentRecord = {
      mediaSequence: segment.mediaSequence,
      url,
      identity,
      duration: segment.duration,
      discontinuity: segment.discontinuity,
      discontinuityNumber: segment.discontinuityNumber,
      gap: segment.gap,
      time: known?.identity === identity ? known.time : undefined,
    };
    variant.records.set(segment.mediaSequence, record);
    if (!variant.sequenceByIdentity.has(identity)) fresh.push(record);
    variant.sequenceByIdentity.set(identity, segment.mediaSequence);
  }
  return fresh;
}

function frameSeconds(variant: Variant): number {
  const { video, audio } = variant.facts;
  const ticks = video?.frameDuration ?? audio?.frameDuration;
  if (ticks !== undefined) return ticks / clockRate;
  return variant.frameRate === undefined ? 0.04 : 1 / variant.frameRate;
}

/** P8. Dates have whole milliseconds, so one millisecond belongs to the tolerance. */
function checkDates(variant: Variant, playlist: MediaPlaylist, problems: ProblemList): void {
  const tolerance = frameSeconds(variant) * 1000 + 1;
  if (
    playlist.segments.length > 0 &&
    playlist.segments.every((segment) => segment.programDateTime === undefined)
  ) {
    problems.error('P8', 'no PROGRAM-DATE-TIME');
  }
  let expected: number | undefined;
  for (const segment of playlist.segments) {
    const { mediaSequence, programDateTime, discontinuity } = segment;
    if (discontinuity && programDateTime === undefined) {
      problems.warning('P8', `segment ${mediaSequence} has a DISCONTINUITY and no PROGRAM-DATE-TIME`);
    }
    if (programDateTime !== undefined && expected !== undefined) {
      const difference = programDateTime - expected;
      if (discontinuity ? difference < -1000 : Math.abs(difference) > tolerance) {
        problems.error(
          'P8',
          `date of segment ${mediaSequence} is ${difference.toFixed(0)} ms off its predecessor's end`,
        );
      }
    }
    const time = programDateTime ?? (discontinuity ? undefined : expected);
    const record = variant.records.get(mediaSequence);
    if (record && time !== undefined) {
      if (record.time !== undefined && Math.abs(record.time - time) > tolerance) {
        problems.error(
          'P8',
          `date of segment ${mediaSequence} changed by ${(time - record.time).toFixed(0)} ms`,
        );
      }
      record.time ??= time;
    }
    expected = time === undefined ? undefined : time + segment.duration * 1000;
  }
}

// --- segments ---------------------------------------------------------------------------------------------------

/** P11 and M6 at the begin of a segment. */
function checkIndependence(
  variant: Variant,
  record: SegmentRecord,
  media: TransportSegment,
  problems: ProblemList,
): void {
  const first = media.video?.units[0];
  if (!first || first.keyframe) return;
  if (variant.independentSegments) {
    problems.error('P11', 'INDEPENDENT-SEGMENTS is declared, but the first picture is not IDR');
  } else if (record.discontinuity || record.mediaSequence === variant.firstMediaSequence) {
    problems.error('M6', 'the first picture is not IDR');
  }
}

/** Everything that needs two segments: M3, M4, M9, M11, P12. */
function compareSegments(variant: Variant, current: AnalysedSegment, problems: ProblemList): void {
  const previous = variant.lastAnalysed;
  const follows = previous?.record.mediaSequence === current.record.mediaSequence - 1;
  if (!previous || !follows) {
    variant.run = { declared: 0, measured: 0 };
    return;
  }
  if (current.record.discontinuity) {
    checkOwnDuration(previous, problems);
    variant.run = { declared: 0, measured: 0 };
    return;
  }
  compareCounters(previous.media, current.media, problems);
  compareParameters(previous.media, current.media, problems);
  // A jump explains every other time difference; reporting those too would only hide the cause.
  if (compareTimestamps(previous.media, current.media, problems)) {
    compareClocks(previous.media, current.media, problems);
    compareDuration(variant, previous, current, problems);
  } else {
    checkOwnDuration(previous, problems);
    variant.run = { declared: 0, measured: 0 };
  }
}

function compareCounters(previous: TransportSegment, current: TransportSegment, problems: ProblemList): void {
  for (const [pid, { first }] of current.counters) {
    const before = previous.counters.get(pid);
    if (!before || current.announcedDiscontinuity.has(pid)) continue;
    const expected = (before.last + 1) & 0x0f;
    if (first !== expected) {
      problems.error(
        'M3',
        `PID ${pid} begins with counter ${first}, the segment before ended with ${before.last}`,
      );
    }
  }
}

function describeStreams(media: TransportSegment): string {
  return media.streams.map(({ pid, streamType }) => `${pid}:${streamType}`).join(' ');
}

/** M11: other tracks or other parameters need a DISCONTINUITY. */
function compareParameters(
  previous: TransportSegment,
  current: TransportSegment,
  problems: ProblemList,
): void {
  const changed = (before: unknown, after: unknown) =>
    before !== undefined && after !== undefined && before !== after;
  if (previous.streams.length > 0 && current.streams.length > 0) {
    if (changed(describeStreams(previous), describeStreams(current))) {
      problems.error(
        'M11',
        `the tracks changed from ${describeStreams(previous)} to ${describeStreams(current)}`,
      );
    }
  }
  if (changed(previous.video?.sequenceHex, current.video?.sequenceHex))
    problems.error('M11', 'the SPS changed');
  if (
    changed(previous.audio?.sampleRate, current.audio?.sampleRate) ||
    changed(previous.audio?.channels, current.audio?.channels) ||
    changed(previous.audio?.codec, current.audio?.codec)
  ) {
    problems.error('M11', 'the audio format changed');
  }
}

/** M9; true when the time line goes on. */
function compareTimestamps(
  previous: TransportSegment,
  current: TransportSegment,
  problems: ProblemList,
): boolean {
  const before = problems.all.length;
  const lastUnit = previous.video?.units.at(-1);
  const firstUnit = current.video?.units[0];
  const frame = previous.video?.frameDuration ?? current.video?.frameDuration;
  if (lastUnit && firstUnit && frame !== undefined) {
    const gap = timestampDifference(firstUnit.dts, lastUnit.dts);
    // A source with a varying frame rate is measured by its own longest frame.
    const longest = Math.max(frame, previous.video?.longestFrame ?? 0);
    if (gap <= 0 || gap > longest + frame) {
      problems.error(
        'M9',
        `video DTS goes on after ${milliseconds(gap)} ms, a frame lasts ${milliseconds(frame)} ms`,
      );
    }
  }
  const lastAudio = previous.audio?.packets.at(-1);
  const firstAudio = current.audio?.packets[0];
  const audioFrame = previous.audio?.frameDuration;
  if (lastAudio && firstAudio && audioFrame !== undefined) {
    const expected = lastAudio.pts + lastAudio.frames * audioFrame;
    const difference = timestampDifference(firstAudio.pts, expected);
    if (Math.abs(difference) > audioFrame + 2) {
      problems.error(
        'M9',
        `audio PTS goes on ${milliseconds(difference)} ms off the end of the segment before`,
      );
    }
  }
  return problems.all.length === before;
}

function milliseconds(ticks: number): string {
  return ((ticks / clockRate) * 1000).toFixed(1);
}

function compareClocks(previous: TransportSegment, current: TransportSegment, problems: ProblemList): void {
  const last = previous.pcrs.at(-1);
  const first = current.pcrs[0];
  if (!last || !first) return;
  const interval = timestampDifference(first.seconds * clockRate, last.seconds * clockRate) / clockRate;
  if (interval <= 0 || interval > maximumPcrInterval + 1e-6) {
    problems.error(
      'M4',
      `${(interval * 1000).toFixed(1)} ms from the last PCR to the first of the next segment`,
    );
  }
}

function startOf(media: TransportSegment, useVideo: boolean): number | undefined {
  return useVideo ? media.video?.units[0]?.pts : media.audio?.packets[0]?.pts;
}

/** P12: EXTINF against the start of the next segment, alone and summed up since the last discontinuity. */
function compareDuration(
  variant: Variant,
  previous: AnalysedSegment,
  current: AnalysedSegment,
  problems: ProblemList,
): void {
  const useVideo =
    previous.media.video?.units[0] !== undefined && current.media.video?.units[0] !== undefined;
  const from = startOf(previous.media, useVideo);
  const to = startOf(current.media, useVideo);
  const frame = (useVideo ? previous.media.video : previous.media.audio)?.frameDuration;
  if (from === undefined || to === undefined || frame === undefined) return;
  const measured = timestampDifference(to, from) / clockRate;
  const declared = previous.record.duration;
  const tolerance = frame / clockRate + 0.001;
  variant.run.declared += declared;
  variant.run.measured += measured;
  const drift = variant.run.declared - variant.run.measured;
  if (Math.abs(declared - measured) > tolerance) {
    problems.error(
      'P12',
      `EXTINF of the segment before is ${declared}, its media lasts ${measured.toFixed(5)} s`,
    );
  } else if (Math.abs(drift) > tolerance) {
    problems.error('P12', `the EXTINF so far are ${drift.toFixed(5)} s off the media time`);
  } else {
    return;
  }
  variant.run = { declared: 0, measured: 0 };
}

/** P12 where no next segment continues the time line: the duration must lie between the ends of the tracks. */
function checkOwnDuration({ record, media }: AnalysedSegment, problems: ProblemList): void {
  const ends: number[] = [];
  const { video, audio } = media;
  if (video?.units.length && video.frameDuration !== undefined) {
    ends.push(Math.max(...video.units.map((unit) => unit.pts)) + video.frameDuration);
  }
  const lastAudio = audio?.packets.at(-1);
  if (lastAudio && audio?.frameDuration !== undefined) {
    ends.push(lastAudio.pts + lastAudio.frames * audio.frameDuration);
  }
  const start = startOf(media, video?.units[0] !== undefined);
  const frame = video?.frameDuration ?? audio?.frameDuration;
  if (start === undefined || frame === undefined) return;
  const tolerance = frame / clockRate + 0.001;
  const shortest = (Math.min(...ends) - start) / clockRate;
  const longest = (Math.max(...ends) - start) / clockRate;
  if (record.duration < shortest - tolerance || record.duration > longest + tolerance) {
    problems.error(
      'P12',
      `EXTINF of segment ${record.mediaSequence} is ${record.duration}, its media lasts ${longest.toFixed(5)} s`,
    );
  }
}

function checkLastSegment(variant: Variant, problems: ProblemList): void {
  if (variant.lastAnalysed) checkOwnDuration(variant.lastAnalysed, problems);
}

function remember(variant: Variant, analysed: AnalysedSegment, bytes: number): void {
  const { media, record } = analysed;
  variant.lastAnalysed = analysed;
  variant.rates.push({ duration: record.duration, bytes });
  variant.facts = {
    streamTypes: media.streams.map((stream) => stream.streamType),
    video: media.video,
    audio: media.audio,
    captions: variant.facts.captions || media.video?.hasCaptions === true,
  };
  variant.overhead.total += media.overhead.totalBytes;
  variant.overhead.elementary += media.overhead.elementaryBytes;
}

// --- multivariant playlist --------------------------------------------------------------------------------------

/** Largest bit rate over any run of segments that lasts between half and one and a half target durations. */
export function peakBitRate(
  segments: readonly { duration: number; bytes: number }[],
  targetDuration: number,
): number | undefined {
  let peak: number | undefined;
  for (let first = 0; first < segments.length; first += 1) {
    let duration = 0;
    let bytes = 0;
    for (let index = first; index < segments.length; index += 1) {
      const segment = segments[index];
      if (!segment) break;
      duration += segment.duration;
      bytes += segment.bytes;
      if (duration > 1.5 * targetDuration + 0.5) break;
      if (duration >= 0.5 * targetDuration) peak = Math.max(peak ?? 0, (bytes * 8) / duration);
    }
  }
  return peak;
}

function averageBitRate(segments: readonly { duration: number; bytes: number }[]): number | undefined {
  const duration = segments.reduce((sum, segment) => sum + segment.duration, 0);
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  return duration > 0 ? (bytes * 8) / duration : undefined;
}

function multivariantProblems(
  playlist: MultivariantPlaylist,
  base: string,
  variants: ReadonlyMap<string, Variant>,
): Problem[] {
  const problems = new ProblemList();
  checkCaptions(playlist, variants, problems);
  for (const { uri, attributes } of playlist.variants) {
    const variant = variants.get(withoutQuery(new URL(uri, base).href));
    for (const type of ['AUDIO', 'VIDEO', 'SUBTITLES']) {
      const group = attributes.get(type);
      if (group !== undefined && !hasGroup(playlist, type, group)) {
        problems.error('V7', `${uri}: ${type} group "${group}" does not exist`);
      }
    }
    if (!variant || variant.facts.streamTypes.length === 0) continue;
    checkCodecs(uri, attributes.get('CODECS'), variant.facts, problems);
    checkPicture(
      uri,
      attributes.get('RESOLUTION'),
      attributes.get('FRAME-RATE'),
      variant.facts.video,
      problems,
    );
    checkBitRates(uri, attributes, variant, problems);
  }
  return problems.all;
}

function hasGroup(playlist: MultivariantPlaylist, type: string, group: string): boolean {
  return playlist.media.some(
    ({ attributes }) => attributes.get('TYPE') === type && attributes.get('GROUP-ID') === group,
  );
}

/** V6. */
function checkCaptions(
  playlist: MultivariantPlaylist,
  variants: ReadonlyMap<string, Variant>,
  problems: ProblemList,
): void {
  const declared = playlist.variants.map(({ attributes }) => attributes.get('CLOSED-CAPTIONS'));
  const none = declared.filter((value) => value === 'NONE').length;
  if (none > 0 && none < declared.length) {
    problems.error('V6', 'CLOSED-CAPTIONS=NONE stands on some variants and not on all');
  }
  if (declared.length > 0 && declared.every((value) => value === undefined)) {
    problems.warning(
      'V6',
      'no CLOSED-CAPTIONS attribute; Apple players then show a caption track that is not there',
    );
  }
  for (const group of declared) {
    if (group !== undefined && group !== 'NONE' && !hasGroup(playlist, 'CLOSED-CAPTIONS', group)) {
      problems.error('V6', `caption group "${group}" does not exist`);
    }
  }
  if (none > 0 && [...variants.values()].some((variant) => variant.facts.captions)) {
    problems.error('V6', 'CLOSED-CAPTIONS=NONE, but the video carries captions');
  }
}

const mpegAudioCodecs: ReadonlySet<string> = new Set(['mp4a.40.34', 'mp4a.69', 'mp4a.6b']);
/** ADTS announces only the core of HE-AAC, so the declaration may say more than the header. */
const acceptedForLowComplexity: ReadonlySet<string> = new Set(['mp4a.40.2', 'mp4a.40.5', 'mp4a.40.29']);

function audioMatches(codec: string, facts: MeasuredFacts): boolean {
  const { audio } = facts;
  if (!audio) return false;
  if (audio.streamType === 0x03 || audio.streamType === 0x04) return mpegAudioCodecs.has(codec);
  if (audio.streamType !== 0x0f) return !codec.startsWith('mp4a.');
  if (audio.codec === undefined) return codec.startsWith('mp4a.40.');
  return audio.codec === 'mp4a.40.2' ? acceptedForLowComplexity.has(codec) : codec === audio.codec;
}

/** V1. */
function checkCodecs(
  uri: string,
  declared: string | undefined,
  facts: MeasuredFacts,
  problems: ProblemList,
): void {
  if (declared === undefined) {
    problems.error('V1', `${uri}: no CODECS`);
    return;
  }
  const codecs = declared.split(',').map((codec) => codec.trim().toLowerCase());
  const isVideo = (codec: string) => /^(avc|hvc|hev|vvc|vvi|dvh|av01|vp0)/.test(codec);
  const video = codecs.filter(isVideo);
  const audio = codecs.filter((codec) => !isVideo(codec));
  const expectedVideo = facts.video?.codec;
  if (video.length !== (facts.video ? 1 : 0) || (expectedVideo !== undefined && video[0] !== expectedVideo)) {
    problems.error(
      'V1',
      `${uri}: CODECS="${declared}", the video is ${expectedVideo ?? (facts.video ? 'unknown' : 'absent')}`,
    );
  }
  const audioFits = facts.audio
    ? audio.length === 1 && audio.every((codec) => audioMatches(codec, facts))
    : audio.length === 0;
  if (!audioFits) {
    problems.error('V1', `${uri}: CODECS="${declared}", the audio is ${facts.audio?.codec ?? 'absent'}`);
  }
}

/** V2 and V3. */
function checkPicture(
  uri: string,
  resolution: string | undefined,
  frameRate: string | undefined,
  video: VideoFacts | undefined,
  problems: ProblemList,
): void {
  if (!video) {
    if (resolution !== undefined) problems.error('V2', `${uri}: RESOLUTION without video`);
    if (frameRate !== undefined) problems.error('V3', `${uri}: FRAME-RATE without video`);
    return;
  }
  if (resolution === undefined) problems.error('V2', `${uri}: no RESOLUTION`);
  else if (video.sequence && resolution !== `${video.sequence.width}x${video.sequence.height}`) {
    problems.error(
      'V2',
      `${uri}: RESOLUTION=${resolution}, the SPS says ${video.sequence.width}x${video.sequence.height}`,
    );
  }
  if (frameRate === undefined) {
    problems.error('V3', `${uri}: no FRAME-RATE`);
    return;
  }
  // Timestamps come from whole milliseconds; in a very short segment that alone is more than half a percent.
  const seconds = ((video.frameDuration ?? 0) * (video.units.length - 1)) / clockRate;
  const tolerance = 0.005 + 0.001 / Math.max(seconds, 0.001);
  const fits = (measured: number) => Math.abs(Number(frameRate) / measured - 1) <= tolerance;
  if (video.framesPerSecond !== undefined && !fits(video.framesPerSecond)) {
    problems.error('V3', `${uri}: FRAME-RATE=${frameRate} does not match the frames of the segments`);
  }
}

/** V4 and V5, with the margins for live streams: the peak may be 25 % over, the average 10 %. */
function checkBitRates(
  uri: string,
  attributes: ReadonlyMap<string, string>,
  variant: Variant,
  problems: ProblemList,
): void {
  const bandwidth = Number(attributes.get('BANDWIDTH'));
  const peak = peakBitRate(variant.rates, variant.targetDuration ?? 1);
  if (peak !== undefined && bandwidth * 1.25 < peak) {
    problems.error('V4', `${uri}: BANDWIDTH=${bandwidth} is below the measured peak by more than 25 %`);
  }
  const declared = attributes.get('AVERAGE-BANDWIDTH');
  if (declared === undefined) {
    problems.error('V5', `${uri}: no AVERAGE-BANDWIDTH`);
    return;
  }
  if (Number(declared) > bandwidth) problems.error('V5', `${uri}: AVERAGE-BANDWIDTH is above BANDWIDTH`);
  const average = averageBitRate(variant.rates);
  // The rule speaks of an hour; a handful of segments proves nothing.
  if (average !== undefined && variant.rates.length >= 10 && average > Number(declared) * 1.1) {
    problems.warning(
      'V5',
      `${uri}: AVERAGE-BANDWIDTH=${declared} is below the measured average by more than 10 %`,
    );
  }
}

/** V8 and V9: segments are matched by date, because variants need not number alike. */
function compareVariants(seen: readonly { variant: Variant; playlist: MediaPlaylist }[]): Problem[] {
  const problems = new ProblemList();
  const reference = seen[0];
  if (!reference) return [];
  for (const other of seen.slice(1)) {
    if (other.playlist.targetDuration !== reference.playlist.targetDuration) {
      problems.error('V8', `${other.variant.key} has another TARGETDURATION than ${reference.variant.key}`);
    }
    if (other.playlist.serverControl !== reference.playlist.serverControl) {
      problems.error('V8', `${other.variant.key} has another SERVER-CONTROL than ${reference.variant.key}`);
    }
    for (const { mediaSequence } of other.playlist.segments) {
      const record = other.variant.records.get(mediaSequence);
      if (record?.time === undefined) continue;
      const middle = record.time + record.duration * 500;
      const partner = [...reference.variant.records.values()].find(
        ({ time, duration }) => time !== undefined && time <= middle && middle < time + duration * 1000,
      );
      if (partner && partner.discontinuityNumber !== record.discontinuityNumber) {
        problems.error('V9', `${other.variant.key} counts discontinuities unlike ${reference.variant.key}`);
        break;
      }
    }
  }
  return problems.all;
}

function summariseVariant(variant: Variant): Summary['variants'][number] {
  const { video, audio } = variant.facts;
  const packets = audio?.packets ?? [];
  return {
    url: variant.key,
    segments: variant.rates.length,
    seconds: variant.rates.reduce((sum, segment) => sum + segment.duration, 0),
    peakBitRate: peakBitRate(variant.rates, variant.targetDuration ?? 1),
    averageBitRate: averageBitRate(variant.rates),
    overheadRatio:
      variant.overhead.elementary > 0 ? variant.overhead.total / variant.overhead.elementary - 1 : undefined,
    codecs: [video?.codec, audio?.codec].filter((codec) => codec !== undefined),
    audioFramesPerPacket:
      packets.length > 0
        ? packets.reduce((sum, packet) => sum + packet.frames, 0) / packets.length
        : undefined,
  };
}
