import type { Problem } from './report.ts';
import { ProblemList } from './report.ts';

// Analyses one MPEG-TS segment without knowing who wrote it. It reports what is wrong inside the segment and
// returns the facts (counters, timestamps, codecs) that only mean something next to the neighbouring segment.

const packetSize = 188;
const clockWrap = 2 ** 33;
export const clockRate = 90_000;
const pcrRate = 27_000_000;
/** ISO/IEC 13818-1: program clock references at most 100 ms apart. */
export const maximumPcrInterval = 0.1;
/** ISO/IEC 13818-1 allows data of MPEG-4 family codecs to wait 10 s in the buffer; a longer wait is a wrong clock. */
const maximumDecoderDelay = 10;

/** Shortest signed distance between two 33-bit timestamps, in 90 kHz ticks. */
export function timestampDifference(later: number, earlier: number): number {
  const distance = (((later - earlier) % clockWrap) + clockWrap) % clockWrap;
  return distance >= clockWrap / 2 ? distance - clockWrap : distance;
}

/** The 33-bit value placed on the endless line around `reference`. */
export function unwrapTimestamp(value: number, reference: number): number {
  return reference + timestampDifference(value, reference);
}

export type PidCounter = { first: number; last: number };

export type PesPacket = {
  pid: number;
  streamId: number;
  declaredLength: number;
  /** Unwrapped against the first timestamp of the segment. */
  pts: number;
  dts: number;
  payload: Uint8Array;
  headerBytes: number;
  firstPacket: number;
  lastPacket: number;
  randomAccess: boolean;
};

export type SequenceParameters = {
  profile: number;
  constraints: number;
  level: number;
  width: number;
  height: number;
  framesPerSecond: number | undefined;
};

export type AccessUnit = {
  pts: number;
  dts: number;
  nalTypes: number[];
  keyframe: boolean;
};

export type VideoFacts = {
  pid: number;
  streamType: number;
  units: AccessUnit[];
  sequence: SequenceParameters | undefined;
  sequenceHex: string | undefined;
  codec: string | undefined;
  hasCaptions: boolean;
  /** Typical distance between two frames in ticks; undefined with fewer than two frames. */
  frameDuration: number | undefined;
  longestFrame: number | undefined;
  framesPerSecond: number | undefined;
};

export type AudioFacts = {
  pid: number;
  streamType: number;
  packets: { pts: number; frames: number }[];
  codec: string | undefined;
  objectType: number | undefined;
  sampleRate: number | undefined;
  channels: number | undefined;
  samplesPerFrame: number | undefined;
  /** In ticks, not rounded. */
  frameDuration: number | undefined;
};

export type Overhead = {
  totalBytes: number;
  elementaryBytes: number;
  packetHeaderBytes: number;
  adaptationBytes: number;
  tableBytes: number;
  pesHeaderBytes: number;
  /** Everything that is not elementary stream, relative to the elementary stream. */
  ratio: number;
};

export type TransportSegment = {
  problems: Problem[];
  packetCount: number;
  streams: { pid: number; streamType: number }[];
  pcrPid: number | undefined;
  counters: ReadonlyMap<number, PidCounter>;
  /** PIDs whose first packet carries the discontinuity indicator. */
  announcedDiscontinuity: ReadonlySet<number>;
  pcrs: { seconds: number; packet: number }[];
  pes: PesPacket[];
  video: VideoFacts | undefined;
  audio: AudioFacts | undefined;
  overhead: Overhead;
};

const videoStreamTypes: ReadonlySet<number> = new Set([0x01, 0x02, 0x1b, 0x24, 0x33]);
const audioStreamTypes: ReadonlySet<number> = new Set([0x03, 0x04, 0x0f, 0x11, 0x81, 0x87]);
/** PAT, CAT, TSDT, the DVB tables and the null packets may appear without being listed in the PMT. */
const tablePids: ReadonlySet<number> = new Set([0, 1, 2, 0x10, 0x11, 0x12, 0x13, 0x14, 0x1fff]);

type Packet = {
  index: number;
  pid: number;
  start: boolean;
  counter: number;
  payload: Uint8Array | undefined;
  bytes: Uint8Array;
  randomAccess: boolean;
  discontinuity: boolean;
  adaptationBytes: number;
  pcr: number | undefined;
};

type Tables = {
  pmtPid: number | undefined;
  pcrPid: number | undefined;
  streams: { pid: number; streamType: number }[];
};

export function analyseSegment(bytes: Uint8Array): TransportSegment {
  const problems = new ProblemList();
  const packets = readPackets(bytes, problems);
  const tables = readTables(packets, problems);
  const continuity = checkCounters(packets, problems);
  const pes = readPes(packets, tables, problems);
  const pcrs = readPcrs(packets, tables.pcrPid, pes, problems);
  checkClock(pcrs, pes, problems);
  checkTimestamps(pes, problems);
  const video = analyseVideo(tables, pes, problems);
  const audio = analyseAudio(tables, pes, problems);
  checkSkew(video, audio, problems);
  return {
    problems: problems.all,
    packetCount: packets.length,
    streams: tables.streams,
    pcrPid: tables.pcrPid,
    counters: continuity.counters,
    announcedDiscontinuity: continuity.announced,
    pcrs,
    pes,
    video,
    audio,
    overhead: measureOverhead(bytes.length, packets, tables, pes),
  };
}

function readPackets(bytes: Uint8Array, problems: ProblemList): Packet[] {
  if (bytes.length === 0) problems.error('M1', 'the segment is empty');
  if (bytes.length % packetSize !== 0) {
    problems.error('M1', `${bytes.length} bytes are not a multiple of ${packetSize}`);
  }
  const packets: Packet[] = [];
  for (let index = 0; (index + 1) * packetSize <= bytes.length; index += 1) {
    const packet = readPacket(bytes.subarray(index * packetSize, (index + 1) * packetSize), index, problems);
    if (packet) packets.push(packet);
  }
  return packets;
}

function readPacket(bytes: Uint8Array, index: number, problems: ProblemList): Packet | undefined {
  const [sync = 0, second = 0, third = 0, control = 0, adaptationLength = 0, flags = 0] = bytes;
  if (sync !== 0x47) {
    problems.error('M1', `packet ${index} does not start with the sync byte`, 'sync');
    return undefined;
  }
  if (second & 0x80) problems.error('M1', `packet ${index} has the transport error flag`, 'transport error');
  if (control & 0xc0) problems.error('M1', `packet ${index} is marked as scrambled`, 'scrambled');
  const hasPayload = (control & 0x10) !== 0;
  const hasAdaptation = (control & 0x20) !== 0;
  if (!hasPayload && !hasAdaptation) problems.error('M1', `packet ${index} has no content`, 'no content');
  if (hasAdaptation && (hasPayload ? adaptationLength > 182 : adaptationLength !== 183)) {
    problems.error(
      'M1',
      `packet ${index} has an adaptation field of ${adaptationLength} bytes`,
      'adaptation',
    );
  }
  const adaptationBytes = hasAdaptation ? Math.min(1 + adaptationLength, packetSize - 4) : 0;
  const adaptationFlags = adaptationBytes > 1 ? flags : 0;
  return {
    index,
    bytes,
    pid: ((second & 0x1f) << 8) | third,
    start: (second & 0x40) !== 0,
    counter: control & 0x0f,
    payload: hasPayload ? bytes.subarray(4 + adaptationBytes) : undefined,
    discontinuity: (adaptationFlags & 0x80) !== 0,
    randomAccess: (adaptationFlags & 0x40) !== 0,
    adaptationBytes,
    pcr: adaptationFlags & 0x10 && adaptationBytes >= 8 ? readPcr(bytes) : undefined,
  };
}

function readPcr(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tail = view.getUint16(10);
  const base = view.getUint32(6) * 2 + (tail >>> 15);
  return base * 300 + (tail & 0x1ff);
}

/** CRC-32/MPEG-2; over a section including its own CRC the result is zero. */
export function sectionCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}

function readSection(
  packet: Packet,
  name: string,
  tableId: number,
  problems: ProblemList,
): Uint8Array | undefined {
  const payload = packet.payload;
  if (!payload || !packet.start) {
    problems.error('M2', `${name} in packet ${packet.index} does not begin a section`, `${name} start`);
    return undefined;
  }
  const section = payload.subarray(1 + (payload[0] ?? 0));
  if (section[0] !== tableId) {
    problems.error('M2', `${name} has table id ${section[0]}, not ${tableId}`);
    return undefined;
  }
  const length = 3 + ((((section[1] ?? 0) & 0x0f) << 8) | (section[2] ?? 0));
  if (length > section.length || length < 12) {
    problems.error('M2', `${name} declares ${length} bytes, its packet has ${section.length}`);
    return undefined;
  }
  const whole = section.subarray(0, length);
  if (sectionCrc(whole) !== 0) {
    problems.error('M2', `${name} in packet ${packet.index} has a wrong CRC`, `${name} CRC`);
    return undefined;
  }
  return whole;
}

function readTables(packets: Packet[], problems: ProblemList): Tables {
  const tables: Tables = { pmtPid: undefined, pcrPid: undefined, streams: [] };
  if (packets[0]?.pid !== 0) problems.error('M2', 'the first packet is not a PAT');
  let pmtText: string | undefined;
  for (const packet of packets) {
    if (packet.pid === 0) readPat(packet, tables, problems);
    if (packet.pid !== tables.pmtPid) continue;
    const section = readSection(packet, 'PMT', 2, problems);
    if (!section) continue;
    const text = Buffer.from(section).toString('hex');
    if (pmtText !== undefined && pmtText !== text) problems.error('M2', 'the PMT changes inside the segment');
    pmtText = text;
    readPmt(section, tables);
  }
  if (tables.pmtPid === undefined) problems.error('M2', 'the segment has no readable PAT');
  else if (packets[1]?.pid !== tables.pmtPid) problems.error('M2', 'the second packet is not the PMT');
  else if (pmtText === undefined) problems.error('M2', 'the segment has no readable PMT');
  checkPids(packets, tables, problems);
  return tables;
}

function readPat(packet: Packet, tables: Tables, problems: ProblemList): void {
  const section = readSection(packet, 'PAT', 0, problems);
  if (!section) return;
  const programs: number[] = [];
  for (let position = 8; position + 4 <= section.length - 4; position += 4) {
    const program = ((section[position] ?? 0) << 8) | (section[position + 1] ?? 0);
    const pid = (((section[position + 2] ?? 0) & 0x1f) << 8) | (section[position + 3] ?? 0);
    if (program !== 0) programs.push(pid);
  }
  if (programs.length !== 1) problems.error('M7', `the PAT lists ${programs.length} programs, not one`);
  const pid = programs[0];
  if (tables.pmtPid !== undefined && pid !== tables.pmtPid) {
    problems.error('M2', 'the PAT changes inside the segment');
  }
  tables.pmtPid ??= pid;
}

function readPmt(section: Uint8Array, tables: Tables): void {
  tables.pcrPid = (((section[8] ?? 0) & 0x1f) << 8) | (section[9] ?? 0);
  tables.streams = [];
  let position = 12 + ((((section[10] ?? 0) & 0x0f) << 8) | (section[11] ?? 0));
  while (position + 5 <= section.length - 4) {
    const pid = (((section[position + 1] ?? 0) & 0x1f) << 8) | (section[position + 2] ?? 0);
    tables.streams.push({ pid, streamType: section[position] ?? 0 });
    position += 5 + ((((section[position + 3] ?? 0) & 0x0f) << 8) | (section[position + 4] ?? 0));
  }
}

function checkPids(packets: Packet[], tables: Tables, problems: ProblemList): void {
  if (tables.streams.length === 0) return;
  const listed = new Set([tables.pmtPid, tables.pcrPid, ...tables.streams.map((stream) => stream.pid)]);
  for (const { pid } of packets) {
    if (!listed.has(pid) && !tablePids.has(pid)) {
      problems.error('M7', `PID ${pid} is used but not listed in the PMT`, `PID ${pid}`);
    }
  }
}

function checkCounters(packets: Packet[], problems: ProblemList) {
  const counters = new Map<number, PidCounter>();
  const announced = new Set<number>();
  const previousPackets = new Map<number, Packet>();
  const repeated = new Set<number>();
  for (const packet of packets) {
    if (packet.pid === 0x1fff || !packet.payload) continue;
    const { pid, counter } = packet;
    const seen = counters.get(pid);
    const previous = previousPackets.get(pid);
    if (!seen || !previous) {
      counters.set(pid, { first: counter, last: counter });
      if (packet.discontinuity) announced.add(pid);
    } else {
      // A packet may be sent twice, unchanged, with the same counter; a third copy or a changed one is a loss.
      const duplicate =
        counter === seen.last && !repeated.has(pid) && Buffer.compare(packet.bytes, previous.bytes) === 0;
      if (duplicate) repeated.add(pid);
      else repeated.delete(pid);
      if (!duplicate && counter !== ((seen.last + 1) & 0x0f) && !packet.discontinuity) {
        problems.error(
          'M3',
          `PID ${pid}: counter ${seen.last} is followed by ${counter} in packet ${packet.index}`,
          `counter of PID ${pid}`,
        );
      }
      seen.last = counter;
    }
    previousPackets.set(pid, packet);
  }
  return { counters, announced };
}

type OpenPes = { chunks: Uint8Array[]; firstPacket: number; lastPacket: number; randomAccess: boolean };

function readPes(packets: Packet[], tables: Tables, problems: ProblemList): PesPacket[] {
  const open = new Map<number, OpenPes>();
  const done: { pid: number; pes: OpenPes }[] = [];
  const pids = new Set(tables.streams.map((stream) => stream.pid));
  for (const packet of packets) {
    if (!packet.payload || !pids.has(packet.pid)) continue;
    const current = open.get(packet.pid);
    if (packet.start) {
      const pes = {
        chunks: [packet.payload],
        firstPacket: packet.index,
        lastPacket: packet.index,
        randomAccess: packet.randomAccess,
      };
      open.set(packet.pid, pes);
      done.push({ pid: packet.pid, pes });
    } else if (current) {
      current.chunks.push(packet.payload);
      current.lastPacket = packet.index;
    } else {
      problems.error(
        'M5',
        `PID ${packet.pid}: the segment begins inside a PES packet`,
        `begin of ${packet.pid}`,
      );
    }
  }
  const result: PesPacket[] = [];
  for (const { pid, pes } of done) {
    const parsed = parsePes(pid, pes, result[0]?.dts, tables, problems);
    if (parsed) result.push(parsed);
  }
  return result;
}

function parsePes(
  pid: number,
  pes: OpenPes,
  reference: number | undefined,
  tables: Tables,
  problems: ProblemList,
): PesPacket | undefined {
  const bytes = Buffer.concat(pes.chunks);
  const complain = (message: string) => problems.error('M5', `PID ${pid}: ${message}`);
  if (bytes.length < 14 || bytes.readUIntBE(0, 3) !== 1) {
    complain('a PES packet does not start with its start code');
    return undefined;
  }
  const declaredLength = bytes.readUInt16BE(4);
  const streamType = tables.streams.find((stream) => stream.pid === pid)?.streamType ?? 0;
  if (declaredLength === 0 && !videoStreamTypes.has(streamType)) complain('a PES packet has no length');
  if (declaredLength !== 0 && declaredLength !== bytes.length - 6) {
    complain(`a PES packet declares ${declaredLength} bytes and has ${bytes.length - 6}`);
  }
  const flags = (bytes[7] ?? 0) >> 6;
  const headerBytes = 9 + (bytes[8] ?? 0);
  const needed = flags === 3 ? 10 : 5;
  if (
    ((bytes[6] ?? 0) & 0xc0) !== 0x80 ||
    flags < 2 ||
    headerBytes < 9 + needed ||
    bytes.length < headerBytes
  ) {
    complain('a PES packet has no usable timestamps');
    return undefined;
  }
  const rawPts = readTimestamp(bytes, 9, flags);
  const rawDts = flags === 3 ? readTimestamp(bytes, 14, 1) : rawPts;
  if (rawPts === undefined || rawDts === undefined) {
    complain('a timestamp has wrong marker bits');
    return undefined;
  }
  const dts = reference === undefined ? rawDts : unwrapTimestamp(rawDts, reference);
  return {
    pid,
    streamId: bytes[3] ?? 0,
    declaredLength,
    dts,
    pts: unwrapTimestamp(rawPts, dts),
    payload: bytes.subarray(headerBytes),
    headerBytes,
    firstPacket: pes.firstPacket,
    lastPacket: pes.lastPacket,
    randomAccess: pes.randomAccess,
  };
}

function readTimestamp(bytes: Buffer, offset: number, prefix: number): number | undefined {
  const first = bytes[offset] ?? 0;
  const middle = bytes.readUInt16BE(offset + 1);
  const last = bytes.readUInt16BE(offset + 3);
  if (first >> 4 !== prefix || !(first & 1) || !(middle & 1) || !(last & 1)) return undefined;
  return ((first >> 1) & 7) * 2 ** 30 + (middle >> 1) * 2 ** 15 + (last >> 1);
}

function readPcrs(packets: Packet[], pcrPid: number | undefined, pes: PesPacket[], problems: ProblemList) {
  const pcrs: { seconds: number; packet: number }[] = [];
  const reference = pes[0]?.dts ?? 0;
  for (const packet of packets) {
    if (packet.pcr === undefined || packet.pid !== pcrPid) continue;
    // Same line as the timestamps, so that the two can be subtracted.
    const base = Math.floor(packet.pcr / 300);
    const unwrapped = unwrapTimestamp(base, reference) * 300 + (packet.pcr % 300);
    pcrs.push({ seconds: unwrapped / pcrRate, packet: packet.index });
  }
  const firstPcr = pcrs[0];
  if (pes.length > 0 && (!firstPcr || firstPcr.packet > (pes[0]?.firstPacket ?? 0))) {
    problems.error('M4', 'media data comes before the first PCR');
  }
  return pcrs;
}

function checkClock(pcrs: TransportSegment['pcrs'], pes: PesPacket[], problems: ProblemList): void {
  for (const [index, pcr] of pcrs.entries()) {
    const previous = pcrs[index - 1];
    if (!previous) continue;
    const interval = pcr.seconds - previous.seconds;
    if (interval <= 0) problems.error('M4', `PCR does not advance at packet ${pcr.packet}`, 'no advance');
    if (interval > maximumPcrInterval + 1e-6) {
      problems.error(
        'M4',
        `${(interval * 1000).toFixed(1)} ms between two PCRs at packet ${pcr.packet}`,
        'interval',
      );
    }
  }
  for (const packet of pes) {
    // The clock while the last byte of the packet arrives must not have passed its decoding time.
    const clock = pcrs.findLast((pcr) => pcr.packet <= packet.lastPacket);
    if (!clock) continue;
    const lead = packet.dts / clockRate - clock.seconds;
    if (lead < -1e-6) {
      problems.error(
        'M4',
        `PCR is ${(-lead * 1000).toFixed(1)} ms after the DTS of PID ${packet.pid}`,
        'PCR late',
      );
    }
    if (lead > maximumDecoderDelay) {
      problems.error('M4', `PCR is ${lead.toFixed(1)} s before the DTS of PID ${packet.pid}`, 'PCR early');
    }
  }
}

function checkTimestamps(pes: PesPacket[], problems: ProblemList): void {
  const previous = new Map<number, number>();
  for (const packet of pes) {
    const last = previous.get(packet.pid);
    if (last !== undefined && packet.dts <= last) {
      problems.error(
        'M5',
        `PID ${packet.pid}: DTS ${packet.dts} after ${last}`,
        `DTS order of ${packet.pid}`,
      );
    }
    if (packet.pts < packet.dts) {
      problems.error(
        'M5',
        `PID ${packet.pid}: PTS ${packet.pts} before DTS ${packet.dts}`,
        `PTS of ${packet.pid}`,
      );
    }
    previous.set(packet.pid, packet.dts);
  }
}

function checkSkew(
  video: VideoFacts | undefined,
  audio: AudioFacts | undefined,
  problems: ProblemList,
): void {
  if (!video || !audio) return;
  const firstVideo = video.units[0];
  const firstAudio = audio.packets[0];
  if (!firstVideo) problems.warning('M8', 'the PMT announces video, the segment has none');
  if (!firstAudio) problems.warning('M8', 'the PMT announces audio, the segment has none');
  if (!firstVideo || !firstAudio) return;
  const skew = (firstAudio.pts - firstVideo.pts) / clockRate;
  if (Math.abs(skew) >= 0.5) problems.error('M8', `audio starts ${skew.toFixed(3)} s after video`);
}

type Nal = { type: number; bytes: Uint8Array; startCodeLength: number };

export function splitNals(payload: Uint8Array): { nals: Nal[]; leadingBytes: number } {
  const starts: { begin: number; data: number }[] = [];
  for (let position = 0; position + 3 <= payload.length; position += 1) {
    if (payload[position] !== 0 || payload[position + 1] !== 0 || payload[position + 2] !== 1) continue;
    const begin = position > 0 && payload[position - 1] === 0 ? position - 1 : position;
    starts.push({ begin, data: position + 3 });
    position += 2;
  }
  const nals = starts.map(({ begin, data }, index) => {
    const bytes = payload.subarray(data, starts[index + 1]?.begin ?? payload.length);
    return { type: (bytes[0] ?? 0) & 0x1f, bytes, startCodeLength: data - begin };
  });
  return { nals, leadingBytes: starts[0]?.begin ?? payload.length };
}

function analyseVideo(tables: Tables, pes: PesPacket[], problems: ProblemList): VideoFacts | undefined {
  const stream = tables.streams.find(({ streamType }) => videoStreamTypes.has(streamType));
  if (!stream) return undefined;
  const facts: VideoFacts = {
    ...stream,
    units: [],
    sequence: undefined,
    sequenceHex: undefined,
    codec: undefined,
    hasCaptions: false,
    frameDuration: undefined,
    longestFrame: undefined,
    framesPerSecond: undefined,
  };
  for (const packet of pes) {
    if (packet.pid !== stream.pid) continue;
    if (stream.streamType === 0x1b) facts.units.push(readAccessUnit(packet, facts, problems));
    else facts.units.push({ pts: packet.pts, dts: packet.dts, nalTypes: [], keyframe: packet.randomAccess });
  }
  measureFrames(facts);
  return facts;
}

function readAccessUnit(packet: PesPacket, facts: VideoFacts, problems: ProblemList): AccessUnit {
  const { nals, leadingBytes } = splitNals(packet.payload);
  const nalTypes = nals.map((nal) => nal.type);
  const complain = (message: string) => problems.error('M6', message);
  if (leadingBytes > 0) complain('an access unit does not begin with a start code');
  if (nalTypes[0] !== 9) complain('an access unit does not begin with a delimiter (AUD)');
  if (nalTypes.filter((type) => type === 9).length > 1) complain('a PES packet holds several access units');
  if (nals[0]?.startCodeLength === 3) complain('the first start code of an access unit has three bytes');
  if (nals.some((nal) => nal.bytes.length === 0 || (nal.bytes[0] ?? 0) & 0x80))
    complain('an empty or broken NAL unit');
  const firstSlice = nalTypes.findIndex((type) => type >= 1 && type <= 5);
  if (firstSlice === -1) complain('an access unit has no slice');
  const keyframe = nalTypes.includes(5);
  if (keyframe) {
    const before = nalTypes.slice(0, firstSlice);
    const sequenceAt = before.indexOf(7);
    const pictureAt = before.indexOf(8);
    if (sequenceAt === -1) complain('an IDR picture has no SPS before it');
    if (pictureAt === -1) complain('an IDR picture has no PPS before it');
    if (sequenceAt !== -1 && pictureAt !== -1 && pictureAt < sequenceAt)
      complain('a PPS comes before its SPS');
    if (!packet.randomAccess) problems.warning('M6', 'an IDR picture lacks the random access indicator');
  }
  for (const nal of nals) {
    if (nal.type === 7) readSequence(nal.bytes, facts, problems);
    if (nal.type === 6 && Buffer.from(nal.bytes).includes(captionMarker)) facts.hasCaptions = true;
  }
  return { pts: packet.pts, dts: packet.dts, nalTypes, keyframe };
}

/** ITU-T T.35 United States, ATSC provider, user identifier GA94, caption data. */
const captionMarker = Buffer.from([0xb5, 0x00, 0x31, 0x47, 0x41, 0x39, 0x34, 0x03]);

function readSequence(bytes: Uint8Array, facts: VideoFacts, problems: ProblemList): void {
  const hex = Buffer.from(bytes).toString('hex');
  if (facts.sequenceHex === hex) return;
  if (facts.sequenceHex !== undefined) problems.error('M11', 'the SPS changes inside the segment');
  facts.sequenceHex = hex;
  facts.codec = `avc1.${hex.slice(2, 8)}`;
  facts.sequence = parseSequenceParameters(bytes);
  if (!facts.sequence) problems.error('M6', 'an SPS cannot be read');
}

function measureFrames(facts: VideoFacts): void {
  const distances = facts.units
    .slice(1)
    .map((unit, index) => unit.dts - (facts.units[index]?.dts ?? unit.dts));
  if (distances.length === 0) return;
  const median = distances.toSorted((a, b) => a - b)[distances.length >> 1] ?? 0;
  // RTMP time is in milliseconds, so single distances jitter; frames lost by the publisher must not count.
  const regular = distances.filter((distance) => Math.abs(distance - median) <= median / 4);
  const mean = regular.reduce((sum, distance) => sum + distance, 0) / regular.length;
  facts.frameDuration = mean;
  facts.longestFrame = Math.max(...distances);
  facts.framesPerSecond = mean > 0 ? clockRate / mean : undefined;
}

class BitReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get exhausted(): boolean {
    return this.#position > this.#bytes.length * 8;
  }

  bits(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      const byte = this.#bytes[this.#position >> 3] ?? 0;
      value = value * 2 + ((byte >> (7 - (this.#position & 7))) & 1);
      this.#position += 1;
    }
    return value;
  }

  unsigned(): number {
    let zeros = 0;
    while (zeros < 32 && this.bits(1) === 0) zeros += 1;
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  signed(): number {
    const code = this.unsigned();
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2;
  }
}

function removeEmulation(bytes: Uint8Array): Uint8Array {
  const result: number[] = [];
  let zeros = 0;
  for (const byte of bytes) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    result.push(byte);
  }
  return Uint8Array.from(result);
}

const profilesWithChroma: ReadonlySet<number> = new Set([
  100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135,
]);

export function parseSequenceParameters(nal: Uint8Array): SequenceParameters | undefined {
  const reader = new BitReader(removeEmulation(nal.subarray(1)));
  const profile = reader.bits(8);
  const constraints = reader.bits(8);
  const level = reader.bits(8);
  reader.unsigned();
  const chroma = profilesWithChroma.has(profile) ? readChroma(reader) : 1;
  reader.unsigned();
  skipPictureOrder(reader);
  reader.unsigned();
  reader.bits(1);
  const widthInBlocks = reader.unsigned() + 1;
  const heightInUnits = reader.unsigned() + 1;
  const framesOnly = reader.bits(1);
  if (!framesOnly) reader.bits(1);
  reader.bits(1);
  const crop = reader.bits(1)
    ? { left: reader.unsigned(), right: reader.unsigned(), top: reader.unsigned(), bottom: reader.unsigned() }
    : { left: 0, right: 0, top: 0, bottom: 0 };
  const cropWidth = chroma === 1 || chroma === 2 ? 2 : 1;
  const cropHeight = (chroma === 1 ? 2 : 1) * (2 - framesOnly);
  const framesPerSecond = reader.bits(1) ? readUsability(reader) : undefined;
  if (reader.exhausted) return undefined;
  return {
    profile,
    constraints,
    level,
    width: widthInBlocks * 16 - cropWidth * (crop.left + crop.right),
    height: heightInUnits * 16 * (2 - framesOnly) - cropHeight * (crop.top + crop.bottom),
    framesPerSecond,
  };
}

/** Returns the chroma array type: 0 when the colour planes are coded apart. */
function readChroma(reader: BitReader): number {
  const chroma = reader.unsigned();
  const separate = chroma === 3 ? reader.bits(1) : 0;
  reader.unsigned();
  reader.unsigned();
  reader.bits(1);
  if (reader.bits(1)) {
    for (let index = 0; index < (chroma === 3 ? 12 : 8); index += 1) {
      if (reader.bits(1)) skipScalingList(reader, index < 6 ? 16 : 64);
    }
  }
  return separate ? 0 : chroma;
}

function skipScalingList(reader: BitReader, size: number): void {
  let last = 8;
  let next = 8;
  for (let index = 0; index < size; index += 1) {
    if (next !== 0) next = (last + reader.signed() + 256) % 256;
    if (next !== 0) last = next;
  }
}

function skipPictureOrder(reader: BitReader): void {
  const type = reader.unsigned();
  if (type === 0) reader.unsigned();
  if (type !== 1) return;
  reader.bits(1);
  reader.signed();
  reader.signed();
  const cycle = Math.min(reader.unsigned(), 255);
  for (let index = 0; index < cycle; index += 1) reader.signed();
}

/** Reads the usability information as far as the timing and returns the frame rate. */
function readUsability(reader: BitReader): number | undefined {
  if (reader.bits(1) && reader.bits(8) === 255) reader.bits(32);
  if (reader.bits(1)) reader.bits(1);
  if (reader.bits(1)) {
    reader.bits(4);
    if (reader.bits(1)) reader.bits(24);
  }
  if (reader.bits(1)) {
    reader.unsigned();
    reader.unsigned();
  }
  if (!reader.bits(1)) return undefined;
  const unitsInTick = reader.bits(32);
  const timeScale = reader.bits(32);
  return unitsInTick > 0 ? timeScale / (2 * unitsInTick) : undefined;
}

type AudioFrame = {
  length: number;
  samples: number;
  sampleRate: number;
  channels: number;
  codec: string;
  objectType: number | undefined;
};

const aacRates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

function readAdtsFrame(bytes: Uint8Array): AudioFrame | undefined {
  const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0, seventh = 0] = bytes;
  if (bytes.length < 7 || first !== 0xff || (second & 0xf6) !== 0xf0) return undefined;
  const sampleRate = aacRates[(third >> 2) & 0x0f];
  const length = ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5);
  const headerLength = second & 1 ? 7 : 9;
  if (sampleRate === undefined || length <= headerLength) return undefined;
  const configuration = ((third & 1) << 2) | (fourth >> 6);
  const objectType = (third >> 6) + 1;
  return {
    length,
    sampleRate,
    objectType,
    codec: `mp4a.40.${objectType}`,
    channels: configuration === 7 ? 8 : configuration,
    samples: 1024 * ((seventh & 3) + 1),
  };
}

const mpegBitRates: Readonly<Record<string, readonly number[]>> = {
  '1-1': [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  '1-2': [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  '1-3': [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  '2-1': [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  '2-2': [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  '2-3': [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};

function readMpegFrame(bytes: Uint8Array): AudioFrame | undefined {
  const [first = 0, second = 0, third = 0, fourth = 0] = bytes;
  if (bytes.length < 4 || first !== 0xff || (second & 0xe0) !== 0xe0) return undefined;
  const versionBits = (second >> 3) & 3;
  const layer = 4 - ((second >> 1) & 3);
  if (versionBits === 1 || layer === 4) return undefined;
  const isVersion1 = versionBits === 3;
  const baseRate = [44100, 48000, 32000][(third >> 2) & 3];
  const bitRate = mpegBitRates[`${isVersion1 ? 1 : 2}-${layer}`]?.[third >> 4];
  if (baseRate === undefined || bitRate === undefined || bitRate === 0) return undefined;
  const sampleRate = baseRate / (isVersion1 ? 1 : versionBits === 2 ? 2 : 4);
  const padding = (third >> 1) & 1;
  const samples = layer === 1 ? 384 : layer === 3 && !isVersion1 ? 576 : 1152;
  const slot = layer === 1 ? 4 : 1;
  const length = (Math.floor((samples / 8 / slot) * ((bitRate * 1000) / sampleRate)) + padding) * slot;
  return {
    length,
    samples,
    sampleRate,
    channels: fourth >> 6 === 3 ? 1 : 2,
    codec: 'mp4a.40.34',
    objectType: undefined,
  };
}

function analyseAudio(tables: Tables, pes: PesPacket[], problems: ProblemList): AudioFacts | undefined {
  const stream = tables.streams.find(({ streamType }) => audioStreamTypes.has(streamType));
  if (!stream) return undefined;
  const facts: AudioFacts = {
    ...stream,
    packets: [],
    codec: undefined,
    objectType: undefined,
    sampleRate: undefined,
    channels: undefined,
    samplesPerFrame: undefined,
    frameDuration: undefined,
  };
  const isMpeg = stream.streamType === 0x03 || stream.streamType === 0x04;
  const reader = stream.streamType === 0x0f ? readAdtsFrame : isMpeg ? readMpegFrame : undefined;
  for (const packet of pes) {
    if (packet.pid !== stream.pid) continue;
    const frames = reader ? readAudioFrames(packet.payload, reader, facts, problems) : 0;
    facts.packets.push({ pts: packet.pts, frames });
  }
  checkAudioLine(facts, problems);
  return facts;
}

function readAudioFrames(
  payload: Uint8Array,
  reader: (bytes: Uint8Array) => AudioFrame | undefined,
  facts: AudioFacts,
  problems: ProblemList,
): number {
  let frames = 0;
  let position = 0;
  while (position < payload.length) {
    const frame = reader(payload.subarray(position));
    if (!frame) {
      problems.error('M10', `no audio frame header at byte ${position} of a PES packet`, 'audio header');
      return frames;
    }
    if (position + frame.length > payload.length) {
      problems.error('M10', 'an audio frame is longer than its PES packet');
      return frames;
    }
    if (
      facts.sampleRate !== undefined &&
      (facts.sampleRate !== frame.sampleRate || facts.channels !== frame.channels)
    ) {
      problems.error('M11', 'sample rate or channels change inside the segment');
    }
    facts.codec ??= frame.codec;
    facts.objectType ??= frame.objectType;
    facts.sampleRate = frame.sampleRate;
    facts.channels = frame.channels;
    facts.samplesPerFrame = frame.samples;
    facts.frameDuration = (frame.samples * clockRate) / frame.sampleRate;
    frames += 1;
    position += frame.length;
  }
  return frames;
}

function checkAudioLine(facts: AudioFacts, problems: ProblemList): void {
  const duration = facts.frameDuration;
  if (duration === undefined) return;
  for (const [index, packet] of facts.packets.entries()) {
    const previous = facts.packets[index - 1];
    if (!previous) continue;
    const difference = packet.pts - (previous.pts + previous.frames * duration);
    if (Math.abs(difference) > duration + 2) {
      problems.error(
        'M9',
        `audio PTS is ${((difference / clockRate) * 1000).toFixed(1)} ms off its predecessor inside the segment`,
        'audio line',
      );
    }
  }
}

function measureOverhead(totalBytes: number, packets: Packet[], tables: Tables, pes: PesPacket[]): Overhead {
  const mediaPids = new Set(tables.streams.map((stream) => stream.pid));
  const elementaryBytes = pes.reduce((sum, packet) => sum + packet.payload.length, 0);
  return {
    totalBytes,
    elementaryBytes,
    packetHeaderBytes: packets.length * 4,
    adaptationBytes: packets.reduce((sum, packet) => sum + packet.adaptationBytes, 0),
    tableBytes: packets.reduce((sum, packet) => sum + (mediaPids.has(packet.pid) ? 0 : packetSize - 4), 0),
    pesHeaderBytes: pes.reduce((sum, packet) => sum + packet.headerBytes, 0),
    ratio: elementaryBytes === 0 ? 0 : totalBytes / elementaryBytes - 1,
  };
}
