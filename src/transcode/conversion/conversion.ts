import { reasonNotInTs } from '../../formats/mpegts/muxer.ts';
import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import type { Epoch, MediaSink, Packet } from '../../media/packet.ts';
import { slabs } from '../../media/slab-pool.ts';
import { msFromTicks } from '../../media/time.ts';
import type { Track } from '../../media/track.ts';
import type { Ffmpeg } from '../ffmpeg/ffmpeg.ts';
import type { JobLimit } from '../job-limit.ts';
import type { startTrackEncoder } from '../track-encoder.ts';
import { type CodecPolicies, type CodecPolicy, decideTracks, type TrackDecision } from './codec-policy.ts';
import { type OutputSettings, outputFor } from './outputs.ts';
import { type ConverterCallbacks, Section } from './section.ts';
import { lacksAudio, makeSilentAudio } from './silent-audio.ts';
import { type ConverterState, TrackConverter } from './track-converter.ts';

/** What packets may take that wait here, for an encoder or for one another. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** A source that changes all the time does not get more processes than this per track. */
const MAX_SECTIONS = 4;
/** A search for ffmpeg that takes longer does not hold a stream up. */
const SEARCH_MS = 3000;
const USUAL_ENCODER = 'libx264';

/** Where ffmpeg is looked for. */
export interface FfmpegSource {
  /** @throws SluiceError SLUICE_FFMPEG_MISSING */
  find(): Promise<Ffmpeg>;
  readonly known: Ffmpeg | null;
}

/** `transcode` and `hls.silentAudio` of an application. */
export interface ConversionSettings extends OutputSettings {
  readonly codecs: CodecPolicies;
  readonly niceness: number;
  readonly threads: number;
  readonly silentAudio: boolean;
}

export interface ConversionOptions {
  readonly clock: Clock;
  /** Gets tracks that MPEG-TS can carry, besides those that were left as they are because nothing can be done. */
  readonly downstream: MediaSink;
  /** Read at the beginning of each epoch. */
  readonly settings: () => ConversionSettings;
  readonly ffmpeg: FfmpegSource;
  /** The encoder that `auto` stands for; libx264 when absent. */
  readonly chooseEncoder?: (ffmpeg: Ffmpeg) => Promise<string>;
  readonly startEncoder: typeof startTrackEncoder;
  readonly jobs: JobLimit;
  /** A track is converted, left out or refused, or its conversion has begun, failed or recovered. */
  readonly onState: (track: TrackConversion) => void;
  /** Called once, inside a delivery: SLUICE_CODEC_REJECTED. Nothing more goes downstream; the stream is to be closed. */
  readonly onReject: (error: SluiceError) => void;
  /** `downstream` threw outside of a delivery. It gets nothing any more, not even `close`. */
  readonly onFault: (error: unknown) => void;
}

/** What happens to one track of the source. */
export interface TrackConversion {
  readonly trackId: string;
  readonly policy: CodecPolicy;
  readonly reason: string;
  /** Null where nothing is converted. */
  readonly state: ConverterState | null;
  /** The last thing that went wrong with it in this epoch. */
  readonly error: SluiceError | null;
  /** Packets that were lost on the way. */
  readonly dropped: number;
}

/** A sink that converts what its downstream cannot carry. */
export interface Conversion extends MediaSink {
  /** Of the tracks of the last epoch, as the source has them. */
  state(): readonly TrackConversion[];
  /** Bytes that wait for an encoder or for other tracks. */
  readonly heldBytes: number;
  /** Resolves when all that came so far has gone downstream. */
  finished(): Promise<void>;
  /** Resolves when all that came before `close` has gone downstream, and so has `close`. */
  settled(): Promise<void>;
  /** Converts nothing any more; nothing goes downstream from here on, not even an end. */
  stop(): void;
}

/** An ffmpeg and the encoder to use with it, or why there is none. */
type Means = { readonly ffmpeg: Ffmpeg; readonly encoder: string } | SluiceError;

/**
 * Stands between a stream and what packages it. Where nothing has to be converted, epochs and packets go through inside
 * the call; else they come out later, in decode order, and never later than the bounds of {@link Section} say.
 */
export function makeConversion(options: ConversionOptions): Conversion {
  return new TrackwiseConversion(options);
}

/** What is to be done with an epoch. */
interface Plan {
  readonly epoch: Epoch;
  readonly settings: ConversionSettings;
  decisions: readonly TrackDecision[];
  /** Those that go downstream, converted or not. */
  kept: readonly Track[];
  readonly converters: Map<Track, TrackConverter>;
}

class TrackwiseConversion implements Conversion {
  readonly #options: ConversionOptions;
  readonly #silent: MediaSink;
  /** `downstream`, or what adds silence before it. */
  #target: MediaSink;
  /** Of the newest epoch. */
  #plan: Plan | null = null;
  /** Packets go straight through. */
  #direct = false;
  /** Tracks of which nothing goes through although it could. */
  #removed: ReadonlySet<Track> | null = null;
  /** Receives packets while they do not go straight through. */
  #section: Section | null = null;
  /** What goes downstream one after the other; the first is doing so. */
  readonly #queue: (Section | 'end' | 'close')[] = [];
  /** What `auto` came to. */
  #chosen: { readonly ffmpeg: Ffmpeg; readonly encoder: string } | null = null;
  /** The ffmpeg that was waited for in vain is there: the next keyframe begins anew. */
  #reconsider = false;
  /** `dead`: nothing goes downstream any more. */
  #state: 'open' | 'dead' | 'closed' = 'open';
  #onFinished: (() => void)[] = [];
  readonly #settled: Promise<void>;
  #settle: () => void = () => {};

  constructor(options: ConversionOptions) {
    this.#options = options;
    this.#target = options.downstream;
    this.#silent = makeSilentAudio(options.downstream);
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get heldBytes(): number {
    let bytes = 0;
    for (const item of this.#queue) if (typeof item !== 'string') bytes += item.heldBytes;
    return bytes;
  }

  state(): readonly TrackConversion[] {
    const plan = this.#plan;
    return plan === null ? [] : plan.decisions.map((decision) => this.#view(plan, decision));
  }

  finished(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onFinished.push(resolve);
    });
  }

  settled(): Promise<void> {
    return this.#settled;
  }

  stop(): void {
    this.#die();
  }

  epoch(epoch: Epoch): void {
    if (this.#state === 'open') this.#delivering(() => this.#begin(epoch));
  }

  packet(packet: Packet): void {
    if (this.#reconsider) this.#beginAnew(packet);
    if (this.#removed?.has(packet.track)) return;
    if (this.#direct) {
      try {
        this.#target.packet(packet);
      } catch (error) {
        // Nothing is delivered here any more, not even the end that `settled` would wait for.
        this.#die();
        throw error;
      }
      return;
    }
    const section = this.#section;
    if (section === null) return;
    slabs.keep(packet.data);
    this.#delivering(() => this.#hold(section, packet));
  }

  end(): void {
    if (this.#state === 'open') this.#delivering(() => this.#finish('end'));
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#delivering(() => this.#finish('close'));
  }

  #begin(epoch: Epoch): void {
    this.#finishSection();
    this.#reconsider = false;
    const settings = this.#options.settings();
    const plan: Plan = { epoch, settings, decisions: [], kept: [], converters: new Map() };
    this.#plan = plan;
    const means = this.#meansNow(settings);
    decide(plan, means);
    const rejected = plan.decisions.find(({ policy }) => policy === 'reject');
    if (rejected !== undefined) {
      this.#reject(plan, rejected);
      return;
    }
    this.#removed = removedTracks(plan);
    const converts = plan.decisions.some(({ policy }) => policy === 'transcode');
    if (!converts && this.#queue.length === 0) {
      this.#report(plan);
      this.#announce(plan, this.#removed === null ? epoch : { ...epoch, tracks: plan.kept });
      this.#direct = true;
      return;
    }
    const section = this.#openSection(plan);
    if (converts && means === null) {
      this.#search(plan, section);
    } else {
      this.#report(plan);
      this.#fill(plan, section, means);
    }
  }

  #reject(plan: Plan, { track }: TrackDecision): void {
    this.#die();
    this.#report(plan);
    const name = track.codec.toUpperCase();
    this.#options.onReject(
      new SluiceError('SLUICE_CODEC_REJECTED', `${name} (track ${track.id}) is refused by transcode.codecs`),
    );
  }

  /** Holds the section until it is known what ffmpeg can do. */
  #search(plan: Plan, section: Section): void {
    let waiting = true;
    const goOn = (means: Means) => {
      waiting = false;
      decide(plan, means);
      if (plan === this.#plan) this.#removed = removedTracks(plan);
      this.#report(plan);
      this.#fill(plan, section, means);
    };
    const cancel = this.#options.clock.after(SEARCH_MS, () => {
      const late = new SluiceError('SLUICE_FFMPEG_MISSING', 'it is still being looked for');
      this.#guarded(() => goOn(late));
    });
    void this.#findMeans(plan.settings).then((means) => {
      cancel();
      if (waiting) this.#guarded(() => goOn(means));
      else if (plan === this.#plan && !(means instanceof SluiceError)) this.#reconsider = true;
    });
  }

  /** What is known without waiting; null when it has to be looked for. */
  #meansNow({ encoder }: ConversionSettings): Means | null {
    const { ffmpeg, chooseEncoder } = this.#options;
    const known = ffmpeg.known;
    if (known === null) return null;
    if (encoder !== 'auto') return { ffmpeg: known, encoder };
    if (chooseEncoder === undefined) return { ffmpeg: known, encoder: USUAL_ENCODER };
    return this.#chosen?.ffmpeg === known ? this.#chosen : null;
  }

  async #findMeans({ encoder }: ConversionSettings): Promise<Means> {
    const { ffmpeg: source, chooseEncoder } = this.#options;
    try {
      const ffmpeg = await source.find();
      if (encoder !== 'auto') return { ffmpeg, encoder };
      this.#chosen = { ffmpeg, encoder: (await chooseEncoder?.(ffmpeg)) ?? USUAL_ENCODER };
      return this.#chosen;
    } catch (error) {
      if (error instanceof SluiceError) return error;
      return new SluiceError('SLUICE_FFMPEG_MISSING', String(error), { cause: error });
    }
  }

  #openSection(plan: Plan): Section {
    const section: Section = new Section({
      clock: this.#options.clock,
      epoch: plan.epoch,
      output: {
        epoch: (epoch) => this.#announce(plan, epoch),
        packet: (packet) => this.#target.packet(packet),
      },
      guarded: (run) => this.#guarded(run),
      onPlain: () => {
        this.#direct = true;
        this.#section = null;
        this.#next();
      },
      onDone: () => this.#next(),
    });
    this.#section = section;
    this.#queue.push(section);
    if (this.#queue.length === 1) section.activate();
    else if (this.#queue.length > MAX_SECTIONS) this.#hurry();
    return section;
  }

  /** Starts the converters that a section needs. */
  #fill(plan: Plan, section: Section, means: Means | null): void {
    const { settings, converters } = plan;
    section.decide(plan.kept, (track, callbacks) => {
      const decision = plan.decisions.find((candidate) => candidate.track === track);
      if (decision?.policy !== 'transcode' || means === null || means instanceof SluiceError) return null;
      const converter = this.#makeConverter(plan, decision, callbacks);
      converters.set(track, converter);
      converter.begin(means.ffmpeg, outputFor(track, { ...settings, encoder: means.encoder }));
      return converter;
    });
  }

  #makeConverter(plan: Plan, decision: TrackDecision, callbacks: ConverterCallbacks): TrackConverter {
    const { clock, jobs, startEncoder, onState } = this.#options;
    const { niceness, threads } = plan.settings;
    return new TrackConverter({
      ...{ clock, jobs, startEncoder, niceness, threads, ...callbacks },
      input: decision.track,
      onState: () => onState(this.#view(plan, decision)),
    });
  }

  #hold(section: Section, packet: Packet): void {
    if (this.heldBytes > MAX_HELD_BYTES) this.#hurry();
    section.packet(packet, this.heldBytes > MAX_HELD_BYTES);
  }

  /** After a search that took too long, the epoch begins a second time, now with ffmpeg. */
  #beginAnew(packet: Packet): void {
    const epoch = this.#plan?.epoch;
    if (epoch === undefined || !packet.keyframe) return;
    const leading = epoch.tracks.find(({ kind }) => kind === 'video') ?? packet.track;
    if (leading !== packet.track) return;
    const startedAt = epoch.startedAt + msFromTicks(packet.dts - epoch.start);
    this.epoch({ reason: 'config-change', tracks: epoch.tracks, start: packet.dts, startedAt });
  }

  #finish(how: 'end' | 'close'): void {
    this.#finishSection();
    this.#queue.push(how);
    if (this.#queue.length === 1) this.#work();
  }

  #finishSection(): void {
    const section = this.#section;
    this.#section = null;
    this.#direct = false;
    this.#removed = null;
    section?.finish();
  }

  /** The first of the queue is through. */
  #next(): void {
    this.#queue.shift();
    this.#work();
  }

  #work(): void {
    for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
      if (typeof item !== 'string') {
        item.activate();
        return;
      }
      this.#queue.shift();
      if (item === 'end') this.#target.end();
      else this.#target.close();
      if (item === 'close') this.#settle();
    }
    this.#tellFinished();
  }

  #tellFinished(): void {
    for (const resolve of this.#onFinished.splice(0)) resolve();
  }

  #announce({ settings }: Plan, epoch: Epoch): void {
    const { downstream } = this.#options;
    const silence = settings.silentAudio && lacksAudio(epoch);
    this.#target = silence ? this.#silent : downstream;
    this.#target.epoch(epoch);
  }

  /** Waits for nobody: what holds up the rest ends. */
  #hurry(): void {
    const first = this.#queue[0];
    if (first !== undefined && typeof first !== 'string') first.hurry();
  }

  #report(plan: Plan): void {
    for (const decision of plan.decisions) {
      if (decision.policy !== 'remux') this.#options.onState(this.#view(plan, decision));
    }
  }

  #view({ converters }: Plan, { track, policy, reason }: TrackDecision): TrackConversion {
    const converter = converters.get(track);
    return {
      trackId: track.id,
      policy,
      reason,
      state: converter?.state ?? (policy === 'transcode' ? 'waiting' : null),
      error: converter?.error ?? null,
      dropped: converter?.dropped ?? 0,
    };
  }

  /** Inside a delivery: what downstream throws is for whoever delivers, who will not come again. */
  #delivering(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#die();
      throw error;
    }
  }

  /** Outside of a delivery nobody would hear what downstream throws. */
  #guarded(run: () => void): void {
    if (this.#state === 'dead') return;
    try {
      run();
    } catch (error) {
      this.#die();
      this.#options.onFault(error);
    }
  }

  #die(): void {
    this.#state = 'dead';
    this.#direct = false;
    this.#reconsider = false;
    this.#section = null;
    for (const item of this.#queue.splice(0)) if (typeof item !== 'string') item.abort();
    this.#tellFinished();
    this.#settle();
  }
}

/** @param means null while it is not known what there is */
function decide(plan: Plan, means: Means | null): void {
  const { codecs, encoder } = plan.settings;
  const found = means === null || means instanceof SluiceError ? null : means;
  const missing = means instanceof SluiceError ? means : null;
  plan.decisions = decideTracks(plan.epoch.tracks, {
    codecs,
    ffmpeg: found?.ffmpeg ?? missing,
    videoEncoder: found?.encoder ?? encoder,
  });
  // What could go downstream and is not to has to be taken out. The rest is only passed over there, with a warning.
  plan.kept = plan.decisions
    .filter(({ track, policy }) => policy !== 'drop' || reasonNotInTs(track) !== null)
    .map(({ track }) => track);
}

function removedTracks({ epoch, kept }: Plan): ReadonlySet<Track> | null {
  return kept.length === epoch.tracks.length ? null : new Set(epoch.tracks.filter((t) => !kept.includes(t)));
}
