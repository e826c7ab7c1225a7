import { aacTrack } from '../../src/codecs/aac.ts';
import { buildAvcC, h264Track } from '../../src/codecs/h264.ts';
import type { AnnouncedMedia, Frame } from '../../src/media/frame.ts';
import type { Epoch, Packet } from '../../src/media/packet.ts';
import { msFromTicks, type Ticks, ticksFromSeconds } from '../../src/media/time.ts';
import { Timeline } from '../../src/media/timeline.ts';
import type { AudioTrack, Track, VideoTrack } from '../../src/media/track.ts';
import { lengthPrefixed, makeSps } from '../codecs/support.ts';
import { FakeClock } from '../support/fake-clock.ts';

export const SPS = makeSps({ mbWidth: 40, mapHeight: 23, crop: [0, 0, 0, 4] });
export const PPS = Buffer.from([0x68, 0xce, 0x3c, 0x80]);

export function videoTrack(id = 'v0', nalLengthSize = 4): VideoTrack {
  const parameters = { nalLengthSize, sps: [SPS], pps: [PPS] };
  return h264Track(id, buildAvcC(parameters), parameters);
}

/** LC stereo. */
export function audioTrack(sampleRate: 48000 | 44100 = 48000, id = 'a0'): AudioTrack {
  return aacTrack(id, sampleRate === 48000 ? Buffer.from([0x11, 0x90]) : Buffer.from([0x12, 0x10]));
}

/** An access unit of one slice with `size` bytes of payload. */
export function picture(keyframe: boolean, size = 20): Buffer {
  const slice = Buffer.alloc(size + 1, 0x55);
  slice[0] = keyframe ? 0x65 : 0x41;
  return lengthPrefixed([slice]);
}

/** A frame and the true time of its presentation, in ms since the first. */
export interface TimedFrame extends Frame {
  readonly at: number;
}

export interface Shape {
  readonly seconds: number;
  readonly fps?: number;
  readonly gop?: number;
  readonly video?: VideoTrack | null;
  readonly audio?: AudioTrack | null;
}

/** What an encoder sends: video and audio merged by time, stamped in whole milliseconds from 0. */
export function encoded({
  seconds,
  fps = 25,
  gop = 50,
  video = videoTrack(),
  audio = audioTrack(),
}: Shape): TimedFrame[] {
  const frames: TimedFrame[] = [];
  const add = (track: Track, at: number, keyframe: boolean) =>
    frames.push({
      track,
      at,
      timestamp: Math.round(at),
      compositionOffset: 0,
      nanoseconds: 0,
      keyframe,
      data: track.kind === 'video' ? picture(keyframe) : new Uint8Array(10),
    });
  if (video !== null) for (let i = 0; i < seconds * fps; i++) add(video, (i * 1000) / fps, i % gop === 0);
  if (audio !== null) {
    const duration = (audio.samplesPerFrame * 1000) / audio.sampleRate;
    for (let i = 0; i * duration < seconds * 1000; i++) add(audio, i * duration, true);
  }
  return frames.sort((a, b) => a.at - b.at);
}

/** The same frames with other timestamps, wrapped to 32 bits. */
export function stamped(
  frames: readonly TimedFrame[],
  timestamp: (frame: TimedFrame, index: number) => number,
): TimedFrame[] {
  return frames.map((frame, index) => ({ ...frame, timestamp: timestamp(frame, index) >>> 0 }));
}

export interface TimedPacket extends Packet {
  /** True presentation time of the frame it came from. */
  readonly at: number;
}

export interface RunEpoch extends Epoch {
  readonly packets: TimedPacket[];
}

export const ORIGIN: Ticks = ticksFromSeconds(10);

/** Sends frames through a timeline, the clock following their true time. */
export function run(
  frames: readonly TimedFrame[],
  { announce, origin = ORIGIN }: { announce?: AnnouncedMedia; origin?: Ticks } = {},
): RunEpoch[] {
  const clock = new FakeClock();
  const start = clock.now();
  const epochs: RunEpoch[] = [];
  const times = new Map(frames.map((frame) => [frame.data, frame.at]));
  const timeline = new Timeline(
    {
      epoch: (epoch) => epochs.push({ ...epoch, packets: [] }),
      packet: (packet) =>
        epochs.at(-1)?.packets.push({ ...packet, at: times.get(packet.data) ?? Number.NaN }),
      end: () => {},
    },
    { clock, origin, reason: 'start' },
  );
  if (announce !== undefined) timeline.announce(announce);
  for (const frame of frames) {
    clock.advance(Math.max(0, start + frame.at - clock.now()));
    timeline.push(frame);
  }
  timeline.end();
  return epochs;
}

export function packetsOf(epochs: readonly RunEpoch[]): TimedPacket[] {
  return epochs.flatMap((epoch) => epoch.packets);
}

/** Everything that must hold for any input; the violations found, so that a test can expect none. */
export function violations(epochs: readonly RunEpoch[]): string[] {
  const found: string[] = [];
  for (const [number, epoch] of epochs.entries()) {
    const last = new Map<string, Ticks>();
    for (const packet of epoch.packets) {
      const { track, dts, pts } = packet;
      const where = `epoch ${number} ${track.id} at ${packet.at}`;
      if (dts <= (last.get(track.id) ?? Number.NEGATIVE_INFINITY)) found.push(`${where}: dts does not rise`);
      if (pts < dts) found.push(`${where}: pts before dts`);
      if (!Number.isInteger(dts) || !Number.isInteger(pts) || dts < 0)
        found.push(`${where}: dts ${dts} pts ${pts}`);
      if (!epoch.tracks.includes(track)) found.push(`${where}: the epoch does not declare its track`);
      last.set(track.id, dts);
    }
    const first = epoch.packets[0];
    if (first === undefined) continue;
    if (!first.keyframe) found.push(`epoch ${number} does not begin with a keyframe`);
    if (first.dts !== epoch.start)
      found.push(`epoch ${number} starts at ${epoch.start}, its first packet at ${first.dts}`);
  }
  return found;
}

/** Largest change of the distance between audio and video against the input, in ms, over whole epochs. */
export function largestSkew(epochs: readonly RunEpoch[], after = 0): number {
  let largest = 0;
  for (const { packets } of epochs) {
    const video = packets.filter((packet) => packet.track.kind === 'video' && packet.at >= after);
    let index = 0;
    for (const packet of packets) {
      if (packet.track.kind !== 'audio' || packet.at < after) continue;
      while (index + 1 < video.length && (video[index + 1]?.at ?? 0) <= packet.at) index++;
      const beside = video[index];
      if (beside === undefined) continue;
      const shift = (p: TimedPacket) => msFromTicks(p.pts) - p.at;
      largest = Math.max(largest, Math.abs(shift(packet) - shift(beside)));
    }
  }
  return largest;
}

/** Repeatable noise: the fractional parts of a linear congruence. */
export function noise(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
