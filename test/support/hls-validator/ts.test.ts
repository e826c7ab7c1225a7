import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { SegmentOptions } from './synthetic-ts.ts';
import {
  audioPid,
  editPacket,
  extraPacket,
  makeSequenceParameters,
  TransportWriter,
  videoPid,
} from './synthetic-ts.ts';
import { analyseSegment, sectionCrc, timestampDifference, unwrapTimestamp } from './ts.ts';

describe('the analyser', () => {
  it('agrees with what a foreign muxer is known to have written', () => {
    const segment = analyseSegment(
      readFileSync(new URL('../../fixtures/ts/ffmpeg-h264-aac.m2t', import.meta.url)),
    );
    // ffmpeg puts a service description table before the PAT; there is nothing else to complain about.
    expect([...new Set(segment.problems.map((problem) => problem.check))]).toEqual(['M2']);
    expect(segment.video).toMatchObject({ codec: 'avc1.64001e', framesPerSecond: 25, frameDuration: 3600 });
    expect(segment.video?.sequence).toMatchObject({
      width: 640,
      height: 360,
      framesPerSecond: 25,
      level: 30,
    });
    expect(segment.video?.units).toHaveLength(50);
    expect(segment.video?.units[0]).toEqual({
      pts: 127_890,
      dts: 127_890,
      nalTypes: [9, 6, 7, 8, 5],
      keyframe: true,
    });
    expect(segment.audio).toMatchObject({ codec: 'mp4a.40.2', sampleRate: 48_000, channels: 2 });
    expect(segment.audio?.packets.reduce((sum, packet) => sum + packet.frames, 0)).toBe(95);
    expect(segment.audio?.packets[0]?.pts).toBe(126_000);
  });

  it('accounts for every byte', () => {
    const { overhead } = analyseSegment(new TransportWriter(900_000).writeSegment({}));
    const { elementaryBytes, packetHeaderBytes, adaptationBytes, tableBytes, pesHeaderBytes } = overhead;
    expect(elementaryBytes + packetHeaderBytes + adaptationBytes + tableBytes + pesHeaderBytes).toBe(
      overhead.totalBytes,
    );
  });

  it('accepts a packet sent twice, but not three times', () => {
    const copies = (count: number): SegmentOptions => ({
      packets: (packets) =>
        packets.flatMap((packet, index) => (index === 20 ? new Array(count).fill(packet) : [packet])),
    });
    const checks = (count: number) =>
      analyseSegment(new TransportWriter(0).writeSegment(copies(count))).problems.map(
        (problem) => problem.check,
      );
    expect(checks(2)).not.toContain('M3');
    expect(checks(3)).toContain('M3');
  });

  it('survives anything', () => {
    const whole = new TransportWriter(900_000).writeSegment({});
    expect(() => analyseSegment(new Uint8Array())).not.toThrow();
    for (let seed = 1; seed <= 300; seed += 1) {
      const broken = Buffer.from(whole);
      for (let index = 0; index < 60; index += 1)
        broken[(seed * 7919 + index * 104_729) % broken.length] = seed * index;
      expect(() => analyseSegment(broken)).not.toThrow();
    }
  });

  it('counts timestamps across the wrap', () => {
    expect(timestampDifference(5, 2 ** 33 - 5)).toBe(10);
    expect(timestampDifference(2 ** 33 - 5, 5)).toBe(-10);
    expect(unwrapTimestamp(5, 2 ** 33 - 5)).toBe(2 ** 33 + 5);
  });

  it('knows the checksum of the published test vectors', () => {
    expect(sectionCrc(Buffer.from('123456789'))).toBe(0x0376e6e7);
    expect(sectionCrc(Buffer.from('00b00d0001c100000001f000', 'hex'))).toBe(0x2ab104b2);
  });
});

describe('slips inside one segment', () => {
  const isStartOf = (pid: number) => (packet: Buffer) =>
    packet.readUInt16BE(1) % 0x2000 === pid && ((packet[1] ?? 0) & 0x40) !== 0;
  /** Edits the first PES packet of a PID from the start of its payload. */
  const editPes = (pid: number, edit: (payload: Buffer) => void) => (packets: Buffer[]) => {
    const packet = packets.find(isStartOf(pid));
    if (packet) edit(packet.subarray((packet[3] ?? 0) & 0x20 ? 5 + (packet[4] ?? 0) : 4));
    return packets;
  };
  /** A second table packet with the next counter, its section edited and signed again. */
  const laterTable = (index: number, edit: (section: Buffer) => void) => (packets: Buffer[]) => {
    const copy = Buffer.from(packets[index] ?? []);
    copy[3] = 0x11;
    const length = 3 + (copy.readUInt16BE(6) & 0xfff);
    const section = copy.subarray(5, 5 + length);
    edit(section);
    section.writeUInt32BE(sectionCrc(section.subarray(0, -4)), length - 4);
    return [...packets, copy];
  };
  const editByte = (index: number, offset: number, change: (byte: number) => number) =>
    editPacket(index, (packet) => packet.writeUInt8(change(packet[offset] ?? 0), offset));
  const with44100 = (payload: Buffer) => {
    const copy = Buffer.from(payload);
    copy[2] = 0x50;
    return copy;
  };

  const slips: [string, string[], SegmentOptions][] = [
    ['is empty', ['M1', 'M2'], { packets: () => [] }],
    ['is marked as scrambled', ['M1'], { packets: editByte(20, 3, (byte) => byte | 0x80) }],
    ['has no content', ['M1'], { packets: (packets) => [...packets, extraPacket([0x47, 0x1f, 0xff, 0])] }],
    [
      'has an adaptation field of 100',
      ['M1'],
      { packets: (packets) => [...packets, extraPacket([0x47, 0x1f, 0xff, 0x20, 100])] },
    ],
    ['does not begin a section', ['M2'], { packets: editByte(0, 1, (byte) => byte & 0xbf) }],
    ['has table id', ['M2'], { packets: editByte(0, 5, () => 0x42) }],
    ['its packet has', ['M2'], { packets: editByte(0, 7, () => 0xff) }],
    ['the PMT changes', ['M2'], { packets: laterTable(1, (section) => section.writeUInt8(0xc3, 5)) }],
    ['the PAT changes', ['M2'], { packets: laterTable(0, (section) => section.writeUInt8(0x02, 11)) }],
    [
      'begins inside a PES packet',
      ['M5'],
      {
        packets: ([pat, pmt, ...rest]) =>
          [pat, pmt, extraPacket([0x47, 1, 1, 0x1f]), ...rest].filter((packet) => packet !== undefined),
      },
    ],
    [
      'start with its start code',
      ['M5'],
      { packets: editPes(audioPid, (payload) => payload.writeUInt8(2, 2)) },
    ],
    ['no usable timestamps', ['M5'], { packets: editPes(audioPid, (payload) => payload.writeUInt8(0, 7)) }],
    ['wrong marker bits', ['M5'], { packets: editPes(audioPid, (payload) => payload.writeUInt8(0x20, 9)) }],
    [
      'announces video',
      ['M4', 'M8'],
      { packets: (packets) => packets.filter((packet) => packet.readUInt16BE(1) % 0x2000 !== videoPid) },
    ],
    [
      'begin with a start code',
      ['M6'],
      { packets: editPes(videoPid, (payload) => payload.writeUInt8(7, 19)) },
    ],
    ['has three bytes', ['M6'], { packets: editPes(videoPid, (payload) => payload.writeUInt8(7, 19)) }],
    ['empty or broken NAL', ['M6'], { nals: (nals) => [...nals, Buffer.from([0x81, 1])] }],
    [
      'an SPS cannot be read',
      ['M6'],
      { nals: (nals) => nals.map((nal) => (nal[0] === 0x67 ? nal.subarray(0, 5) : nal)) },
    ],
    [
      'the SPS changes',
      ['M11'],
      {
        nals: (nals, frame) =>
          frame === 0 ? [...nals.slice(0, 2), makeSequenceParameters(100), ...nals.slice(2)] : nals,
      },
    ],
    ['sample rate or channels change', ['M11'], { audioBytes: with44100 }],
  ];
  for (const [message, checks, options] of slips) {
    it(`${checks}: ${message}`, () => {
      const { problems } = analyseSegment(new TransportWriter(900_000).writeSegment(options));
      expect([...new Set(problems.map((problem) => problem.check))].toSorted()).toEqual(checks);
      expect(problems.map((problem) => problem.message).join('\n')).toContain(message);
    });
  }
});
