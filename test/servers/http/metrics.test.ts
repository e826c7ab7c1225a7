import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createMetrics, type MetricsSources } from '../../../src/servers/http/metrics.ts';
import { type StreamFigures, streamFigures } from '../../../src/servers/http/stream-figures.ts';
import { viewStream } from '../../../src/servers/http/stream-view.ts';
import { pluginOptions } from '../../support/plugin-options.ts';
import { readExposition } from '../../support/prometheus-text.ts';
import { readClip, repeated, Studio } from '../../support/publish-clip.ts';

function sources(change: Partial<MetricsSources> = {}): MetricsSources {
  const { version, metrics, counters } = pluginOptions();
  return { version, ...metrics, http: counters, unsentBytes: () => 0, ...change };
}

const NOTHING = { renditions: () => [], conversions: () => [] };

async function published(clip: string): Promise<StreamFigures> {
  const studio = new Studio();
  const ingest = await studio.publish(readClip(clip), { stay: true });
  ingest.flush();
  const view = viewStream(studio.stream, studio.packager, NOTHING, studio.clock.now(), 'live');
  if (view === null) throw new Error('no stream');
  return streamFigures(studio.stream, studio.packager, view);
}

const RENDITION: StreamFigures['renditions'][number] = {
  name: '720p',
  state: 'live',
  error: null,
  width: 1280,
  height: 720,
  bitrate: 2_500_000,
  lag: 0.5,
};

async function scrape(change: Partial<MetricsSources> = {}) {
  return readExposition(await createMetrics(sources(change))());
}

describe('the metrics', () => {
  it('are well-formed, whatever is known', async () => {
    const cam = await published('h264_aac');
    const unknown: StreamFigures = {
      ...cam,
      name: 'new',
      state: 'grace',
      bitrate: Number.NaN,
      frameRate: null,
      keyframeInterval: null,
      segmentDuration: null,
      targetDuration: null,
      lateness: null,
      warnings: ['one', 'two'],
    };
    const { samples, families } = await scrape({ streams: () => [cam, unknown] });
    expect(families.size).toBeGreaterThan(40);
    for (const { name, value } of samples) expect(Number.isFinite(value), `${name} ${value}`).toBe(true);
  });

  it('show what a stream sends and how it comes out', async () => {
    const cam = await published('h264_aac');
    const { value } = await scrape({ streams: () => [{ ...cam, health: 'fair', warnings: ['gaps'] }] });
    const of = (name: string, labels = {}) => value(name, { app: 'live', name: 'test', ...labels });
    expect(of('sluice_stream_received_bytes_total')).toBe(cam.receivedBytes);
    expect(of('sluice_stream_frames_total', { kind: 'video' })).toBe(250);
    expect(of('sluice_stream_frames_total', { kind: 'audio' })).toBeGreaterThan(400);
    // Sound before the first picture.
    expect(of('sluice_stream_dropped_total', { reason: 'before_keyframe' })).toBe(1);
    expect(of('sluice_stream_dropped_total', { reason: 'undeclared_track' })).toBe(0);
    expect(of('sluice_stream_damaged_messages_total')).toBe(0);
    expect(of('sluice_stream_frame_rate')).toBeCloseTo(25, 0);
    expect(of('sluice_stream_keyframe_interval_seconds')).toBeCloseTo(2, 1);
    expect(of('sluice_stream_segment_duration_seconds')).toBeCloseTo(2, 1);
    expect(of('sluice_stream_target_duration_seconds')).toBe(2);
    expect(Math.abs(of('sluice_stream_lateness_seconds') ?? 9)).toBeLessThan(0.2);
    expect(of('sluice_stream_queued_bytes')).toBeGreaterThan(0);
    expect(of('sluice_stream_segments_lost_total')).toBe(0);
    expect(of('sluice_stream_store_errors_total')).toBe(0);
    expect(of('sluice_stream_bitrate_bits_per_second')).toBeGreaterThan(10_000);
    expect(of('sluice_stream_health')).toBe(1);
    expect(of('sluice_stream_warning', { code: 'gaps' })).toBe(1);
    expect(value('sluice_streams', { state: 'live' })).toBe(1);
    expect(value('sluice_streams', { state: 'ended' })).toBe(0);
  });

  it('sum up the bitrates of live streams', async () => {
    const cam = await published('h264_aac');
    const total = async (streams: readonly StreamFigures[]) =>
      (await scrape({ streams: () => [...streams] })).value('sluice_bitrate_bits_per_second');
    expect(await total([])).toBe(0);
    const live = [
      { ...cam, bitrate: 1_000_000 },
      { ...cam, name: 'two', bitrate: 500_000 },
    ];
    const away = { ...cam, name: 'away', state: 'grace', bitrate: 250_000 } as const;
    expect(await total([...live, away])).toBe(1_500_000);
    expect(await total([away])).toBe(0);
  });

  it('show how often the store failed a stream', async () => {
    const studio = new Studio();
    studio.store.failingPuts = 1;
    studio.store.failingDeletes = 2;
    await studio.publish(repeated(readClip('h264_aac'), 5));
    const view = viewStream(studio.stream, studio.packager, NOTHING, studio.clock.now(), 'live');
    const cam = streamFigures(studio.stream, studio.packager, view ?? expect.unreachable('no stream'));
    const { value } = await scrape({ streams: () => [cam, { ...cam, name: 'other', storeErrors: 0 }] });
    const of = (name: string) => value('sluice_stream_store_errors_total', { app: 'live', name });
    expect([of('test'), of('other')]).toEqual([3, 0]);
    expect(value('sluice_stream_segments_lost_total', { app: 'live', name: 'test' })).toBe(1);
  });

  it('have series of streams that exist now only', async () => {
    const cam = await published('h264_aac');
    let streams = [cam, { ...cam, name: 'two' }];
    const read = createMetrics(sources({ streams: () => streams }));
    const names = async () =>
      new Set(readExposition(await read()).samples.flatMap(({ labels }) => labels.name ?? []));
    expect(await names()).toEqual(new Set(['test', 'two']));
    streams = [cam];
    expect(await names()).toEqual(new Set(['test']));
    streams = [];
    expect(await names()).toEqual(new Set());
  });

  it('follow their sources from scrape to scrape', async () => {
    const all = sources({
      rtmp: () => ({ connections: 3, refused: 4 }),
      ingest: () => ({
        receivedBytes: 20,
        frames: { video: 21, audio: 22 },
        dropped: { before_keyframe: 23, undeclared_track: 24 },
        damagedMessages: 25,
      }),
      unsentBytes: () => 15,
      storeBytes: () => 5,
      storeQueuedBytes: () => 14,
      fileErrors: () => ({ state: 15, playlist: 16 }),
      mediaMemory: () => ({ used: 6, reserved: 7 }),
      denied: () => ({ publish: 6, play: 7 }),
    });
    const read = createMetrics(all);
    await read();
    all.http.byKind.segment.requests = 8;
    all.http.byKind.segment.bytes = 9e12;
    all.http.open = 10;
    all.http.denied = 11;
    all.packaging.storeErrors = 12;
    all.packaging.segmentsLost = 13;
    for (const seconds of [0.0004, 0.0005, 0.003, 7]) all.packaging.listing.observe(seconds);
    for (const seconds of [2, 2.04, 9]) all.packaging.duration.observe(seconds);
    for (const seconds of [0, 0.03, 40]) all.packaging.lateness.observe(seconds);
    const { value } = readExposition(await read());
    expect(value('sluice_build_info', { version: '1.2.3' })).toBe(1);
    expect(value('sluice_rtmp_connections')).toBe(3);
    expect(value('sluice_rtmp_connections_refused_total')).toBe(4);
    expect(value('sluice_received_bytes_total')).toBe(20);
    expect(value('sluice_frames_total', { kind: 'video' })).toBe(21);
    expect(value('sluice_frames_total', { kind: 'audio' })).toBe(22);
    expect(value('sluice_dropped_total', { reason: 'before_keyframe' })).toBe(23);
    expect(value('sluice_dropped_total', { reason: 'undeclared_track' })).toBe(24);
    expect(value('sluice_damaged_messages_total')).toBe(25);
    expect(value('sluice_store_bytes')).toBe(5);
    expect(value('sluice_store_queued_bytes')).toBe(14);
    expect(value('sluice_store_file_errors_total', { file: 'state' })).toBe(15);
    expect(value('sluice_store_file_errors_total', { file: 'playlist' })).toBe(16);
    expect(value('sluice_media_memory_bytes', { state: 'used' })).toBe(6);
    expect(value('sluice_media_memory_bytes', { state: 'reserved' })).toBe(7);
    expect(value('sluice_access_denied_total', { action: 'publish' })).toBe(6);
    expect(value('sluice_access_denied_total', { action: 'play' })).toBe(7);
    expect(value('sluice_access_denied_total', { action: 'api' })).toBe(11);
    expect(value('sluice_http_requests_total', { kind: 'segment' })).toBe(8);
    expect(value('sluice_http_requests_total', { kind: 'not_found' })).toBe(0);
    expect(value('sluice_http_sent_bytes_total', { kind: 'segment' })).toBe(9e12);
    expect(value('sluice_http_open_requests')).toBe(10);
    expect(value('sluice_http_unsent_bytes')).toBe(15);
    expect(value('sluice_store_errors_total')).toBe(12);
    expect(value('sluice_segments_lost_total')).toBe(13);
    expect(value('sluice_segment_listing_seconds_bucket', { le: '0.0005' })).toBe(2);
    expect(value('sluice_segment_listing_seconds_bucket', { le: '0.002' })).toBe(2);
    expect(value('sluice_segment_listing_seconds_bucket', { le: '0.005' })).toBe(3);
    expect(value('sluice_segment_listing_seconds_bucket', { le: '1' })).toBe(3);
    expect(value('sluice_segment_listing_seconds_bucket', { le: '+Inf' })).toBe(4);
    expect(value('sluice_segment_listing_seconds_count')).toBe(4);
    expect(value('sluice_segment_listing_seconds_sum')).toBeCloseTo(7.0039, 6);
    expect(value('sluice_segment_duration_seconds_bucket', { le: '1.6' })).toBe(0);
    expect(value('sluice_segment_duration_seconds_bucket', { le: '2.1' })).toBe(2);
    expect(value('sluice_segment_duration_seconds_count')).toBe(3);
    expect(value('sluice_segment_lateness_seconds_bucket', { le: '0.02' })).toBe(1);
    expect(value('sluice_segment_lateness_seconds_bucket', { le: '0.05' })).toBe(2);
    expect(value('sluice_segment_lateness_seconds_count')).toBe(3);
  });

  it('escape what somebody else has chosen', async () => {
    const cam = await published('h264_aac');
    const name = 'a"b\\c\nd{e="f"} 1';
    const { samples } = await scrape({ streams: () => [{ ...cam, name }] });
    const found = samples.find((sample) => sample.name === 'sluice_stream_bitrate_bits_per_second');
    expect(found?.labels).toEqual({ app: 'live', name });
  });

  it('of the process are finite also when several ask at once, and again', async () => {
    const [one, two] = [createMetrics(sources()), createMetrics(sources())];
    const texts = [...(await Promise.all([one(), two(), one()])), await two()];
    for (const text of texts) {
      const { value } = readExposition(text);
      expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e6);
      expect(value('nodejs_eventloop_lag_p99_seconds')).toBeLessThan(10);
      // The 20 ms between samples are in it, as docs/metrics.md says beside the alert.
      expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0.019);
    }
  });
});

describe('docs/metrics.md', () => {
  it('has a row for each metric, as it describes itself', async () => {
    const cam = await published('h264_aac');
    const { families } = await scrape({
      streams: () => [{ ...cam, health: 'good', warnings: ['gaps'], renditions: [RENDITION] }],
    });
    const rows = [...families].flatMap(([name, { type, help, labels }]) =>
      name.startsWith('sluice_')
        ? [[`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help]]
        : [],
    );
    const text = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
    const table = text
      .split('\n')
      .filter((line) => line.startsWith('| `sluice_'))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(table).toEqual(rows);
  });
});
