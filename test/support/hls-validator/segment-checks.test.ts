import { at, describeBreaks } from './synthetic-stream.ts';
import {
  aac,
  audioPid,
  editPacket,
  extraPacket,
  mono,
  nullPacket,
  videoPid,
  withCrc,
} from './synthetic-ts.ts';

describeBreaks('transport stream', [
  {
    name: 'jump of video alone',
    finds: 'M9',
    segment: (step) => ({ audio: undefined, jumpTicks: step === 4 ? 900_000 : 0 }),
    multivariant: (text) => text.replace(',mp4a.40.2', ''),
  },
  {
    name: 'channels change without discontinuity',
    finds: 'M11',
    segment: (step) => ({ audio: step < 4 ? aac : { ...aac, frame: mono } }),
  },
  {
    name: 'no multiple of 188',
    finds: 'M1',
    segment: at(3, { packets: (packets) => [...packets, Buffer.alloc(10)] }),
  },
  {
    name: 'no sync byte',
    finds: 'M1',
    segment: at(3, { packets: (packets) => [...packets, extraPacket([0x48, 0x1f, 0xff, 0x10])] }),
  },
  {
    name: 'transport error flag',
    finds: 'M1',
    segment: at(3, { packets: editPacket(20, (packet) => packet.writeUInt8((packet[1] ?? 0) | 0x80, 1)) }),
  },
  {
    name: 'wrong PAT CRC',
    finds: 'M2',
    segment: at(3, { packets: editPacket(0, (packet) => packet.writeUInt8(0x11, 18)) }),
  },
  {
    name: 'wrong PMT CRC',
    finds: 'M2',
    segment: at(3, { packets: editPacket(1, (packet) => packet.writeUInt8(0x11, 8)) }),
  },
  {
    name: 'PAT not first',
    finds: 'M2',
    segment: at(3, { packets: (packets) => [nullPacket(), ...packets] }),
  },
  {
    name: 'PMT not second',
    finds: 'M2',
    segment: at(3, { packets: ([pat, ...rest]) => [...(pat ? [pat] : []), nullPacket(), ...rest] }),
  },
  {
    name: 'counter skips inside',
    finds: 'M3',
    segment: at(3, {
      packets: (packets) =>
        packets.map((packet, index) => (index < packets.length - 30 ? packet : bumpCounter(packet))),
    }),
  },
  { name: 'counter skips between segments', finds: 'M3', segment: at(3, { skipCounterOf: audioPid }) },
  { name: 'counters restart with each segment', finds: 'M3', segment: () => ({ resetCounters: true }) },
  { name: 'PCR interval', finds: 'M4', segment: at(3, { pcrEvery: 4 }) },
  { name: 'PCR interval to the next segment', finds: 'M4', segment: at(3, { pcrStopsAt: 47 }) },
  { name: 'PCR after DTS', finds: 'M4', segment: () => ({ pcrLeadTicks: -9000 }) },
  { name: 'PCR far before DTS', finds: 'M4', segment: () => ({ pcrLeadTicks: 1_000_000 }) },
  { name: 'no PCR', finds: 'M4', segment: () => ({ pcrStopsAt: 0 }) },
  {
    name: 'DTS goes back',
    finds: 'M5',
    segment: at(3, { dts: (dts, frame) => (frame === 21 ? dts - 5000 : dts) }),
  },
  {
    name: 'PTS before DTS',
    finds: 'M5',
    segment: at(3, { pts: (pts, frame) => (frame === 21 ? pts - 9000 : pts) }),
  },
  { name: 'audio PES without length', finds: 'M5', segment: at(3, { audioPesLength: () => 0 }) },
  {
    name: 'audio PES with a wrong length',
    finds: 'M5',
    segment: at(3, { audioPesLength: (length) => length - 1 }),
  },
  { name: 'no AUD', finds: 'M6', segment: at(3, { nals: (nals) => nals.slice(1) }) },
  {
    name: 'no AUD on one picture',
    finds: 'M6',
    segment: at(3, { nals: (nals, frame) => (frame === 9 ? nals.slice(1) : nals) }),
  },
  { name: 'no SPS', finds: 'M6', segment: at(3, { nals: (nals) => nals.filter((nal) => nal[0] !== 0x67) }) },
  { name: 'no PPS', finds: 'M6', segment: at(3, { nals: (nals) => nals.filter((nal) => nal[0] !== 0x68) }) },
  {
    name: 'PPS before SPS',
    finds: 'M6',
    segment: at(3, {
      nals: ([aud, sps, pps, ...rest], frame) =>
        [aud, ...(frame === 0 ? [pps, sps] : [sps, pps]), ...rest].filter((nal) => nal !== undefined),
    }),
  },
  {
    name: 'two access units in a PES',
    finds: 'M6',
    segment: at(3, { nals: (nals, frame) => (frame === 9 ? [...nals, ...nals] : nals) }),
  },
  {
    name: 'picture without slice',
    finds: 'M6',
    segment: at(3, { nals: (nals, frame) => (frame === 9 ? nals.slice(0, 1) : nals) }),
  },
  { name: 'no random access indicator', finds: 'M6', segment: at(3, { markRandomAccess: false }) },
  {
    name: 'first segment not IDR although independence is not declared',
    finds: 'M6',
    segment: at(0, { keyframe: false }),
    multivariant: (text) => text.replace('#EXT-X-INDEPENDENT-SEGMENTS\n', ''),
  },
  {
    name: 'not IDR after a discontinuity',
    finds: 'M6',
    segment: at(4, { keyframe: false, discontinuity: true }),
    multivariant: (text) => text.replace('#EXT-X-INDEPENDENT-SEGMENTS\n', ''),
  },
  {
    name: 'two programs',
    finds: 'M7',
    segment: at(3, { pat: () => withCrc(Buffer.from('00b0110001c100000001f0000002f002', 'hex')) }),
  },
  {
    name: 'PID that is not listed',
    finds: 'M7',
    segment: at(3, { packets: (packets) => [...packets, extraPacket([0x47, 0x03, 0x33, 0x10])] }),
  },
  { name: 'audio starts late', finds: 'M8', segment: () => ({ audioShiftTicks: 60_000 }) },
  {
    name: 'announced audio is missing',
    finds: 'M8',
    segment: at(3, {
      packets: (packets) => packets.filter((packet) => packet.readUInt16BE(1) % 0x2000 !== audioPid),
    }),
  },
  { name: 'jump forward without discontinuity', finds: 'M9', segment: at(4, { jumpTicks: 900_000 }) },
  { name: 'jump back without discontinuity', finds: 'M9', segment: at(4, { jumpTicks: -600_000 }) },
  { name: 'audio lost at the end', finds: 'M9', segment: at(4, { dropAudioGroup: 'last' }) },
  { name: 'audio lost in the middle', finds: 'M9', segment: at(4, { dropAudioGroup: 'middle' }) },
  {
    name: 'audio without frame header',
    finds: 'M10',
    segment: at(4, { audioBytes: (payload) => Buffer.concat([payload, Buffer.from([0])]) }),
  },
  {
    name: 'audio frame cut short',
    finds: 'M10',
    segment: () => ({ audioBytes: (payload) => Buffer.concat([payload, aac.frame.subarray(0, 20)]) }),
  },
  {
    name: 'SPS changes without discontinuity',
    finds: 'M11',
    segment: (step) => ({ timeScale: step < 4 ? 50 : 100 }),
  },
  {
    name: 'audio disappears without discontinuity',
    finds: ['M11', 'V1'],
    segment: (step) => ({ audio: step < 4 ? aac : undefined }),
  },
]);

function bumpCounter(packet: Buffer): Buffer {
  const isVideo = packet.readUInt16BE(1) % 0x2000 === videoPid;
  const copy = Buffer.from(packet);
  if (isVideo) copy[3] = ((packet[3] ?? 0) & 0xf0) | (((packet[3] ?? 0) + 1) & 15);
  return copy;
}
