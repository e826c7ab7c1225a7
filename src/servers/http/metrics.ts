import { Counter, Gauge, Registry } from 'prom-client';
import type { HookFigures } from '../../hooks/hooks.ts';
import type { IngestFigures } from '../../live/ingest-totals.ts';
import type { Histogram } from '../../media/histogram.ts';
import type { PackagingFigures } from '../../packaging/packaging-figures.ts';
import type { TranscodingFigures } from '../../transcode/transcoding.ts';
import { processMetrics } from './process-metrics.ts';
import { REQUEST_KINDS, type RequestCounters } from './request-counters.ts';
import type { StreamFigures } from './stream-figures.ts';
import { WAIT_REASONS } from './waiting-requests.ts';

/** Where the figures come from. All of them are read when somebody scrapes, none is pushed. */
export interface MetricsSources {
  readonly version: string;
  readonly http: RequestCounters;
  /** Bytes of answers that clients have not taken. */
  readonly unsentBytes: () => number;
  readonly packaging: PackagingFigures;
  /** One per app and name. */
  readonly streams: () => StreamFigures[];
  /** Of all streams since the start. */
  readonly ingest: () => IngestFigures;
  readonly rtmp: () => { readonly connections: number; readonly refused: number };
  /** Bytes of segments that can be fetched. */
  readonly storeBytes: () => number;
  /** … and of those that wait for the disk. */
  readonly storeQueuedBytes: () => number;
  /** Times that a small file in the storage could not be read, written or removed, by what it is. */
  readonly fileErrors: () => Readonly<Record<string, number>>;
  /** Memory for segments, in bytes: what holds some, and what waits for the next. */
  readonly mediaMemory: () => { readonly used: number; readonly reserved: number };
  /** Publishers and viewers that were refused by an access rule. */
  readonly denied: () => { readonly publish: number; readonly play: number };
  /** Commands of hooks, by event. */
  readonly hooks: () => Readonly<Record<string, HookFigures>>;
  readonly transcoding: () => TranscodingFigures;
}

/** What one metric shows at a scrape: one value, or one per combination of labels. */
type Samples = Iterable<readonly [labels: Readonly<Record<string, string>>, value: number]>;

const HEALTH = { good: 0, fair: 1, poor: 2 } as const;
const STATES = ['live', 'grace', 'ended'] as const;

/** Reads everything as Prometheus text. The registry is this gateway's own. */
export function createMetrics(sources: MetricsSources): () => Promise<string> {
  const { http, packaging } = sources;
  const registry = new Registry();
  let streams: StreamFigures[] = [];

  const gauge = (name: string, help: string, labelNames: string[], samples: () => Samples) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of samples()) if (Number.isFinite(value)) this.set(labels, value);
      },
    });
  const counter = (name: string, help: string, labelNames: string[], samples: () => Samples) =>
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of samples()) if (Number.isFinite(value)) this.inc(labels, value);
      },
    });
  const one = (value: number): Samples => [[{}, value]];
  const by = (label: string, figures: Readonly<Record<string, number>>): Samples =>
    Object.entries(figures).map(([key, value]) => [{ [label]: key }, value] as const);
  /** One sample per stream, where the figure is known. */
  const each = (figure: (stream: StreamFigures) => number | null): Samples =>
    streams.flatMap((stream) => {
      const value = figure(stream);
      return value === null ? [] : [[labelsOf(stream), value] as const];
    });
  /** Several per stream, by one more label. */
  const eachBy = (label: string, figures: (stream: StreamFigures) => Record<string, number>): Samples =>
    streams.flatMap((stream) =>
      Object.entries(figures(stream)).map(
        ([key, value]) => [{ ...labelsOf(stream), [label]: key }, value] as const,
      ),
    );
  const stream = ['app', 'name'];
  const byEvent = (figure: keyof HookFigures): Samples =>
    Object.entries(sources.hooks()).map(([event, figures]) => [{ event }, figures[figure]]);

  gauge('sluice_build_info', 'Always 1; the version is in the label.', ['version'], () => [
    [{ version: sources.version }, 1],
  ]);
  gauge('sluice_streams', 'Streams by state.', ['state'], () =>
    STATES.map((state) => [{ state }, streams.filter((one) => one.state === state).length]),
  );
  gauge('sluice_rtmp_connections', 'Open RTMP connections, publishing or not.', [], () =>
    one(sources.rtmp().connections),
  );
  counter(
    'sluice_rtmp_connections_refused_total',
    'RTMP connections refused because rtmp.maxConnections were open.',
    [],
    () => one(sources.rtmp().refused),
  );
  counter('sluice_http_requests_total', 'HTTP requests answered or given up by the client.', ['kind'], () =>
    REQUEST_KINDS.map((kind) => [{ kind }, http.byKind[kind].requests]),
  );
  counter('sluice_http_sent_bytes_total', 'Bytes of HTTP bodies sent in full.', ['kind'], () =>
    REQUEST_KINDS.map((kind) => [{ kind }, http.byKind[kind].bytes]),
  );
  gauge('sluice_http_open_requests', 'HTTP requests that are being answered, or wait for it.', [], () =>
    one(http.open),
  );
  gauge(
    'sluice_http_waiting_requests',
    'HTTP requests that are held until there is something to answer.',
    ['reason'],
    () => WAIT_REASONS.map((reason) => [{ reason }, http.waiting.count(reason)]),
  );
  gauge(
    'sluice_http_unsent_bytes',
    'Bytes of answers that wait in sockets of clients that read too slowly.',
    [],
    () => one(sources.unsentBytes()),
  );
  counter('sluice_received_bytes_total', 'Bytes of media taken in, of all streams.', [], () =>
    one(sources.ingest().receivedBytes),
  );
  gauge('sluice_bitrate_bits_per_second', 'Media rates of all live streams together.', [], () =>
    one(streams.reduce((sum, { state, bitrate }) => (state === 'live' ? sum + bitrate : sum), 0)),
  );
  counter('sluice_frames_total', 'Frames taken in, of all streams.', ['kind'], () =>
    by('kind', sources.ingest().frames),
  );
  counter('sluice_dropped_total', 'Frames dropped, of all streams.', ['reason'], () =>
    by('reason', sources.ingest().dropped),
  );
  counter('sluice_damaged_messages_total', 'Messages that could not be parsed, of all streams.', [], () =>
    one(sources.ingest().damagedMessages),
  );
  gauge('sluice_store_bytes', 'Bytes of segments that can be fetched.', [], () => one(sources.storeBytes()));
  gauge('sluice_store_queued_bytes', 'Bytes of segments that wait for the disk.', [], () =>
    one(sources.storeQueuedBytes()),
  );
  gauge(
    'sluice_media_memory_bytes',
    'Memory of segments that are made, kept or being sent (used), and of expired ones that waits for the next (reserved).',
    ['state'],
    () => by('state', sources.mediaMemory()),
  );
  counter('sluice_store_errors_total', 'Segments that could not be stored or not deleted.', [], () =>
    one(packaging.storeErrors),
  );
  counter(
    'sluice_store_file_errors_total',
    'Times that a state or playlist file could not be read, written or deleted.',
    ['file'],
    () => by('file', sources.fileErrors()),
  );
  counter('sluice_segments_lost_total', 'Segments that could not be stored and were never listed.', [], () =>
    one(packaging.segmentsLost),
  );
  counter('sluice_access_denied_total', 'Requests refused by an access rule.', ['action'], () =>
    by('action', { ...sources.denied(), api: http.denied }),
  );
  counter('sluice_hooks_started_total', 'Commands of hooks that were started.', ['event'], () =>
    byEvent('started'),
  );
  counter(
    'sluice_hooks_failed_total',
    'Commands of hooks that failed, could not be started or took too long.',
    ['event'],
    () => byEvent('failed'),
  );
  counter(
    'sluice_hooks_dropped_total',
    'Commands of hooks never started, because too many were running or waiting.',
    ['event'],
    () => byEvent('dropped'),
  );
  gauge('sluice_hooks_running', 'Commands of hooks that are running.', ['event'], () => byEvent('running'));

  gauge('sluice_transcode_jobs', 'ffmpeg processes that encode streams, or wait for room.', ['state'], () => {
    const { running, waiting } = sources.transcoding();
    return by('state', { running, waiting });
  });
  counter('sluice_transcode_starts_total', 'ffmpeg processes started to encode streams.', [], () =>
    one(sources.transcoding().started),
  );
  counter('sluice_transcode_failures_total', 'Times that encoding failed or could not begin.', [], () =>
    one(sources.transcoding().failed),
  );
  counter(
    'sluice_transcode_shed_total',
    'Renditions left out because encoding did not keep up with the stream.',
    [],
    () => one(sources.transcoding().shed),
  );
  gauge(
    'sluice_rendition_live',
    '1 for a rendition of the ladder that is offered to players, else 0.',
    [...stream, 'rendition'],
    () =>
      eachBy('rendition', ({ renditions }) =>
        Object.fromEntries(renditions.map(({ name, state }) => [name, state === 'live' ? 1 : 0])),
      ),
  );
  gauge(
    'sluice_rendition_lag_seconds',
    'How much of the source is not encoded yet.',
    [...stream, 'rendition'],
    () =>
      eachBy('rendition', ({ renditions }) =>
        Object.fromEntries(renditions.flatMap(({ name, lag }) => (lag === null ? [] : [[name, lag]]))),
      ),
  );

  gauge('sluice_stream_slate', '1 while a slate is shown in place of a publisher.', stream, () =>
    each(({ slate }) => (slate ? 1 : 0)),
  );
  counter('sluice_stream_received_bytes_total', 'Bytes of media taken into the stream.', stream, () =>
    each(({ receivedBytes }) => receivedBytes),
  );
  counter(
    'sluice_stream_frames_total',
    'Frames taken into the stream, of all tracks of the kind.',
    [...stream, 'kind'],
    () => eachBy('kind', ({ frames }) => ({ ...frames })),
  );
  counter(
    'sluice_stream_dropped_total',
    'Frames dropped: before the first keyframe of their track, or of a track that waits for the next keyframe to be declared.',
    [...stream, 'reason'],
    () => eachBy('reason', ({ dropped }) => ({ ...dropped })),
  );
  counter('sluice_stream_damaged_messages_total', 'Messages that could not be parsed.', stream, () =>
    each(({ damagedMessages }) => damagedMessages),
  );
  gauge(
    'sluice_stream_bitrate_bits_per_second',
    'Media rate over the last five seconds of media.',
    stream,
    () => each(({ bitrate }) => bitrate),
  );
  gauge('sluice_stream_frame_rate', 'Frames per second of the first video track, measured.', stream, () =>
    each(({ frameRate }) => frameRate),
  );
  gauge('sluice_stream_keyframe_interval_seconds', 'Time between the last two keyframes.', stream, () =>
    each(({ keyframeInterval }) => keyframeInterval),
  );
  gauge('sluice_stream_segment_duration_seconds', 'Duration of the newest segment.', stream, () =>
    each(({ segmentDuration }) => segmentDuration),
  );
  gauge('sluice_stream_target_duration_seconds', 'EXT-X-TARGETDURATION.', stream, () =>
    each(({ targetDuration }) => targetDuration),
  );
  gauge(
    'sluice_stream_lateness_seconds',
    'How long after the end of its media, by its program date time, the newest segment was listed.',
    stream,
    () => each(({ lateness }) => lateness),
  );
  counter(
    'sluice_stream_segments_lost_total',
    'Segments of the source that could not be stored and were never listed.',
    stream,
    () => each(({ segmentsLost }) => segmentsLost),
  );
  counter(
    'sluice_stream_store_errors_total',
    'Segments of any rendition that could not be stored or not deleted.',
    stream,
    () => each(({ storeErrors }) => storeErrors),
  );
  gauge(
    'sluice_stream_queued_bytes',
    'Bytes held back to order tracks and to find all of them.',
    stream,
    () => each(({ queuedBytes }) => queuedBytes),
  );
  gauge('sluice_stream_health', 'The verdict of the API: 0 good, 1 fair, 2 poor.', stream, () =>
    each(({ health }) => HEALTH[health]),
  );
  gauge('sluice_stream_warning', '1 while there is this to change.', [...stream, 'code'], () =>
    eachBy('code', ({ warnings }) => Object.fromEntries(warnings.map((code) => [code, 1]))),
  );

  return async () => {
    const ofProcess = await processMetrics();
    streams = sources.streams();
    const ofGateway = await registry.metrics();
    const ofSegments = [
      histogramText(
        'sluice_segment_listing_seconds',
        'From the packet that closed a segment to the playlist that lists it.',
        packaging.listing,
      ),
      histogramText(
        'sluice_segment_duration_seconds',
        'Durations of the segments listed, of all sources.',
        packaging.duration,
      ),
      histogramText(
        'sluice_segment_lateness_seconds',
        'How long after the end of its media, by its program date time, a segment was listed, of all sources.',
        packaging.lateness,
      ),
    ];
    return [ofGateway, ...ofSegments, ofProcess].join('\n');
  };
}

function labelsOf({ app, name }: StreamFigures): Record<string, string> {
  return { app, name };
}

/** prom-client's histograms want to be told each value; ours has counted already. */
function histogramText(name: string, help: string, { bounds, counts, count, sum }: Histogram): string {
  let below = 0;
  const buckets = bounds.map((bound, index) => {
    below += counts[index] ?? 0;
    return `${name}_bucket{le="${bound}"} ${below}`;
  });
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} histogram`,
    ...buckets,
    `${name}_bucket{le="+Inf"} ${count}`,
    `${name}_sum ${sum}`,
    `${name}_count ${count}`,
    '',
  ].join('\n');
}
