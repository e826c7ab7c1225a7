import type { EventEmitter } from 'node:events';
import type { Stream } from '../live/stream.ts';
import type { Clock } from '../media/clock.ts';
import type { Epoch } from '../media/packet.ts';
import type { Track } from '../media/track.ts';
import type { Warning } from '../media/warning.ts';
import type { TrackConversion } from '../transcode/conversion/conversion.ts';
import type { LadderEvent } from '../transcode/ladder/ladder-options.ts';
import { StoreOutage } from './store-outage.ts';

/** Publishers may come, go and change as fast as they like. */
const LINE_INTERVAL_MS = 1000;

/** What the gateway tells; a stream is identified by names only. */
export interface GatewayEvents {
  /** A publisher is live under this name: at the start and after each reconnect. */
  live: [stream: StreamIdentity & { readonly tracks: readonly Track[] }];
  /** The publisher left; the stream waits for it. */
  grace: [stream: StreamIdentity];
  /** The stream is over: its playlist has ENDLIST. */
  ended: [stream: StreamIdentity];
  /** Something to change, at the encoder in most cases; once per stream and code. */
  warning: [stream: StreamIdentity & { readonly warning: Warning }];
  /** A rendition of the ladder began, failed, was left out … The source is not affected. */
  rendition: [stream: StreamIdentity & { readonly event: LadderEvent }];
  /**
   * A segment could not be stored and is lost, or could not be read for a viewer, who tries again; other streams and later
   * segments are not affected.
   */
  storeError: [stream: StreamIdentity & { readonly error: unknown }];
}

export interface StreamIdentity {
  readonly app: string;
  readonly name: string;
}

/** The part of a logger that Sluice uses; a pino or Fastify logger fits. */
export interface Logger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

/** A line that was told less than an interval ago, and what came since. */
interface RecentLine {
  /** The latest that is not told yet. */
  fields: Record<string, unknown> | null;
  untold: number;
}

/** Tells the log and the library's user what happens to streams: one line and one event each. */
export class StreamReporter {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #events: EventEmitter<GatewayEvents>;
  readonly #outage: StoreOutage;
  /** By stream's path and message: a name that is published again and again is a new stream each time. */
  readonly #recent = new Map<string, RecentLine>();
  readonly #warned = new WeakMap<Stream, Set<string>>();
  /** What was told last of each track. */
  readonly #conversions = new WeakMap<Stream, Map<string, string>>();

  constructor(clock: Clock, log: Logger, events: EventEmitter<GatewayEvents>) {
    this.#clock = clock;
    this.#log = log;
    this.#events = events;
    this.#outage = new StoreOutage(clock, log);
  }

  stateChanged(stream: Stream): void {
    switch (stream.state) {
      case 'live': {
        const { address: peer, encoder } = stream.publisher ?? {};
        this.#tell(stream, 'publishing', { peer, encoder });
        break;
      }
      case 'grace':
        this.#tell(stream, 'no publisher, waiting for one');
        this.#events.emit('grace', identity(stream));
        break;
      case 'closed':
        this.#tell(stream, 'stream ended', { bytes: stream.stats.bytes });
        break;
      case 'idle':
        break;
    }
  }

  /** Its playlist has ENDLIST. */
  ended(stream: Stream): void {
    this.#events.emit('ended', identity(stream));
  }

  epochBegan(stream: Stream, { reason, tracks }: Epoch): void {
    const begins = reason === 'start' || reason === 'reconnect';
    const summary = tracks.map((track) => track.codecString ?? track.codec).join(' + ');
    this.#tell(stream, 'media', { reason, tracks: summary });
    if (begins) this.#events.emit('live', { ...identity(stream), tracks });
  }

  conversion(stream: Stream, track: TrackConversion): void {
    if (track.policy === 'remux') return;
    const { trackId, policy, reason, state, error } = track;
    const key = `${trackId} ${policy} ${state} ${error?.code}`;
    const told = this.#conversions.get(stream) ?? new Map<string, string>();
    this.#conversions.set(stream, told);
    if (told.get(trackId) === key) return;
    told.set(trackId, key);
    const fields = { stream: stream.path, track: trackId, reason };
    if (error !== null && state !== 'running') {
      this.#log.warn({ ...fields, code: error.code }, `the track cannot be converted now: ${error.message}`);
    } else if (policy === 'transcode') {
      if (state === 'running') this.#log.info(fields, 'the track is converted');
    } else this.#log.warn(fields, policy === 'drop' ? 'the track is left out' : 'the codec is refused');
  }

  ladder(stream: Stream, event: LadderEvent): void {
    this.#events.emit('rendition', { ...identity(stream), event });
    const log = { stream: stream.path };
    switch (event.kind) {
      case 'started':
        this.#log.info({ ...log, renditions: event.rungs.join(' '), pid: event.pid }, 'encoding renditions');
        break;
      case 'stopped':
        this.#log.info(log, 'nobody watches the renditions, encoding stopped');
        break;
      case 'failed': {
        const { code, message } = event.error;
        const fields = { ...log, code, retryMs: event.retryMs };
        this.#log.warn(fields, `renditions cannot be encoded now, the source goes on: ${message}`);
        break;
      }
      case 'omitted':
        this.#log.info({ ...log, rendition: event.rung, reason: event.reason }, 'rendition left out');
        break;
      case 'shed': {
        const fields = { ...log, rendition: event.rung, lagMs: Math.round(event.lagMs) };
        this.#log.warn(
          { ...fields, code: 'SLUICE_TRANSCODE_SLOW' },
          'encoding does not keep up: the largest rendition is left out',
        );
        break;
      }
      case 'back':
        this.#log.info({ ...log, rendition: event.rung }, 'encoding keeps up: a rendition comes back');
        break;
    }
  }

  segmentLost(stream: Stream, error: unknown, uri: string): void {
    this.#events.emit('storeError', { ...identity(stream), error });
    this.#outage.segmentLost(stream, error, uri);
  }

  segmentUnreadable(stream: Stream, error: unknown): void {
    this.#events.emit('storeError', { ...identity(stream), error });
  }

  /** @param losesOthers the stream has lost segments lately */
  segmentStored(stream: Stream, losesOthers: boolean): void {
    this.#outage.segmentStored(stream, losesOthers);
  }

  /** Reports what was not reported of this stream before. */
  checkWarnings(stream: Stream, warnings: readonly Warning[]): void {
    let warned = this.#warned.get(stream);
    if (warned === undefined) {
      warned = new Set();
      this.#warned.set(stream, warned);
    }
    for (const warning of warnings) {
      if (warned.has(warning.code)) continue;
      warned.add(warning.code);
      this.#events.emit('warning', { ...identity(stream), warning });
      // The store has its own line, one for all streams.
      if (warning.code === 'segments-lost') continue;
      const fields = { stream: stream.path, code: warning.code, fix: warning.fix };
      if (warning.severity === 'notice') this.#log.info(fields, warning.message);
      else this.#log.warn(fields, warning.message);
    }
  }

  /** One line of a kind per stream and interval; what came meanwhile is the next one, with its number. */
  #tell({ path }: Stream, message: string, more: Record<string, unknown> = {}): void {
    const fields = { stream: path, ...more };
    const key = `${path} ${message}`;
    const recent = this.#recent.get(key);
    if (recent !== undefined) {
      recent.fields = fields;
      recent.untold++;
      return;
    }
    this.#log.info(fields, message);
    this.#remember(key, message);
  }

  #remember(key: string, message: string): void {
    const line: RecentLine = { fields: null, untold: 0 };
    this.#recent.set(key, line);
    this.#clock.after(LINE_INTERVAL_MS, () => {
      this.#recent.delete(key);
      if (line.fields === null) return;
      this.#log.info(line.untold === 1 ? line.fields : { ...line.fields, count: line.untold }, message);
      this.#remember(key, message);
    });
  }
}

function identity({ app, name }: Stream): StreamIdentity {
  return { app, name };
}
