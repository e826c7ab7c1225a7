import { asSluiceError, SluiceError } from '../../media/errors.ts';
import type { Epoch, Packet } from '../../media/packet.ts';
import { slabs } from '../../media/slab-pool.ts';
import { type EpochMs, msFromTicks, type Ticks } from '../../media/time.ts';
import type { AudioTrack, VideoTrack } from '../../media/track.ts';
import type { AlignedRendition, LeadingSegment } from '../../packaging/aligned-rendition.ts';
import type { PreparingSink } from '../../packaging/hls-outputs.ts';
import type { CutObserver } from '../../packaging/hls-packager.ts';
import { isOffered } from '../../packaging/variants.ts';
import type { Ffmpeg } from '../ffmpeg/ffmpeg.ts';
import { isOpen, type Job } from './job.ts';
import type { LadderOptions } from './ladder-options.ts';
import { Rung } from './rung.ts';
import type { RungState, RungView } from './rung-view.ts';
import { type LadderPlan, NO_PLAN, planLadder, type RungEntry, type RungPlan } from './rungs.ts';
import { Shedding } from './shedding.ts';
import { SourceWindow } from './source-window.ts';

const AUDIO = 'audio';
/** The first restart is at once, for ffmpeg that was killed; one that cannot work must not cost a core. */
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 30_000;
/** An ffmpeg that worked for this long can work. */
const PROVEN_MS = 3000;
/** One that made a whole segment is wanted back soon, whatever happened before; one that crashes after each waits a little. */
const FAILURES_BEFORE_A_SEGMENT = 2;
/** What waits for an encoder that does not keep up, or is not there. */
const MAX_BACKLOG_BYTES = 96 * 1024 * 1024;
const MAX_BACKLOG_SEGMENTS = 8;
/** A rendition so far behind the source is of no use to a player any more. */
const MAX_SEGMENTS_BEHIND = 4;

/**
 * The renditions of one stream beside its source. One ffmpeg decodes the source once and encodes all of them; what
 * comes out is cut where the packager cut the source. Whatever happens to ffmpeg, the source goes on: a new one is
 * given the segments that the old one left unfinished.
 */
export class Ladder implements PreparingSink, CutObserver {
  readonly #options: LadderOptions;
  readonly #window = new SourceWindow();
  readonly #shedding: Shedding;
  #entries: readonly RungEntry[] = [];
  #plan: LadderPlan = NO_PLAN;
  #epoch = 0;
  #video: VideoTrack | null = null;
  #audio: AudioTrack | null = null;
  /** The publisher is there. */
  #live = false;
  /** Between the first packet of a segment and the end of the publication. */
  #cutting = false;
  #rungs: Rung[] = [];
  #sound: AlignedRendition | null = null;
  #job: Job | null = null;
  /** Asked for room, or looking for ffmpeg: the request that counts, for those before it may still be looking. */
  #starting: symbol | null = null;
  /** Rungs that this ffmpeg cannot encode, and why. */
  readonly #unable = new Map<string, string>();
  /** Rungs of which it was told that they are left out. */
  readonly #toldOmitted = new Set<string>();
  #giveBack: (() => void) | null = null;
  #cancelRetry: (() => void) | null = null;
  #failures = 0;
  #error: SluiceError | null = null;
  /** The last ffmpeg ended by itself. */
  #crashed = false;
  #wantedAt: EpochMs = Number.NEGATIVE_INFINITY;
  #newest: Ticks = 0;
  #closed = false;
  #resolveSettled = () => {};
  #onFinished: (() => void)[] = [];
  readonly #settled = new Promise<void>((resolve) => {
    this.#resolveSettled = resolve;
  });

  constructor(options: LadderOptions) {
    this.#options = options;
    this.#shedding = new Shedding(options.clock);
    options.packager.observe(this);
  }

  /** Somebody wants to choose, or to watch this rendition. @returns whether there is or will be such a one */
  wanted(name: string | null): boolean {
    this.#wantedAt = this.#options.clock.now();
    this.#begin();
    return name !== null && this.#live && this.#plan.rungs.some((rung) => rung.name === name);
  }

  /** Size of the pictures of the source that are kept for renditions. */
  get heldBytes(): number {
    return this.#window.bytes;
  }

  views(): RungView[] {
    const { packager } = this.#options;
    const rungs = this.#plan.rungs.map(({ name, width, height, bitrate }): RungView => {
      const rung = this.#rungs.find((candidate) => candidate.plan.name === name) ?? null;
      const current = packager.aligned.get(name)?.current ?? null;
      const state = this.#stateOf(name, current !== null && isOffered(packager, current));
      const error = state === 'failed' ? (this.#unable.get(name) ?? this.#error?.message ?? null) : null;
      const newest = rung?.newest ?? null;
      const lag = this.#job === null || newest === null ? null : msFromTicks(this.#newest - newest) / 1000;
      return { name, state, error, width, height, bitrate, lag };
    });
    const nothing = { width: null, height: null, bitrate: null, lag: null };
    const omitted = this.#plan.omitted.map(
      ({ name, reason }): RungView => ({ name, state: 'omitted', error: reason, ...nothing }),
    );
    const sound: RungView[] =
      this.#sound === null ? [] : [{ name: AUDIO, state: 'live', error: null, ...nothing }];
    return [...rungs, ...sound, ...omitted];
  }

  epoch(epoch: Epoch): void {
    this.end();
    const { packager } = this.#options;
    const carried = epoch.tracks.filter((track) => packager.carries(track));
    this.#video = carried.find((track) => track.kind === 'video') ?? null;
    this.#audio = carried.find((track) => track.kind === 'audio') ?? null;
    this.#epoch++;
    this.#live = true;
    this.#makePlan();
  }

  packet(packet: Packet): void {
    if (!this.#cutting) return;
    slabs.keep(packet.data);
    this.#window.add(packet);
    if (packet.track !== this.#video) return;
    this.#newest = Math.max(this.#newest, packet.pts);
    const job = this.#job;
    if (job !== null && isOpen(job) && job.epoch === this.#epoch) job.encoder.write(packet);
  }

  end(): void {
    this.#live = false;
    this.#cutting = false;
    if (this.#job !== null) this.#finishJob(this.#job);
    else this.#withdraw();
  }

  close(): void {
    if (this.#closed) return;
    this.end();
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#endRenditions();
  }

  /** Encodes nothing any more, and ends no playlist. */
  stop(): void {
    this.#live = false;
    this.#cutting = false;
    this.#withdraw();
    if (this.#job !== null) this.#stopJob(this.#job);
  }

  settled(): Promise<void> {
    return this.#settled;
  }

  /** Resolves when nothing is being encoded, after `end`: everything cut so far is handed on. */
  finished(): Promise<void> {
    if (this.#job === null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onFinished.push(resolve);
    });
  }

  segmentBegan(number: number): void {
    const { clock, settings } = this.#options;
    if (settings().entries !== this.#entries) this.#planAgain();
    this.#cutting = this.#entries.length > 0;
    // Without a ladder nothing is held.
    if (!this.#cutting) {
      this.#window.release(number);
      return;
    }
    this.#window.begin({ number, epoch: this.#epoch, video: this.#video, audio: this.#audio });
    const job = this.#job;
    if (job !== null && isOpen(job)) {
      if (!this.#isWanted()) {
        this.#stopJob(job);
        for (const { plan } of [...this.#rungs]) this.#drop(plan.name);
        this.#options.onEvent({ kind: 'stopped' });
      } else this.#checkPace(job, clock.now());
    }
    this.#takeUp(number);
    for (const rung of [...this.#rungs]) {
      // Others may be encoded while this one cannot be.
      const isEncoded = this.#job?.rungs.includes(rung) === true;
      if (number - rung.next > MAX_SEGMENTS_BEHIND && !isEncoded) this.#drop(rung.plan.name);
    }
    this.#release();
    this.#begin();
  }

  segmentListed(number: number, leading: LeadingSegment): void {
    const segment = this.#window.get(number);
    if (segment === null) return;
    segment.listed = leading;
    if (this.#plan.audio && segment.video !== null && segment.audio !== null) {
      this.#sound ??= this.#options.packager.align(AUDIO);
      const closedAt = this.#options.clock.now();
      const { audio, sound } = segment;
      this.#sound.add(leading, { video: null, audio, pictures: [], sound, closedAt });
    }
    this.#flush();
  }

  segmentLost(number: number): void {
    const segment = this.#window.get(number);
    if (segment === null) return;
    segment.listed = 'lost';
    this.#flush();
  }

  #flush(): void {
    for (const rung of this.#rungs) rung.flush();
    this.#release();
    if (this.#closed) this.#endRenditions();
  }

  /** What nothing will be made from any more. */
  #release(): void {
    const newest = this.#window.newest?.number;
    if (newest === undefined) return;
    const unlisted = this.#window.segments.find((segment) => segment.listed === null)?.number ?? newest;
    let before = Math.min(newest, unlisted, ...this.#rungs.map((rung) => rung.oldest));
    const isTooMuch = () => this.#window.bytes > MAX_BACKLOG_BYTES || newest - before > MAX_BACKLOG_SEGMENTS;
    // A store that hangs must not fill the memory: then it is enough to keep what is not encoded yet.
    if (isTooMuch()) before = Math.min(newest, ...this.#rungs.map((rung) => rung.next));
    this.#window.release(before);
    if (isTooMuch()) {
      for (const rung of this.#rungs) rung.restart(newest);
      this.#window.release(newest);
    }
    // What waited for a segment that is gone waits no longer.
    for (const rung of this.#rungs) rung.flush();
  }

  /** Renditions that an earlier process had go on with this segment, or are dropped like others that nobody encodes. */
  #takeUp(number: number): void {
    for (const plan of this.#plan.rungs) {
      const isTaken = this.#rungs.some((rung) => rung.plan.name === plan.name);
      if (!isTaken && this.#options.packager.aligned.has(plan.name)) this.#rungFor(plan, number);
    }
  }

  #makePlan(): void {
    const { settings, frameRate } = this.#options;
    const { entries, encoder, preset } = settings();
    this.#entries = entries;
    const video = this.#video;
    this.#plan =
      video === null
        ? NO_PLAN
        : planLadder(
            entries,
            { width: video.width, height: video.height, frameRate: video.frameRate ?? frameRate() },
            { encoder, preset },
          );
    for (const { name, reason } of this.#plan.omitted) {
      // Once: a source may change its size all the time.
      if (this.#toldOmitted.has(name)) continue;
      this.#toldOmitted.add(name);
      this.#options.onEvent({ kind: 'omitted', rung: name, reason });
    }
    const planned = new Set(this.#plan.rungs.map(({ name }) => name));
    if (this.#plan.audio) planned.add(AUDIO);
    for (const name of [...this.#options.packager.aligned.keys()]) if (!planned.has(name)) this.#drop(name);
  }

  /** The configuration was changed. */
  #planAgain(): void {
    this.#toldOmitted.clear();
    const before = JSON.stringify(this.#plan);
    this.#makePlan();
    if (JSON.stringify(this.#plan) === before) return;
    this.#unable.clear();
    this.#failures = 0;
    if (this.#job !== null && !this.#job.ending) this.#stopJob(this.#job);
  }

  #isWanted(): boolean {
    const { when, idleMs } = this.#options.settings();
    if (this.#closed || !this.#live || this.#plan.rungs.length === 0) return false;
    return when === 'always' || this.#options.clock.now() - this.#wantedAt < idleMs;
  }

  /** Starts an encoder when there should be one and there is none. */
  #begin(): void {
    if (this.#job !== null || this.#starting !== null || this.#cancelRetry !== null) return;
    if (!this.#cutting || !this.#isWanted()) return;
    const request = Symbol();
    this.#starting = request;
    let given = false;
    const giveBack = this.#options.jobs.acquire(
      'ladder',
      () => {
        given = true;
        void this.#start(request);
      },
      () => {
        if (this.#job !== null) this.#stopJob(this.#job);
        else this.#withdraw();
      },
    );
    this.#giveBack = giveBack;
    if (!given) {
      const limit = new SluiceError('SLUICE_TRANSCODE_LIMIT', 'it waits for another ffmpeg to end');
      this.#options.onEvent({ kind: 'failed', error: limit, retryMs: 0 });
    }
  }

  /** Gives back what was asked for and not used. */
  #withdraw(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#starting = null;
    this.#giveBack?.();
    this.#giveBack = null;
  }

  async #start(request: symbol): Promise<void> {
    const { ffmpeg: finder, resolveEncoder } = this.#options;
    try {
      const ffmpeg = await finder.find();
      const plans: RungPlan[] = [];
      for (const plan of this.#plan.rungs.slice(this.#shedding.count)) {
        const encoder = await resolveEncoder(ffmpeg, plan.encoder);
        if (ffmpeg.encoders.has(encoder)) plans.push({ ...plan, encoder });
        else this.#cannot(plan.name, `ffmpeg at ${ffmpeg.path} has no encoder ${encoder}`);
      }
      if (this.#starting !== request) return;
      if (!this.#cutting || !this.#isWanted() || plans.length === 0) {
        this.#withdraw();
        return;
      }
      this.#startJob(ffmpeg, plans);
    } catch (error) {
      if (this.#starting === request) this.#failed(asSluiceError(error));
    }
  }

  #cannot(name: string, reason: string): void {
    if (this.#unable.has(name)) return;
    this.#unable.set(name, reason);
    const error = new SluiceError('SLUICE_FFMPEG_UNABLE', `${name}: ${reason}`);
    this.#options.onEvent({ kind: 'failed', error, retryMs: 0 });
  }

  #startJob(ffmpeg: Ffmpeg, plans: readonly RungPlan[]): void {
    const { clock, packager, settings, startEncoder, onEvent } = this.#options;
    const [video, newest] = [this.#video, this.#window.newest];
    if (video === null || newest === null) {
      this.#withdraw();
      return;
    }
    const rungs = plans.map((plan) => this.#rungFor(plan, newest.number));
    const left = this.#window.segments.filter((segment) => segment.epoch === this.#epoch);
    const oldest = left[0]?.number ?? newest.number;
    for (const rung of rungs) rung.restart(oldest);
    const from = Math.min(...rungs.map((rung) => rung.next));
    // Players that were in a rendition of the old encoder go on in one of the new; all variants have to agree on it.
    if (this.#crashed && rungs.some((rung) => rung.rendition.current !== null)) packager.interrupt();
    this.#crashed = false;
    const { niceness, threads } = settings();
    const encoder = startEncoder({
      ffmpeg,
      input: video,
      outputs: rungs.map(({ plan }) => ({ kind: 'video', ...plan })),
      niceness,
      threads,
      clock,
      onPacket: (output, packet) => this.#encoded(job, output, packet),
      onExit: ({ error }) => this.#exited(job, error),
    });
    // Not before: what throws up to here gives its room back.
    this.#starting = null;
    const job: Job = {
      encoder,
      epoch: this.#epoch,
      rungs,
      from,
      startedAt: clock.now(),
      ending: false,
      stopping: false,
    };
    this.#job = job;
    this.#shedding.began();
    for (const segment of left) {
      if (segment.number < from) continue;
      for (const picture of segment.pictures) encoder.write(picture);
    }
    onEvent({ kind: 'started', rungs: rungs.map(({ plan }) => plan.name), pid: encoder.pid });
  }

  /** Goes on in the playlist that is there, also when the size has changed with the source's. */
  #rungFor(plan: RungPlan, next: number): Rung {
    const before = this.#rungs.find((rung) => rung.plan.name === plan.name);
    if (before !== undefined && JSON.stringify(before.plan) === JSON.stringify(plan)) return before;
    const rendition = this.#options.packager.align(plan.name);
    const rung = new Rung(plan, rendition, this.#window, before?.next ?? next);
    this.#rungs = [...this.#rungs.filter((other) => other !== before), rung];
    return rung;
  }

  #drop(name: string): void {
    this.#rungs = this.#rungs.filter(({ plan }) => plan.name !== name);
    if (name === AUDIO) this.#sound = null;
    this.#options.packager.drop(name);
  }

  #encoded(job: Job, output: number, packet: Packet): void {
    const rung = job.rungs[output];
    if (this.#job !== job || job.stopping || rung === undefined) return;
    const now = this.#options.clock.now();
    if (!rung.push(packet, now)) {
      const { name } = rung.plan;
      this.#stopJob(job);
      this.#crashed = true;
      this.#failed(new SluiceError('SLUICE_TRANSCODE_FAILED', `${name} is not cut where the source is`));
      return;
    }
    if (rung.next <= job.from) return;
    this.#error = null;
    const proven = now - job.startedAt >= PROVEN_MS;
    this.#failures = proven ? 0 : Math.min(this.#failures, FAILURES_BEFORE_A_SEGMENT);
  }

  #finishJob(job: Job): void {
    if (!isOpen(job)) return;
    job.ending = true;
    job.encoder.finish();
  }

  /** Without waiting for it: what it leaves unfinished is given to the next one. */
  #stopJob(job: Job): void {
    if (job.stopping) return;
    job.stopping = true;
    job.encoder.stop();
  }

  #exited(job: Job, error: SluiceError | null): void {
    if (this.#job !== job) return;
    this.#job = null;
    this.#giveBack?.();
    this.#giveBack = null;
    if (job.ending && !job.stopping && error === null) {
      for (const rung of job.rungs) rung.finish(this.#options.clock.now());
    }
    if (isOpen(job)) {
      this.#crashed = true;
      this.#failed(error ?? new SluiceError('SLUICE_TRANSCODE_FAILED', 'ffmpeg ended by itself'));
    } else if (error !== null && !job.stopping) {
      this.#options.onEvent({ kind: 'failed', error, retryMs: 0 });
    }
    this.#release();
    for (const resolve of this.#onFinished.splice(0)) resolve();
    if (this.#closed) this.#endRenditions();
    else this.#begin();
  }

  #failed(error: SluiceError): void {
    const { clock, onEvent } = this.#options;
    // One that is still ending keeps its room.
    if (this.#job === null) this.#withdraw();
    this.#error = error;
    const retryMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
    this.#cancelRetry = clock.after(retryMs, () => {
      this.#cancelRetry = null;
      this.#begin();
    });
    onEvent({ kind: 'failed', error, retryMs });
  }

  #checkPace(job: Job, now: EpochMs): void {
    const { onEvent } = this.#options;
    const slowest = Math.min(...job.rungs.map((rung) => rung.newest ?? 0));
    const lagMs = msFromTicks(this.#newest - (slowest === 0 ? this.#startOf(job) : slowest));
    const verdict = this.#shedding.check(lagMs, now, this.#plan.rungs.length);
    if (verdict === 'keep') return;
    const rung = this.#plan.rungs[verdict === 'shed' ? this.#shedding.count - 1 : this.#shedding.count];
    if (rung === undefined) return;
    onEvent(
      verdict === 'shed' ? { kind: 'shed', rung: rung.name, lagMs } : { kind: 'back', rung: rung.name },
    );
    const shed = this.#rungs.find(({ plan }) => plan.name === rung.name);
    if (verdict === 'shed' && shed !== undefined) this.#drop(rung.name);
    this.#stopJob(job);
  }

  #startOf(job: Job): Ticks {
    const [first] = this.#window.get(job.from)?.pictures ?? [];
    return first?.pts ?? this.#newest;
  }

  #stateOf(name: string, offered: boolean): RungState {
    const shed = this.#plan.rungs.slice(0, this.#shedding.count).some((rung) => rung.name === name);
    if (shed) return 'shed';
    if (this.#unable.has(name)) return 'failed';
    if (this.#job !== null && !this.#job.stopping) return offered ? 'live' : 'starting';
    if (this.#error !== null && this.#live) return 'failed';
    if (this.#starting !== null) return 'waiting';
    return offered ? 'live' : 'idle';
  }

  /** When the source has ended and everything is encoded, the other playlists end too. */
  #endRenditions(): void {
    if (this.#job !== null) return;
    if (this.#rungs.some((rung) => rung.isWaiting)) return;
    for (const rendition of this.#options.packager.aligned.values()) rendition.end();
    this.#resolveSettled();
  }
}
