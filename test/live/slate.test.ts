import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSpsCoding } from '../../src/codecs/h264.ts';
import { reasonNotInTs } from '../../src/formats/mpegts/muxer.ts';
import type { SlateChoice } from '../../src/live/slate.ts';
import type { Packet } from '../../src/media/packet.ts';
import {
  msFromTicks,
  secondsFromTicks,
  ticksFromMs,
  ticksFromSamples,
  ticksFromSeconds,
} from '../../src/media/time.ts';
import { analyseSegment } from '../support/hls-validator/ts.ts';
import {
  isAudio,
  type ListedSegment,
  type RecordedEpoch,
  readClip,
  repeated,
  Studio,
} from '../support/publish-clip.ts';

const LAST: SlateChoice = { picture: () => null };
const until = (clip: string, ms: number) => repeated(readClip(clip), 1).filter(({ at }) => at <= ms);
const video = (packets: readonly Packet[]) => packets.filter(({ track }) => track.kind === 'video');
const audio = (packets: readonly Packet[]) => packets.filter(({ track }) => track.kind === 'audio');

/** Publishes a clip until it is cut off, and looks at what comes from then on. */
async function cutOff(clip: string, atMs: number, slate = LAST) {
  const studio = new Studio({ slate });
  await studio.publish(until(clip, atMs));
  const [epoch] = studio.epochs;
  if (epoch === undefined) throw new Error('nothing was published');
  return { studio, epoch, counted: studio.stream.stats.videoFrames + studio.stream.stats.audioFrames };
}

/** What must hold in any epoch, whoever its packets are from; an empty list is good. */
function violations({ packets, tracks }: RecordedEpoch): string[] {
  const found: string[] = [];
  for (const track of tracks) {
    let last: Packet | null = null;
    for (const packet of packets.filter((one) => one.track === track)) {
      if (last !== null && packet.dts <= last.dts)
        found.push(`${track.id}: dts ${packet.dts} after ${last.dts}`);
      if (packet.pts < packet.dts) found.push(`${track.id}: pts before dts`);
      if (!Number.isInteger(packet.dts) || !Number.isInteger(packet.pts))
        found.push(`${track.id}: not whole`);
      const frame = track.kind === 'audio' ? ticksFromSamples(track.samplesPerFrame, track.sampleRate) : 0;
      if (frame > 0 && last !== null && packet.dts - last.dts > frame * 2)
        found.push(`${track.id}: gap at ${packet.dts}`);
      last = packet;
    }
  }
  return found;
}

/** Dates follow from the durations but for what the anchor slews; over a break they may jump, but only forward. */
function wrongDates(segments: readonly ListedSegment[]): string[] {
  return segments.slice(1).flatMap(({ programDateTime, discontinuity, mediaSequence }, index) => {
    const before = segments[index];
    if (before === undefined) return [];
    const off = programDateTime - before.programDateTime - msFromTicks(before.duration);
    const slew = secondsFromTicks(before.duration) + 0.001;
    const right = discontinuity ? off > -0.001 : Math.abs(off) <= slew;
    return right ? [] : [`${mediaSequence} is ${off} ms off`];
  });
}

/** Whatever the validator finds in the segments, and clock references that stand still or go back between two. */
function wrongClocks(segments: readonly ListedSegment[]): string[] {
  const found: string[] = [];
  let last: number | null = null;
  for (const { data, discontinuity, mediaSequence } of segments) {
    const { problems, pcrs } = analyseSegment(data);
    found.push(...problems.filter(({ severity }) => severity === 'error').map(({ message }) => message));
    const first = pcrs[0]?.seconds ?? 0;
    if (last !== null && !discontinuity && first <= last)
      found.push(`clock goes back to ${first - last} before ${mediaSequence}`);
    last = pcrs.at(-1)?.seconds ?? null;
  }
  return found;
}

describe('a slate', () => {
  it('goes on where the publisher was cut off, in its own tracks, at the pace of the clock', async () => {
    const { studio, epoch, counted } = await cutOff('h264b_aac', 3700);
    expect(studio.stream).toMatchObject({ state: 'grace', showsSlate: true });
    const published = epoch.packets.length;
    const end = studio.stream.end;
    await studio.wait(8000);
    const shown = epoch.packets.slice(counted);
    expect(shown.length).toBeGreaterThan(published - counted);
    expect(studio.epochs).toHaveLength(1);
    expect(secondsFromTicks(studio.stream.end - end)).toBeCloseTo(8, 0);
    expect(violations(epoch)).toEqual([]);
    // In order, and pictures before the sound of the same moment.
    const order = ({ dts, track }: Packet) => dts + (track.kind === 'audio' ? 0.5 : 0);
    const paced = shown.slice(20).map(order);
    expect([...paced].sort((a, b) => a - b)).toEqual(paced);
    // As many pictures as before: 25 a second.
    expect(video(shown).length).toBeGreaterThan(195);
    expect(video(shown).length).toBeLessThan(206);
    expect(studio.stream.stats.videoFrames + studio.stream.stats.audioFrames).toBe(counted);
    expect(studio.sinkFaults).toEqual([]);
    studio.stream.close();
    expect(studio.clock.pending).toBe(0);
  });

  it('keeps keyframes where the publisher would have had them, and announces no other', async () => {
    const { studio, epoch, counted } = await cutOff('h264_aac', 3700);
    await studio.wait(6000);
    const keyframes = video(epoch.packets.slice(0, counted)).filter(({ keyframe }) => keyframe);
    const [first, ...shown] = video(epoch.packets.slice(counted));
    expect(first?.keyframe).toBe(false);
    expect(first?.data.length).toBeGreaterThan(500);
    const interval = ticksFromSeconds(studio.stream.stats.keyframeInterval ?? 0);
    const later = shown.filter(({ keyframe }) => keyframe);
    expect(later.length).toBeGreaterThan(2);
    later.forEach(({ dts }, index) => {
      expect(Math.abs(dts - (keyframes.at(-1)?.dts ?? 0) - (index + 1) * interval)).toBeLessThan(2);
    });
    // The rest skips.
    for (const { data, keyframe } of shown) if (!keyframe) expect(data.length).toBeLessThan(60);
  });

  it('lasts until the first frame of the next publisher, not only until it is connected', async () => {
    const { studio, epoch } = await cutOff('h264_aac', 3000);
    await studio.wait(1000);
    const ingest = studio.connect();
    const before = epoch.packets.length;
    await studio.wait(1000);
    expect(epoch.packets.length).toBeGreaterThan(before + 50);
    expect(studio.stream).toMatchObject({ state: 'live', showsSlate: true });
    const end = studio.stream.end;
    await studio.send(ingest, until('h264_aac', 2000));
    expect(studio.stream.showsSlate).toBe(false);
    await studio.end(ingest);
    expect(studio.epochs.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
    expect(studio.epochs[1]?.start).toBeGreaterThanOrEqual(end - ticksFromMs(1));
    expect(studio.stream.showsSlate).toBe(true);
  });

  it('survives a publisher that comes and goes without a frame', async () => {
    const { studio, epoch } = await cutOff('h264_aac', 3000);
    for (let i = 0; i < 3; i++) {
      const ingest = studio.connect();
      await studio.wait(500);
      await studio.end(ingest);
      await studio.wait(500);
    }
    expect(studio.epochs).toHaveLength(1);
    expect(violations(epoch)).toEqual([]);
    expect(studio.stream).toMatchObject({ state: 'grace', showsSlate: true });
  });

  it('ends with the grace window', async () => {
    const { studio, epoch } = await cutOff('h264_aac', 3000);
    await studio.wait(60_000);
    expect(studio.stream).toMatchObject({ state: 'closed', showsSlate: false });
    expect(studio.clock.pending).toBe(0);
    const end = Math.max(...epoch.packets.map(({ dts }) => dts));
    expect(secondsFromTicks(end - epoch.start)).toBeGreaterThan(62);
    expect(secondsFromTicks(end - epoch.start)).toBeLessThan(64);
  });

  it('a process that stood still does not send a flood', async () => {
    const { studio, epoch } = await cutOff('h264_aac', 3000);
    await studio.wait(1000);
    const before = epoch.packets.length;
    let now = studio.clock.now();
    Object.defineProperty(studio.clock, 'now', { value: () => now });
    now += 50_000;
    studio.clock.advance(100);
    expect(epoch.packets.length - before).toBeLessThan(5 * (30 + 50));
    expect(epoch.packets.length - before).toBeGreaterThan(4 * (20 + 40));
    const caughtUp = epoch.packets.length;
    now += 1000;
    studio.clock.advance(100);
    expect(epoch.packets.length - caughtUp).toBeLessThan(100);
    expect(violations(epoch)).toEqual([]);
  });

  it('is not there when the stream does not want one, or once it was stopped', async () => {
    const none = new Studio();
    await none.publish(until('h264_aac', 2000));
    const { studio, epoch } = await cutOff('h264_aac', 2000);
    expect(none.stream.showsSlate).toBe(false);
    studio.stream.stopSlate();
    const count = epoch.packets.length;
    await studio.wait(5000);
    expect(epoch.packets).toHaveLength(count);
    expect(studio.stream.state).toBe('grace');
    await studio.publish(until('h264_aac', 2000));
    expect(studio.stream.showsSlate).toBe(true);
  });

  it('shows a picture of its own when there is one', async () => {
    const tags = until('h264_aac', 1000);
    const other = new Studio();
    await other.publish(tags);
    const keyframe = other.packets.find((packet) => packet.track.kind === 'video');
    const { studio, epoch, counted } = await cutOff('h264_aac', 3700, {
      picture: () => keyframe?.data ?? null,
    });
    await studio.wait(3000);
    const [first] = video(epoch.packets.slice(counted));
    const last = video(epoch.packets.slice(0, counted)).findLast((packet) => packet.keyframe);
    expect(Math.abs((first?.data.length ?? 0) - (keyframe?.data.length ?? 0))).toBeLessThan(1000);
    expect(first?.data.length).not.toBe(last?.data.length);
  });

  it.each([
    'aac_only',
    'hevc_aac',
    'av1_opus',
    'vp9_aac',
    'h264_mp3',
    'flv1_mp3',
    'h264_only',
    'multitrack_av',
  ])('goes on with %s', async (clip) => {
    const { studio, epoch, counted } = await cutOff(clip, 3300);
    await studio.wait(4000);
    expect(violations(epoch).slice(0, 3)).toEqual([]);
    for (const track of epoch.tracks) {
      const packets = epoch.packets.slice(counted).filter((packet) => packet.track === track);
      const least = track.kind === 'audio' ? 4 * 38 : reasonNotInTs(track) === null ? 4 * 20 : 2;
      expect(packets.length, track.id).toBeGreaterThanOrEqual(least);
    }
  });

  it('repeats whole keyframes no faster than the publisher could have sent them', async () => {
    const { studio, epoch, counted } = await cutOff('hevc_aac', 3700);
    const { bitrate } = studio.stream.stats;
    await studio.wait(10_000);
    const bytes = video(epoch.packets.slice(counted)).reduce((sum, { data }) => sum + data.length, 0);
    expect((bytes * 8) / 10).toBeLessThan(bitrate * 1.3);
  });

  it('makes segments like any other, wherever the publisher is cut off, and however long', async () => {
    const clip = fc.constantFrom('h264_aac', 'h264b_aac', 'h264_44k', 'h264_mp3');
    const times = fc.record({
      name: clip,
      cutAt: fc.integer({ min: 2500, max: 9400 }),
      /** How much more sound than pictures there was. */
      skew: fc.oneof(fc.constant(0), fc.integer({ min: -400, max: 400 })),
      away: fc.integer({ min: 1, max: 12_000 }),
    });
    await fc.assert(
      fc.asyncProperty(times, async ({ name, cutAt, skew, away }) => {
        const studio = new Studio({ slate: LAST });
        const begun = studio.clock.now();
        const audible = cutAt + skew;
        await studio.publish(readClip(name).filter((tag) => tag.at <= (isAudio(tag) ? audible : cutAt)));
        await studio.wait(away, 250);
        const back = studio.clock.now();
        await studio.publish(readClip(name));
        await studio.wait(3000, 250);
        await studio.close();
        expect(studio.sinkFaults).toEqual([]);
        expect(studio.epochs.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
        expect(studio.epochs.flatMap(violations)).toEqual([]);
        const { segments, packager } = studio;
        expect(segments.filter(({ discontinuity }) => discontinuity)).toHaveLength(1);
        expect(segments.filter(({ independent }) => !independent)).toHaveLength(0);
        const longest = Math.max(...segments.map(({ duration }) => duration));
        expect(Math.round(secondsFromTicks(longest))).toBeLessThanOrEqual(packager.targetDuration ?? 0);
        expect(wrongDates(segments)).toEqual([]);
        expect(wrongClocks(segments)).toEqual([]);
        const returned = segments.find(({ discontinuity }) => discontinuity)?.programDateTime ?? 0;
        // The stream does not run ahead of the clock but for what was on its way, however long the slate was.
        const ahead = returned - back - ((segments[0]?.programDateTime ?? 0) - begun);
        expect(ahead).toBeGreaterThan(-0.001);
        expect(ahead).toBeLessThanOrEqual(160);
      }),
      { numRuns: 60 },
    );
  });
});

it('the clips are what these tests take them for', async () => {
  const { epoch } = await cutOff('h264b_aac', 3000);
  const [track] = epoch.tracks;
  const sps = track?.kind === 'video' ? track.h264?.sps[0] : undefined;
  expect(parseSpsCoding(sps ?? new Uint8Array()).maxRefFrames).toBeGreaterThan(1);
  expect(video(epoch.packets).some(({ pts, dts }) => pts > dts)).toBe(true);
  expect(audio(epoch.packets).length).toBeGreaterThan(100);
});
