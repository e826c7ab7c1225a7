import { sectionCrc } from './ts.ts';

// A small transport stream writer. Most options of a segment break it in one place.

const frameTicks = 3600;
const pmtPid = 0x1000;
export const videoPid = 0x100;
export const audioPid = 0x101;

export type AudioFormat = { streamType: number; samples: number; frame: Buffer };

export const aac: AudioFormat = {
  streamType: 0x0f,
  samples: 1024,
  // Low complexity, 48 kHz, stereo, 27 bytes with header.
  frame: Buffer.from([0xff, 0xf1, 0x4c, 0x80, 0x03, 0x7f, 0xfc, ...new Array<number>(20).fill(0x21)]),
};

/** MPEG-1 layer 3, 48 kHz, 32 kbit/s: 96 bytes per frame. */
export const mp3: AudioFormat = {
  streamType: 0x03,
  samples: 1152,
  frame: Buffer.from([0xff, 0xfb, 0x14, 0x00, ...new Array<number>(92).fill(0x21)]),
};

export const mono = Buffer.from(aac.frame);
mono[3] = 0x40;

export type SegmentOptions = {
  frames?: number;
  declaredDuration?: number;
  discontinuity?: boolean;
  jumpTicks?: number;
  gapTag?: boolean;
  video?: boolean;
  audio?: AudioFormat | undefined;
  audioShiftTicks?: number;
  dropAudioGroup?: 'first' | 'middle' | 'last';
  audioBytes?: (payload: Buffer) => Buffer;
  audioPesLength?: (length: number) => number;
  pcrEvery?: number;
  pcrLeadTicks?: number;
  pcrStopsAt?: number;
  keyframe?: boolean;
  /** Rearranges the NAL units of one access unit. */
  nals?: (nals: Buffer[], frame: number) => Buffer[];
  dts?: (dts: number, frame: number) => number;
  pts?: (pts: number, frame: number) => number;
  timeScale?: number;
  /** Only every n-th picture. */
  frameDivisor?: number;
  markRandomAccess?: boolean;
  resetCounters?: boolean;
  skipCounterOf?: number;
  pat?: (section: Buffer) => Buffer;
  packets?: (packets: Buffer[]) => Buffer[];
};

export function withCrc(section: Buffer): Buffer {
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(sectionCrc(section));
  return Buffer.concat([section, crc]);
}

export function makeSequenceParameters(timeScale: number): Buffer {
  let bits = '';
  const put = (value: number, count: number) => {
    bits += value.toString(2).padStart(count, '0');
  };
  const putUnsigned = (value: number) => {
    const text = (value + 1).toString(2);
    bits += '0'.repeat(text.length - 1) + text;
  };
  // Constrained baseline, level 3.0, 320x192 cropped to 320x180.
  for (const byte of [0x67, 0x42, 0xc0, 0x1e]) put(byte, 8);
  for (const value of [0, 0, 2, 1]) putUnsigned(value);
  put(0, 1);
  putUnsigned(19);
  putUnsigned(11);
  put(0b111, 3);
  for (const value of [0, 0, 0, 6]) putUnsigned(value);
  put(0b100001, 6);
  put(1, 32);
  put(timeScale, 32);
  put(0b100001, 6);
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
  const plain = bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? [];
  const escaped: number[] = [];
  for (const byte of plain) {
    if (byte <= 3 && escaped.at(-1) === 0 && escaped.at(-2) === 0) escaped.push(3);
    escaped.push(byte);
  }
  return Buffer.from(escaped);
}

const delimiter = Buffer.from([0x09, 0xf0]);
const pictureParameters = Buffer.from([0x68, 0xce, 0x3c, 0x80]);
export const captions = Buffer.from([
  6, 4, 12, 0xb5, 0x00, 0x31, 0x47, 0x41, 0x39, 0x34, 0x03, 0x41, 0xff, 0xff, 0xff, 0x80,
]);

function timestampBytes(prefix: number, ticks: number): number[] {
  const wrapped = ((ticks % 2 ** 33) + 2 ** 33) % 2 ** 33;
  const high = Math.floor(wrapped / 2 ** 30);
  const low = wrapped % 2 ** 30;
  return [
    (prefix << 4) | (high << 1) | 1,
    low >> 22,
    ((low >> 14) & 0xfe) | 1,
    (low >> 7) & 0xff,
    ((low << 1) & 0xfe) | 1,
  ];
}

function pcrBytes(ticks: number): number[] {
  const wrapped = ((ticks % 2 ** 33) + 2 ** 33) % 2 ** 33;
  const half = Math.floor(wrapped / 2);
  return [half >>> 24, (half >> 16) & 0xff, (half >> 8) & 0xff, half & 0xff, ((wrapped % 2) << 7) | 0x7e, 0];
}

export class TransportWriter {
  readonly #counters = new Map<number, number>();
  #time: number;
  #audioFrames = 0;
  #origin: number;

  constructor(startTicks: number) {
    this.#time = startTicks;
    this.#origin = startTicks;
  }

  writeSegment(options: SegmentOptions): Buffer {
    if (options.resetCounters) this.#counters.clear();
    if (options.skipCounterOf !== undefined) this.#nextCounter(options.skipCounterOf);
    if (options.jumpTicks) {
      this.#time += options.jumpTicks;
      this.#origin = this.#time;
      this.#audioFrames = 0;
    }
    const audio = 'audio' in options ? options.audio : aac;
    const hasVideo = options.video ?? true;
    const frames = options.frames ?? 50;
    const items = [
      ...(hasVideo ? this.#videoItems(frames, options) : []),
      ...(audio ? this.#audioItems(frames, audio, hasVideo, options) : []),
    ].toSorted((a, b) => a.time - b.time);
    this.#time += frames * frameTicks;
    const packets = [...this.#tables(hasVideo, audio, options), ...items.flatMap((item) => item.write())];
    return Buffer.concat(options.packets ? options.packets(packets) : packets);
  }

  #nextCounter(pid: number): number {
    const counter = this.#counters.get(pid) ?? 0;
    this.#counters.set(pid, (counter + 1) & 15);
    return counter;
  }

  #header(pid: number, start: boolean, adaptation: boolean): Buffer {
    const counter = this.#nextCounter(pid);
    return Buffer.from([
      0x47,
      (start ? 0x40 : 0) | (pid >> 8),
      pid & 0xff,
      (adaptation ? 0x30 : 0x10) | counter,
    ]);
  }

  #tablePacket(pid: number, section: Buffer): Buffer {
    const head = Buffer.concat([this.#header(pid, true, false), Buffer.from([0]), section]);
    return Buffer.concat([head, Buffer.alloc(188 - head.length, 0xff)]);
  }

  #tables(hasVideo: boolean, audio: AudioFormat | undefined, options: SegmentOptions): Buffer[] {
    const pat = withCrc(Buffer.from('00b00d0001c100000001f000', 'hex'));
    const streams = [
      ...(hasVideo ? [0x1b, 0xe1, 0x00, 0xf0, 0x00] : []),
      ...(audio ? [audio.streamType, 0xe1, 0x01, 0xf0, 0x00] : []),
    ];
    const clockPid = hasVideo ? 0 : 1;
    const head = [0x02, 0xb0, 13 + streams.length, 0, 1, 0xc1, 0, 0, 0xe1, clockPid, 0xf0, 0];
    return [
      this.#tablePacket(0, options.pat ? options.pat(pat) : pat),
      this.#tablePacket(pmtPid, withCrc(Buffer.from([...head, ...streams]))),
    ];
  }

  #videoItems(frames: number, options: SegmentOptions) {
    const lead = options.pcrLeadTicks ?? 18_000;
    const divisor = options.frameDivisor ?? 1;
    return Array.from({ length: Math.ceil(frames / divisor) }, (_, index) => {
      const frame = index * divisor;
      const time = this.#time + frame * frameTicks;
      const dts = options.dts ? options.dts(time, frame) : time;
      const pts = options.pts ? options.pts(time + 2 * frameTicks, frame) : time + 2 * frameTicks;
      const keyframe = frame === 0 && (options.keyframe ?? true);
      const slice = Buffer.alloc(keyframe ? 250 : 60, 0x55);
      slice[0] = keyframe ? 0x65 : 0x41;
      const parameters = keyframe ? [makeSequenceParameters(options.timeScale ?? 50), pictureParameters] : [];
      const nals = [delimiter, ...parameters, slice];
      const chosen = options.nals ? options.nals(nals, frame) : nals;
      const payload = Buffer.concat(chosen.flatMap((nal) => [Buffer.from([0, 0, 0, 1]), nal]));
      const times = [...timestampBytes(3, pts), ...timestampBytes(1, dts)];
      const pes = Buffer.concat([Buffer.from([0, 0, 1, 0xe0, 0, 0, 0x84, 0xc0, 10, ...times]), payload]);
      const hasPcr = frame % (options.pcrEvery ?? 2) === 0 && frame < (options.pcrStopsAt ?? frames);
      const randomAccess = keyframe && (options.markRandomAccess ?? true);
      return {
        time,
        write: () => this.#packetise(videoPid, pes, hasPcr ? dts - lead : undefined, randomAccess),
      };
    });
  }

  #audioItems(frames: number, audio: AudioFormat, hasVideo: boolean, options: SegmentOptions) {
    const duration = (audio.samples * 90_000) / 48_000;
    const groups: { pts: number; count: number }[] = [];
    const end = this.#time + frames * frameTicks;
    for (let pts = this.#audioTime(duration); pts < end; pts = this.#audioTime(duration)) {
      const group = groups.at(-1);
      if (group && group.count < 3) group.count += 1;
      else groups.push({ pts, count: 1 });
      this.#audioFrames += 1;
    }
    if (options.dropAudioGroup === 'first') groups.shift();
    else if (options.dropAudioGroup)
      groups.splice(options.dropAudioGroup === 'last' ? groups.length - 2 : 5, 2);
    return groups.map(({ pts, count }) => {
      const time = pts + (options.audioShiftTicks ?? 0);
      const plain = Buffer.concat(new Array<Buffer>(count).fill(audio.frame));
      const payload = options.audioBytes ? options.audioBytes(plain) : plain;
      const length = options.audioPesLength ? options.audioPesLength(payload.length + 8) : payload.length + 8;
      const head = [0, 0, 1, 0xc0, length >> 8, length & 0xff, 0x84, 0x80, 5, ...timestampBytes(2, time)];
      const pes = Buffer.concat([Buffer.from(head), payload]);
      return {
        time,
        write: () => this.#packetise(audioPid, pes, hasVideo ? undefined : time - 18_000, !hasVideo),
      };
    });
  }

  #audioTime(duration: number): number {
    return this.#origin + this.#audioFrames * duration;
  }

  #packetise(pid: number, pes: Buffer, pcr: number | undefined, randomAccess: boolean): Buffer[] {
    const packets: Buffer[] = [];
    let position = 0;
    while (position < pes.length) {
      const isFirst = position === 0;
      const fields: number[] = [];
      if (isFirst && (pcr !== undefined || randomAccess)) {
        fields.push((randomAccess ? 0x40 : 0) | (pcr === undefined ? 0 : 0x10));
        if (pcr !== undefined) fields.push(...pcrBytes(pcr));
      }
      const room = 184 - (fields.length > 0 ? 1 + fields.length : 0);
      const take = Math.min(room, pes.length - position);
      let adaptation = fields.length > 0 ? [fields.length, ...fields] : [];
      const stuffing = room - take;
      if (stuffing > 0) {
        const content = fields.length > 0 ? fields : stuffing > 1 ? [0] : [];
        const total = 184 - take - 1;
        adaptation = [total, ...content, ...new Array<number>(total - content.length).fill(0xff)];
      }
      const header = this.#header(pid, isFirst, adaptation.length > 0);
      packets.push(Buffer.concat([header, Buffer.from(adaptation), pes.subarray(position, position + take)]));
      position += take;
    }
    return packets;
  }
}

export const editPacket = (index: number, edit: (packet: Buffer) => void) => (packets: Buffer[]) => {
  const packet = packets[index];
  if (packet) edit(packet);
  return packets;
};
export const extraPacket = (bytes: number[]) =>
  Buffer.concat([Buffer.from(bytes), Buffer.alloc(188 - bytes.length, 0xff)]);
export const nullPacket = () => extraPacket([0x47, 0x1f, 0xff, 0x10]);
