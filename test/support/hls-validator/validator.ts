import { setTimeout as delay } from 'node:timers/promises';
import type { Seen } from './alignment-checks.ts';
import { alignmentProblems, checkLag } from './alignment-checks.ts';
import { checkOwnDuration } from './duration-checks.ts';
import { origin, readPlaylist, readSegment } from './http-checks.ts';
import type { MediaPlaylist, MultivariantPlaylist, Playlist } from './m3u8.ts';
import { compareVariants, multivariantProblems } from './multivariant-checks.ts';
import type { RequestFunction, ValidatorOptions, WatchOptions } from './options.ts';
import {
  checkDates,
  checkDurations,
  checkFreshness,
  checkIndependenceTag,
  checkKind,
  checkWindow,
} from './playlist-checks.ts';
import type { Ask } from './probes.ts';
import { checkRemoved, probePlaylist, probeSegment, probeUnknown } from './probes.ts';
import { rawRequest } from './raw-request.ts';
import type { Finding, Problem } from './report.ts';
import { ProblemList } from './report.ts';
import { checkIndependence, compareSegments } from './segment-checks.ts';
import { compareSnapshots } from './snapshot-checks.ts';
import type { Summary } from './summary.ts';
import { summarise } from './summary.ts';
import { analyseSegment } from './ts.ts';
import type { SegmentRecord, Variant } from './variant.ts';
import {
  beginAnew,
  lastSequence,
  newVariant,
  recordSegments,
  rememberPlaylist,
  rememberSegment,
  trackRemoved,
  withoutQuery,
} from './variant.ts';

export { peakBitRate } from './bit-rates.ts';
export type {
  HttpRequest,
  HttpResponse,
  RequestFunction,
  ValidatorOptions,
  WatchOptions,
} from './options.ts';
export { rawRequest } from './raw-request.ts';
export type { Finding, Problem } from './report.ts';
export { formatFinding, formatFindings } from './report.ts';
export type { Summary } from './summary.ts';

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
    return summarise(this.#findings, this.#variants.values(), this.#polls);
  }

  /** The same problem of the same thing is reported once, however often it is looked at. */
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

  #askAbout(subject: string): Ask {
    return async (method, url, headers) => {
      try {
        return await this.#request(url, { method, headers: { origin, ...this.#headers, ...headers } });
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        this.#error(subject, 'R2', `request failed: ${message}`);
        return undefined;
      }
    };
  }

  /** @param excused asked when it is not there: whether it need not be */
  async #fetchPlaylist(
    url: string,
    excused: () => Promise<boolean> = async () => false,
  ): Promise<Playlist | undefined> {
    const subject = withoutQuery(url);
    const ask = this.#askAbout(subject);
    const response = await ask('GET', url, { 'accept-encoding': 'gzip' });
    if (!response) return undefined;
    const { playlist, problems } = readPlaylist(response, url, this.#publisherAway);
    if (!playlist && (await excused())) return undefined;
    this.#report(subject, problems);
    if (playlist && this.#probe && !this.#probedPlaylists.has(subject)) {
      this.#probedPlaylists.add(subject);
      const probed = await probePlaylist(ask, url, response);
      this.#report(subject, await probeUnknown(ask, url, '.m3u8'));
      this.#report(subject, probed);
    }
    return playlist;
  }

  async #pollMultivariant(playlist: MultivariantPlaylist): Promise<void> {
    if (playlist.variants.length === 0)
      this.#error(this.#url, 'P1', 'the multivariant playlist has no variant');
    const seen: Seen[] = [];
    for (const entry of playlist.variants) {
      const variant = this.#variant(new URL(entry.uri, this.#url).href);
      variant.frameRate = Number(entry.attributes.get('FRAME-RATE')) || undefined;
      const askedAt = this.#now();
      // A rendition may fail between the two requests; then it is not listed any more.
      const media = await this.#fetchPlaylist(variant.url, async () => !(await this.#lists(variant)));
      if (media?.kind === 'multivariant')
        this.#error(variant.key, 'P1', 'the variant is a multivariant playlist');
      if (media?.kind !== 'media') continue;
      if (variant.listedAtPoll < this.#polls - 1) beginAnew(variant, media, this.#now());
      variant.listedAtPoll = this.#polls;
      variant.besidePictures = seen[0]?.variant.facts.video !== undefined;
      await this.#pollVariant(variant, media, { askedAt, inherited: playlist.independentSegments });
      seen.push({ variant, playlist: media });
    }
    this.#report(this.#url, compareVariants(seen));
    this.#checkAlignment(seen);
    await this.#checkMultivariant(playlist);
  }

  /** Whether the multivariant playlist has it now. */
  async #lists({ key }: Variant): Promise<boolean> {
    const fresh = await this.#fetchPlaylist(this.#url);
    if (fresh?.kind !== 'multivariant') return false;
    return fresh.variants.some(({ uri }) => withoutQuery(new URL(uri, this.#url).href) === key);
  }

  /** Every variant against the first one, which is the source. */
  #checkAlignment([reference, ...others]: readonly Seen[]): void {
    if (!reference) return;
    for (const other of others) {
      const { key } = other.variant;
      const lag = new ProblemList();
      checkLag(reference, other, lag);
      this.#report(key, lag.all);
      for (const { mediaSequence, problems } of alignmentProblems(reference, other)) {
        this.#report(`${key} #${mediaSequence}`, problems);
      }
    }
  }

  /** Declarations are held against measurements; a difference counts only if a fresh copy still shows it. */
  async #checkMultivariant(playlist: MultivariantPlaylist): Promise<void> {
    const problems = multivariantProblems(playlist, this.#url, this.#variants);
    if (problems.length === 0) return;
    const fresh = await this.#fetchPlaylist(this.#url);
    if (fresh?.kind !== 'multivariant') return;
    for (const { uri } of fresh.variants) {
      const variant = this.#variant(new URL(uri, this.#url).href);
      const media = await this.#fetchPlaylist(variant.url, async () => true);
      // The fresh copy may speak of a segment that was not measured yet; the next look will.
      if (media?.kind !== 'media' || !variant.records.has(lastSequence(media))) return;
    }
    this.#report(this.#url, multivariantProblems(fresh, this.#url, this.#variants));
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
    checkIndependenceTag(variant, playlist, inherited, problems);
    checkFreshness(variant, playlist, { askedAt, now, segmentsDue, slack: this.#updateSlack }, problems);
    this.#report(variant.key, problems.all);

    const fresh = recordSegments(variant, playlist);
    for (const segment of fresh) await this.#checkSegment(variant, segment);

    // These know the length of a frame and the last segment only after the media has been looked at.
    const late = new ProblemList();
    checkDates(variant, playlist, late);
    if (playlist.endList && variant.lastAnalysed) checkOwnDuration(variant, variant.lastAnalysed, late);
    this.#report(variant.key, late.all);
    if (this.#probe) await this.#probeRemoved(variant);
    rememberPlaylist(variant, playlist, askedAt);
  }

  async #checkSegment(variant: Variant, record: SegmentRecord): Promise<void> {
    if (record.gap) {
      variant.lastAnalysed = undefined;
      return;
    }
    const subject = `${variant.key} #${record.mediaSequence}`;
    const ask = this.#askAbout(subject);
    const response = await ask('GET', record.url, { 'accept-encoding': 'gzip' });
    const window = Math.max(variant.longestWindow, 3 * (variant.targetDuration ?? 0));
    const problems = new ProblemList();
    const body = response && readSegment(response, window, problems);
    this.#report(subject, problems.all);
    if (!response || !body) {
      variant.lastAnalysed = undefined;
      return;
    }
    const media = analyseSegment(body);
    this.#report(subject, media.problems);

    const pair = new ProblemList();
    checkIndependence(variant, record, media, pair);
    compareSegments(variant, { record, media }, pair);
    this.#report(subject, pair.all);
    rememberSegment(variant, { record, media }, body.length);
    if (this.#probe && !variant.segmentProbed) {
      variant.segmentProbed = true;
      this.#report(subject, await probeSegment(ask, record.url, { headers: response.headers, body }));
      this.#report(variant.key, await probeUnknown(this.#askAbout(variant.key), record.url, '.ts'));
    }
  }

  /** Asks for the segment that left first; servers delete in order, so this is the one that could be gone. */
  async #probeRemoved(variant: Variant): Promise<void> {
    const now = this.#now();
    variant.removed = variant.removed.filter(({ mustLiveUntil }) => mustLiveUntil > now);
    const oldest = variant.removed[0];
    if (!oldest) return;
    const subject = `${variant.key} #${oldest.record.mediaSequence}`;
    const response = await this.#askAbout(subject)('GET', oldest.record.url, { range: 'bytes=0-0' });
    if (!response) return;
    const problems = new ProblemList();
    checkRemoved(response, oldest, this.#now(), problems);
    this.#report(subject, problems.all);
    if (problems.all.length > 0) variant.removed.shift();
  }
}
