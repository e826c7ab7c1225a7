import { expect, it } from 'vitest';
import { IngestStats } from '../../src/live/ingest-stats.ts';
import { encoded, packetsOf, run } from '../media/support.ts';

it('measures rates over whole seconds of media', () => {
  const stats = new IngestStats();
  expect([stats.bitrate, stats.frameRate, stats.keyframeInterval]).toEqual([0, null, null]);
  stats.reset('v0');
  const packets = packetsOf(run(encoded({ seconds: 9, fps: 30, gop: 60 })));
  for (const packet of packets) stats.packet(packet);
  const bytes = packets.reduce((sum, { data }) => sum + data.length, 0);
  expect(stats.bytes).toBe(bytes);
  expect(stats.frameRate).toBeCloseTo(30, 0);
  expect(stats.keyframeInterval).toBe(2);
  expect(stats.bitrate / ((bytes * 8) / 9)).toBeCloseTo(1, 1);
});

it('distances across a break mean nothing, rates go on', () => {
  const stats = new IngestStats();
  stats.reset('v0');
  const packets = packetsOf(run(encoded({ seconds: 3, audio: null })));
  for (const packet of packets) stats.packet(packet);
  const before = stats.bitrate;
  stats.reset('v0');
  const later = packets[0];
  if (later === undefined) throw new Error('no packets');
  stats.packet({ ...later, dts: later.dts + 90_000_000 });
  expect(stats.keyframeInterval).toBe(2);
  expect(stats.bitrate).toBe(before);
});

it('without video there is no frame rate', () => {
  const stats = new IngestStats();
  stats.reset(null);
  for (const packet of packetsOf(run(encoded({ seconds: 4, video: null })))) stats.packet(packet);
  expect(stats.frameRate).toBeNull();
  expect(stats.bitrate).toBeGreaterThan(3000);
});
