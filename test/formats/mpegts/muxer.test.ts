import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { aacTrack } from '../../../src/codecs/aac.ts';
import { mp3Track, parseMp3Header } from '../../../src/codecs/mp3.ts';
import { reasonNotInTs, TsMuxer } from '../../../src/formats/mpegts/muxer.ts';
import type { Packet } from '../../../src/media/packet.ts';
import { BodyWriter } from '../../../src/media/segment-body.ts';
import { ticksFromSamples, ticksFromSeconds } from '../../../src/media/time.ts';
import type { AudioTrack, VideoTrack } from '../../../src/media/track.ts';
import { lengthPrefixed } from '../../codecs/support.ts';
import { audioTrack, noise, ORIGIN, PPS, picture, SPS, videoTrack } from '../../media/support.ts';
import { analyseSegment, type TransportSegment } from '../../support/hls-validator/ts.ts';
import { hex } from '../amf/support.ts';

const VIDEO = videoTrack();
const AUDIO = audioTrack();

function segment(muxer: TsMuxer, packets: readonly Packet[]): Buffer {
  muxer.beginSegment();
  for (const packet of packets) muxer.write(packet);
  return muxer.endSegment(packets.at(-1)?.dts ?? 0).copyOut();
}

function muxerOf(video: VideoTrack | null, audio: AudioTrack | null): TsMuxer {
  const muxer = new TsMuxer();
  muxer.setTracks({ video, audio });
  return muxer;
}

/** Errors of the analyser, with what it found. */
function analysed(data: Buffer): TransportSegment {
  const result = analyseSegment(data);
  expect(result.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  expect(data.length % 188).toBe(0);
  return result;
}

function videoPacket(dts: number, { key = false, size = 50, cts = 0, track = VIDEO } = {}): Packet {
  return { track, dts, pts: dts + cts, keyframe: key, data: picture(key, size) };
}

function audioPacket(dts: number, size = 300, track = AUDIO): Packet {
  return { track, dts, pts: dts, keyframe: true, data: Buffer.alloc(size, 0x21) };
}

function parsedMp3(header: string) {
  const parsed = parseMp3Header(hex(header));
  if (parsed === null) throw new Error('not parsed');
  return parsed;
}

interface Encoding {
  readonly seconds?: number;
  readonly start?: number;
  readonly fps?: number;
  readonly videoBits?: number;
  readonly audioBits?: number;
  readonly video?: VideoTrack | null;
  readonly audio?: AudioTrack | null;
}

function encode(options: Encoding): Packet[] {
  const { seconds = 2, start = ORIGIN, fps = 30, videoBits = 2_500_000, audioBits = 128_000 } = options;
  const { video = VIDEO, audio = AUDIO } = options;
  const packets: Packet[] = [];
  if (video !== null) {
    // A keyframe weighs eight others.
    const share = (videoBits * seconds) / 8 / (fps * seconds + 7);
    for (let i = 0; i < fps * seconds; i++) {
      packets.push(
        videoPacket(Math.round(start + (i * 90_000) / fps), {
          key: i === 0,
          size: Math.floor(share * (i === 0 ? 8 : 1)),
          track: video,
        }),
      );
    }
  }
  if (audio !== null) {
    const duration = ticksFromSamples(audio.samplesPerFrame, audio.sampleRate);
    const size = Math.floor((audioBits / 8) * (duration / 90_000));
    for (let i = 0; i * duration < seconds * 90_000; i++)
      packets.push(audioPacket(Math.round(start + i * duration), size, audio));
  }
  return packets.sort((a, b) => a.dts - b.dts);
}

/** PCR distances in ms. */
function pcrSteps({ pcrs }: TransportSegment): number[] {
  return pcrs.slice(1).map((pcr, i) => (pcr.seconds - (pcrs[i]?.seconds ?? 0)) * 1000);
}

describe('TsMuxer', () => {
  it('begins with PAT, PMT and a keyframe: delimiter, parameter sets once, picture', () => {
    const data = segment(muxerOf(VIDEO, AUDIO), encode({}));
    const { streams, pcrPid, video } = analysed(data);
    expect([data.readUInt16BE(1) & 0x1fff, data.readUInt16BE(189) & 0x1fff]).toEqual([0, 0x1000]);
    expect(streams).toEqual([
      { pid: 0x100, streamType: 0x1b },
      { pid: 0x101, streamType: 0x0f },
    ]);
    expect(pcrPid).toBe(0x100);
    expect(video?.units).toHaveLength(60);
    expect(video?.units[0]).toMatchObject({ keyframe: true, nalTypes: [9, 7, 8, 5] });
    expect(video?.units.slice(1).every(({ nalTypes }) => nalTypes.join() === '9,1')).toBe(true);
    expect(
      data.includes(
        Buffer.concat([hex('0000000109f0 00000001'), SPS, hex('00000001'), PPS, hex('00000165')]),
      ),
    ).toBe(true);
  });

  it('does not repeat what the access unit brings, and drops delimiters and filler', () => {
    const ownSps = Buffer.from(SPS);
    ownSps[3] = 40;
    const unit = [
      hex('09f0'),
      ownSps,
      PPS,
      hex('0605010080'),
      hex('6588'),
      hex('0cffff'),
      hex('0a'),
      hex('0b'),
    ];
    const packet = { ...videoPacket(ORIGIN, { key: true }), data: lengthPrefixed(unit) };
    const { video } = analysed(segment(muxerOf(VIDEO, null), [packet]));
    expect(video?.units[0]?.nalTypes).toEqual([9, 7, 8, 6, 5]);
    expect(video?.sequence?.level).toBe(40);
  });

  it.each([1, 2, 4])('reads NAL lengths of %i bytes; damage costs the rest of one picture', (size) => {
    const track = videoTrack('v0', size);
    const whole = lengthPrefixed([hex('658811'), hex('06050100'), hex('659922')], size);
    const muxer = muxerOf(track, null);
    const data = segment(muxer, [
      { track, dts: ORIGIN, pts: ORIGIN, keyframe: true, data: whole },
      {
        track,
        dts: ORIGIN + 3000,
        pts: ORIGIN + 3000,
        keyframe: true,
        data: whole.subarray(0, whole.length - 1),
      },
      {
        track,
        dts: ORIGIN + 6000,
        pts: ORIGIN + 6000,
        keyframe: true,
        data: lengthPrefixed([new Uint8Array(0), hex('6588')], size),
      },
    ]);
    expect(analysed(data).video?.units.map(({ nalTypes }) => nalTypes)).toEqual([
      [9, 7, 8, 5, 6, 5],
      [9, 7, 8, 5, 6],
      [9, 7, 8, 5],
    ]);
  });

  it('groups audio frames, writes DTS only where it differs', () => {
    const packets = encode({}).map((p) =>
      p.track === VIDEO ? { ...p, pts: p.dts + (p.keyframe ? 0 : 6000) } : p,
    );
    const { audio, pes } = analysed(segment(muxerOf(VIDEO, AUDIO), packets));
    expect(audio).toMatchObject({ sampleRate: 48000, channels: 2, objectType: 2, codec: 'mp4a.40.2' });
    const frames = (audio?.packets ?? []).map((packet) => packet.frames);
    expect(frames.reduce((a, b) => a + b, 0)).toBe(94);
    expect(Math.min(...frames.slice(0, -1))).toBeGreaterThanOrEqual(4);
    expect(Math.max(...frames)).toBeLessThanOrEqual(9);
    const video = pes.filter(({ pid }) => pid === 0x100);
    expect(video[0]?.headerBytes).toBe(14);
    expect(
      video.slice(1).every(({ headerBytes, pts, dts }) => headerBytes === 19 && pts - dts === 6000),
    ).toBe(true);
  });

  it('counts on over segments and never goes back to zero', () => {
    const muxer = muxerOf(VIDEO, AUDIO);
    let counters: TransportSegment['counters'] | null = null;
    for (let i = 0; i < 6; i++) {
      const result = analysed(segment(muxer, encode({ start: ORIGIN + i * 180_000 })));
      for (const [pid, { first }] of result.counters) {
        const before = counters?.get(pid);
        if (before !== undefined) expect(first).toBe((before.last + 1) & 15);
      }
      counters = result.counters;
    }
    expect([...(counters?.keys() ?? [])].sort((a, b) => a - b)).toEqual([0, 0x100, 0x101, 0x1000]);
  });

  it('a change of tracks is a new version of the map', () => {
    const muxer = muxerOf(VIDEO, AUDIO);
    const version = (data: Buffer) => ((data[188 + 5 + 5] ?? 0) >> 1) & 31;
    expect(version(segment(muxer, encode({})))).toBe(0);
    expect(version(segment(muxer, encode({})))).toBe(0);
    muxer.setTracks({ video: VIDEO, audio: null });
    const data = segment(muxer, encode({ audio: null }));
    expect(version(data)).toBe(1);
    expect(analysed(data).streams).toEqual([{ pid: 0x100, streamType: 0x1b }]);
  });

  it('runs through the wrap of 33 bits', () => {
    const data = segment(muxerOf(VIDEO, AUDIO), encode({ start: 2 ** 33 - 90_000 }));
    const { video } = analysed(data);
    expect((video?.units.at(-1)?.dts ?? 0) - (video?.units[0]?.dts ?? 0)).toBe(59 * 3000);
  });

  it('ignores tracks it was not told of', () => {
    const muxer = muxerOf(VIDEO, null);
    const { audio } = analysed(segment(muxer, encode({})));
    expect(audio).toBeUndefined();
  });

  it('an AAC frame too large for ADTS is left out', () => {
    const muxer = muxerOf(null, AUDIO);
    const { audio } = analysed(
      segment(muxer, [
        audioPacket(ORIGIN, 8184),
        audioPacket(ORIGIN + 1920, 8185),
        audioPacket(ORIGIN + 3840, 100),
      ]),
    );
    expect((audio?.packets ?? []).reduce((sum, { frames }) => sum + frames, 0)).toBe(2);
  });

  it('a buffer handed over is never written again', () => {
    const muxer = muxerOf(VIDEO, AUDIO);
    const first = segment(muxer, encode({}));
    const copy = Buffer.from(first);
    segment(muxer, encode({ start: ORIGIN + 180_000, videoBits: 8_000_000 }));
    expect(first.equals(copy)).toBe(true);
  });
});

describe('clock references', () => {
  it.each([60, 50, 30, 25, 24, 24_000 / 1001, 15, 12, 10, 5, 1, 0.5])('at %f frames per second', (fps) => {
    const result = analysed(segment(muxerOf(VIDEO, AUDIO), encode({ fps, seconds: 4, videoBits: 300_000 })));
    expect(Math.max(...pcrSteps(result))).toBeLessThanOrEqual(100);
    // A packet for the clock alone only where frames are further apart than clocks may be.
    if (fps > 10.6) expect(result.pcrs.length).toBeLessThanOrEqual(fps * 4);
  });

  it('with video alone, a frame every two seconds', () => {
    const result = analysed(
      segment(muxerOf(VIDEO, null), encode({ fps: 0.5, seconds: 8, audio: null, videoBits: 9000 })),
    );
    expect(Math.max(...pcrSteps(result))).toBeLessThanOrEqual(100);
    expect(result.pcrs.length).toBeGreaterThan(60);
  });

  it('a segment that begins without video has them too', () => {
    const data = segment(muxerOf(VIDEO, AUDIO), encode({ video: null }));
    const result = analyseSegment(data);
    expect(result.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(result.pcrs.length).toBeGreaterThan(20);
    expect(Math.max(...pcrSteps(result))).toBeLessThanOrEqual(100);
  });

  it.each([1000, 8000, 12_000, 16_000, 24_000, 32_000, 64_000, 320_000])(
    'audio alone at %i bit/s',
    (audioBits) => {
      for (const track of [AUDIO, audioTrack(44100)]) {
        const result = analysed(
          segment(muxerOf(null, track), encode({ video: null, audio: track, audioBits })),
        );
        expect(result.pcrPid).toBe(0x101);
        expect(Math.max(...pcrSteps(result))).toBeLessThanOrEqual(100);
      }
    },
  );

  it('audio alone with holes in it', () => {
    const packets = encode({ video: null, seconds: 4 }).filter(
      (_, i) => i < 40 || (i > 46 && i < 80) || i > 120,
    );
    const result = analyseSegment(segment(muxerOf(null, AUDIO), packets));
    // The holes themselves are reported; the clock runs through them.
    expect(result.problems.filter(({ check }) => check === 'M4')).toEqual([]);
    expect(Math.max(...pcrSteps(result))).toBeLessThanOrEqual(100);
  });

  it('do not go back when audio frames come faster than their samples say', () => {
    // 1024 samples at 8 kHz take 128 ms, and a mistaken encoder sends them every 21 ms.
    const track = aacTrack('a0', hex('1590'));
    const packets = Array.from({ length: 40 }, (_, i) => audioPacket(ORIGIN + i * 1890, 20, track));
    const result = analyseSegment(segment(muxerOf(null, track), packets));
    expect(result.pcrs.length).toBeGreaterThan(8);
    expect(Math.min(...pcrSteps(result))).toBeGreaterThanOrEqual(0);
  });

  it('always advance, also over segments, however far sound is ahead of the pictures after it', () => {
    const ahead = fc.oneof(fc.constant(0), fc.integer({ min: -27_000, max: 45_000 }));
    const pictures = fc.array(fc.record({ ahead, key: fc.boolean() }), { minLength: 5, maxLength: 60 });
    const track = fc.constantFrom(AUDIO, mp3Track('a0', parsedMp3('fffb9064')));
    fc.assert(
      fc.property(track, pictures, (audio, list) => {
        const muxer = muxerOf(VIDEO, audio);
        const duration = ticksFromSamples(audio.samplesPerFrame, audio.sampleRate);
        const soundUntil = (end: number) => {
          for (; sound < end; sound += duration) muxer.write(audioPacket(Math.round(sound), 400, audio));
        };
        let sound = ORIGIN;
        let last = Number.NEGATIVE_INFINITY;
        const check = (until: number) => {
          const { problems, pcrs } = analyseSegment(muxer.endSegment(until).copyOut());
          expect(problems.filter(({ check }) => check === 'M4')).toEqual([]);
          expect(pcrs[0]?.seconds).toBeGreaterThan(last);
          last = pcrs.at(-1)?.seconds ?? Number.NaN;
        };
        muxer.beginSegment();
        list.forEach(({ ahead, key }, index) => {
          const dts = ORIGIN + index * 3600;
          if (index > 0) soundUntil(dts + ahead);
          if (index > 0 && key) {
            check(dts);
            muxer.beginSegment();
          }
          muxer.write(videoPacket(dts, { key: key || index === 0 }));
        });
        check(ORIGIN + list.length * 3600);
      }),
      { numRuns: 300 },
    );
  });

  it('are never too far apart over segments, however far apart the pictures are', () => {
    for (const fps of [1, 4, 8, 9, 10, 11, 25]) {
      const muxer = muxerOf(VIDEO, AUDIO);
      const packets = encode({ fps, seconds: 6 });
      const cuts = [ORIGIN + ticksFromSeconds(2), ORIGIN + ticksFromSeconds(4), Number.POSITIVE_INFINITY];
      let left = packets;
      const pcrs = cuts.flatMap((cut) => {
        const next = left.findIndex(({ track, dts }) => track === VIDEO && dts >= cut);
        const data = left.slice(0, next < 0 ? left.length : next);
        left = left.slice(data.length);
        muxer.beginSegment();
        for (const packet of data) muxer.write(packet);
        return analysed(muxer.endSegment(left[0]?.dts ?? data.at(-1)?.dts ?? 0).copyOut()).pcrs;
      });
      const steps = pcrs.slice(1).map(({ seconds }, index) => (seconds - (pcrs[index]?.seconds ?? 0)) * 1000);
      expect(steps.length).toBeGreaterThan(50);
      expect(Math.max(...steps), `${fps} frames per second`).toBeLessThanOrEqual(100);
      expect(Math.min(...steps), `${fps} frames per second`).toBeGreaterThan(0);
    }
  });

  it('are never after the decode time', () => {
    const result = analysed(segment(muxerOf(VIDEO, AUDIO), encode({})));
    const first = result.pcrs[0]?.seconds ?? Number.NaN;
    expect(first).toBeCloseTo(10 - 0.7, 6);
  });
});

describe('overhead over the raw frames', () => {
  const rawBytes = (packets: readonly Packet[]) => packets.reduce((sum, { data }) => sum + data.length, 0);

  it('at most 4 % at 2.5 Mb/s with 128 kb/s AAC, 30 frames per second', () => {
    for (const audio of [AUDIO, audioTrack(44100)]) {
      const packets = encode({ audio });
      const data = segment(muxerOf(VIDEO, audio), packets);
      expect(data.length / rawBytes(packets) - 1).toBeLessThanOrEqual(0.04);
    }
  });

  it('at most 12 % for 64 kb/s AAC alone', () => {
    for (const audio of [AUDIO, audioTrack(44100)]) {
      // Encoders keep the mean, not the size of each frame.
      const random = noise();
      const packets = encode({ video: null, audio, audioBits: 64_000, seconds: 20 }).map((packet) => ({
        ...packet,
        data: Buffer.alloc(Math.round(packet.data.length * (0.7 + 0.6 * random())), 0x21),
      }));
      const muxer = muxerOf(null, audio);
      let bytes = 0;
      for (let i = 0; i < 10; i++) {
        const of = packets.filter(({ dts }) => Math.floor((dts - ORIGIN) / 180_000) === i);
        bytes += segment(muxer, of).length;
      }
      expect(bytes / rawBytes(packets) - 1).toBeLessThanOrEqual(0.12);
    }
  });
});

describe('MP3', () => {
  it.each([
    ['fffb9064', 0x03, 417],
    ['fff380c4', 0x04, 208],
  ])('%s has stream type %i and no ADTS', (header, streamType, size) => {
    const track = mp3Track('a0', parsedMp3(header));
    const frame = Buffer.alloc(size);
    frame.set(hex(header));
    const duration = ticksFromSamples(track.samplesPerFrame, track.sampleRate);
    const packets = Array.from({ length: 60 }, (_, i) => {
      const dts = Math.round(ORIGIN + i * duration);
      return { track, dts, pts: dts, keyframe: true, data: frame };
    });
    const { streams, pes } = analysed(segment(muxerOf(null, track), packets));
    expect(streams).toEqual([{ pid: 0x101, streamType }]);
    expect(
      Buffer.concat(pes.map(({ payload }) => payload)).equals(Buffer.concat(packets.map(({ data }) => data))),
    ).toBe(true);
  });
});

it('says why a track cannot be in a segment', () => {
  expect(reasonNotInTs(VIDEO)).toBeNull();
  expect(reasonNotInTs(AUDIO)).toBeNull();
  expect(reasonNotInTs({ ...AUDIO, adts: null })).toMatch(/ADTS/);
  expect(reasonNotInTs({ ...VIDEO, codec: 'hevc', h264: null })).toMatch(/HEVC/);
  expect(reasonNotInTs({ ...AUDIO, codec: 'opus' })).toMatch(/OPUS/);
});

it('packets of any size come out as they went in', () => {
  const anySize = fc.oneof(fc.nat(400), fc.integer({ min: 150, max: 200 }), fc.nat(3000));
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          size: anySize,
          cts: fc.constantFrom(0, 3600),
          audio: fc.array(anySize, { maxLength: 3 }),
        }),
        {
          minLength: 1,
          maxLength: 25,
        },
      ),
      (pictures) => {
        const packets: Packet[] = [];
        let audioTime = ORIGIN;
        pictures.forEach(({ size, cts, audio }, i) => {
          packets.push(videoPacket(ORIGIN + i * 3600, { key: i === 0, size: size + 1, cts }));
          for (const bytes of audio) {
            packets.push(audioPacket(audioTime, bytes + 1));
            audioTime += 1920;
          }
        });
        const { pes } = analyseSegment(segment(muxerOf(VIDEO, AUDIO), packets));
        const sentVideo = packets.filter(({ track }) => track === VIDEO);
        const video = pes.filter(({ pid }) => pid === 0x100);
        expect(video.map(({ pts, dts }) => [pts, dts])).toEqual(sentVideo.map(({ pts, dts }) => [pts, dts]));
        expect(video.map(({ payload }) => Buffer.from(payload).subarray(-10).toString('hex'))).toEqual(
          sentVideo.map(({ data, keyframe }, i) => {
            const sets = keyframe
              ? Buffer.concat([hex('00000001'), SPS, hex('00000001'), PPS])
              : Buffer.alloc(0);
            const unit = Buffer.concat([hex('0000000109f0'), sets, hex('000001'), data.subarray(4)]);
            expect(Buffer.from(video[i]?.payload ?? []).equals(unit)).toBe(true);
            return unit.subarray(-10).toString('hex');
          }),
        );
        const audio = Buffer.concat(pes.filter(({ pid }) => pid === 0x101).map(({ payload }) => payload));
        const sizes: number[] = [];
        for (let at = 0; at < audio.length; ) {
          const length =
            ((audio.readUInt8(at + 3) & 3) << 11) |
            (audio.readUInt8(at + 4) << 3) |
            (audio.readUInt8(at + 5) >> 5);
          sizes.push(length - 7);
          at += length;
        }
        expect(sizes).toEqual(packets.filter(({ track }) => track === AUDIO).map(({ data }) => data.length));
      },
    ),
    { numRuns: 150 },
  );
});

it('segmentBytes grows with what is written', () => {
  const muxer = muxerOf(VIDEO, AUDIO);
  muxer.beginSegment();
  const sizes = encode({ seconds: 1 }).map((packet) => {
    muxer.write(packet);
    return muxer.segmentBytes;
  });
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  expect(sizes.at(-1)).toBeGreaterThan(ticksFromSeconds(1) / 1000);
});

it('every write into the segment is aligned to words as what it is copied from is', () => {
  const { write } = BodyWriter.prototype;
  const offsets: [from: number, to: number][] = [];
  const spy = vi.spyOn(BodyWriter.prototype, 'write').mockImplementation(function (
    this: BodyWriter,
    ...[memory, start, end]
  ) {
    offsets.push([start % 8, this.length % 8]);
    write.call(this, memory, start, end);
  });
  try {
    // Pictures of odd sizes, one larger than the bench, sound, and gaps that packets with only a clock fill.
    segment(
      muxerOf(VIDEO, AUDIO),
      [51, 700_000, 3001, 190, 47, 9999].flatMap((size, index) => {
        const dts = ORIGIN + index * ticksFromSeconds(0.3);
        return [videoPacket(dts, { key: index === 0, size }), audioPacket(dts)];
      }),
    );
  } finally {
    spy.mockRestore();
  }
  expect(new Set(offsets.map(String))).toEqual(new Set(['0,0', '4,4']));
});
