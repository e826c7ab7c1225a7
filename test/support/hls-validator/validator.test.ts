import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { MediaPlaylist } from './m3u8.ts';
import { parsePlaylist } from './m3u8.ts';
import { analyseSegment, sectionCrc, timestampDifference, unwrapTimestamp } from './ts.ts';
import type { HttpRequest, HttpResponse, ValidatorOptions } from './validator.ts';
import { formatFindings, HlsValidator, peakBitRate } from './validator.ts';

// A tiny correct stream is made in memory and broken in one place per test. Each break must be found by its own
// check and by no other: a check that cannot fail proves nothing, and one that fires along with others misleads.

// --- a small transport stream writer ----------------------------------------------------------------------------

const frameTicks = 3600;
const pmtPid = 0x1000;
const videoPid = 0x100;
const audioPid = 0x101;

type AudioFormat = { streamType: number; samples: number; frame: Buffer };

const aac: AudioFormat = {
  streamType: 0x0f,
  samples: 1024,
  // Low complexity, 48 kHz, stereo, 27 bytes with header.
  frame: Buffer.from([0xff, 0xf1, 0x4c, 0x80, 0x03, 0x7f, 0xfc, ...new Array<number>(20).fill(0x21)]),
};

/** MPEG-1 layer 3, 48 kHz, 32 kbit/s: 96 bytes per frame. */
const mp3: AudioFormat = {
  streamType: 0x03,
  samples: 1152,
  frame: Buffer.from([0xff, 0xfb, 0x14, 0x00, ...new Array<number>(92).fill(0x21)]),
};

const mono = Buffer.from(aac.frame);
mono[3] = 0x40;

type SegmentOptions = {
  frames?: number;
  declaredDuration?: number;
  discontinuity?: boolean;
  jumpTicks?: number;
  gapTag?: boolean;
  video?: boolean;
  audio?: AudioFormat | undefined;
  audioShiftTicks?: number;
  dropAudioGroup?: 'middle' | 'last';
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
  markRandomAccess?: boolean;
  resetCounters?: boolean;
  skipCounterOf?: number;
  pat?: (section: Buffer) => Buffer;
  packets?: (packets: Buffer[]) => Buffer[];
};

function withCrc(section: Buffer): Buffer {
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(sectionCrc(section));
  return Buffer.concat([section, crc]);
}

function makeSequenceParameters(timeScale: number): Buffer {
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
const captions = Buffer.from([
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

class TransportWriter {
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
    return Array.from({ length: frames }, (_, frame) => {
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
    if (options.dropAudioGroup) groups.splice(options.dropAudioGroup === 'last' ? groups.length - 2 : 5, 2);
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

// --- a small gateway --------------------------------------------------------------------------------------------

type StoredSegment = {
  sequence: number;
  bytes: Buffer;
  duration: number;
  date: number;
  discontinuity: boolean;
  removedAt: number | undefined;
};

type Tamper = {
  steps?: number;
  startTicks?: number;
  window?: number;
  keepSeconds?: number;
  /** Milliseconds between one segment and the next, by default the segment's duration. */
  pace?: (step: number) => number;
  segment?: (step: number) => SegmentOptions;
  media?: (text: string, step: number, path: string) => string;
  multivariant?: (text: string, step: number) => string;
  response?: (response: HttpResponse, path: string, request: HttpRequest, step: number) => HttpResponse;
};

const base = 'https://gateway.test';
const entry = `${base}/live/camera/index.m3u8`;

class Gateway {
  clock = Date.UTC(2026, 0, 1);
  step = 0;
  readonly #tamper: Tamper;
  readonly #writer: TransportWriter;
  readonly #segments: StoredSegment[] = [];
  #discontinuitySequence = 0;
  #nextDate = Date.UTC(2026, 0, 1);

  constructor(tamper: Tamper) {
    this.#tamper = tamper;
    this.#writer = new TransportWriter(tamper.startTicks ?? 900_000);
  }

  publish(): number {
    const options = this.#tamper.segment?.(this.step) ?? {};
    const duration = options.declaredDuration ?? (options.frames ?? 50) / 25;
    this.#segments.push({
      sequence: 5 + this.#segments.length,
      bytes: this.#writer.writeSegment(options),
      duration,
      date: this.#nextDate,
      discontinuity: options.discontinuity ?? false,
      removedAt: undefined,
    });
    this.#nextDate += duration * 1000;
    const listed = this.#segments.filter((segment) => segment.removedAt === undefined);
    for (const segment of listed.slice(0, -(this.#tamper.window ?? 6))) {
      segment.removedAt = this.clock;
      if (segment.discontinuity) this.#discontinuitySequence += 1;
    }
    return this.#tamper.pace?.(this.step) ?? duration * 1000;
  }

  readonly request = async (url: string, request: HttpRequest): Promise<HttpResponse> => {
    const path = new URL(url).pathname;
    const response = this.#answer(path, request);
    return this.#tamper.response ? this.#tamper.response(response, path, request, this.step) : response;
  };

  #answer(path: string, request: HttpRequest): HttpResponse {
    const cors = { 'access-control-allow-origin': '*' };
    if (request.method === 'OPTIONS') {
      return {
        status: 204,
        headers: { ...cors, 'access-control-allow-headers': 'Range' },
        body: Buffer.alloc(0),
      };
    }
    const file = path.split('/').at(-1) ?? '';
    if (file === 'index.m3u8') return this.#playlist(this.#multivariantText(), request, cors);
    if (file === 'video.m3u8') return this.#playlist(this.#mediaText(path), request, cors);
    const sequence = /^(?:segment|other)-(\d+)\.ts$/.exec(file)?.[1];
    const segment = this.#segments.find((candidate) => candidate.sequence === Number(sequence));
    const keep = (this.#tamper.keepSeconds ?? 20) * 1000;
    if (segment && this.clock < (segment.removedAt ?? Number.POSITIVE_INFINITY) + keep) {
      return this.#segment(segment, request, cors);
    }
    const body = Buffer.from(JSON.stringify({ code: 'NOT_FOUND' }));
    return { status: 404, headers: { ...cors, 'content-type': 'application/json' }, body };
  }

  #playlist(text: string, request: HttpRequest, cors: Record<string, string>): HttpResponse {
    const plain = Buffer.from(text);
    const headers: Record<string, string> = {
      ...cors,
      'content-type': 'application/vnd.apple.mpegurl',
      'cache-control': 'no-cache',
      vary: 'Accept-Encoding',
      etag: `"${sectionCrc(plain)}"`,
    };
    if (request.headers['if-none-match'] === headers.etag)
      return { status: 304, headers, body: Buffer.alloc(0) };
    const zipped = request.headers['accept-encoding'] === 'gzip';
    const body = zipped ? gzipSync(plain) : plain;
    if (zipped) headers['content-encoding'] = 'gzip';
    return { status: 200, headers, body: request.method === 'HEAD' ? Buffer.alloc(0) : body };
  }

  #segment(segment: StoredSegment, request: HttpRequest, cors: Record<string, string>): HttpResponse {
    const { bytes } = segment;
    const headers: Record<string, string> = {
      ...cors,
      'content-type': 'video/mp2t',
      'cache-control': 'public, max-age=86400, immutable',
      'content-length': String(bytes.length),
      etag: `"${segment.sequence}"`,
    };
    if (request.headers['if-none-match'] === headers.etag)
      return { status: 304, headers, body: Buffer.alloc(0) };
    if (request.method === 'HEAD') return { status: 200, headers, body: Buffer.alloc(0) };
    const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
    if (!range) return { status: 200, headers, body: bytes };
    const first = range[1] === '' ? bytes.length - Number(range[2]) : Number(range[1]);
    const last = range[1] === '' || range[2] === '' ? bytes.length - 1 : Number(range[2]);
    if (first >= bytes.length) {
      return {
        status: 416,
        headers: { ...headers, 'content-range': `bytes */${bytes.length}`, 'content-length': '0' },
        body: Buffer.alloc(0),
      };
    }
    const body = bytes.subarray(first, last + 1);
    const contentRange = `bytes ${first}-${last}/${bytes.length}`;
    return {
      status: 206,
      headers: { ...headers, 'content-range': contentRange, 'content-length': String(body.length) },
      body,
    };
  }

  #multivariantText(): string {
    const text = [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      '#EXT-X-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=180000,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE',
      'video.m3u8?token=abc',
      '',
    ].join('\n');
    return this.#tamper.multivariant?.(text, this.step) ?? text;
  }

  #mediaText(path: string): string {
    const listed = this.#segments.filter((segment) => segment.removedAt === undefined);
    const lines = [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-TARGETDURATION:2',
      `#EXT-X-MEDIA-SEQUENCE:${listed[0]?.sequence ?? 0}`,
      `#EXT-X-DISCONTINUITY-SEQUENCE:${this.#discontinuitySequence}`,
    ];
    for (const segment of listed) {
      if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY');
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.date).toISOString()}`);
      lines.push(`#EXTINF:${segment.duration.toFixed(5)},`, `segment-${segment.sequence}.ts?token=abc`);
    }
    const text = `${lines.join('\n')}\n`;
    return this.#tamper.media?.(text, this.step, path) ?? text;
  }
}

const usualSteps = 9;

async function watchStream(
  tamper: Tamper,
  options: ValidatorOptions = {},
  atStep?: (validator: HlsValidator, step: number, gateway: Gateway) => void,
): Promise<HlsValidator> {
  const gateway = new Gateway(tamper);
  const validator = new HlsValidator(entry, {
    request: gateway.request,
    now: () => gateway.clock,
    ...options,
  });
  for (gateway.step = 0; gateway.step < (tamper.steps ?? usualSteps); gateway.step += 1) {
    const wait = gateway.publish();
    atStep?.(validator, gateway.step, gateway);
    await validator.poll();
    gateway.clock += wait;
  }
  return validator;
}

function checksOf(validator: HlsValidator): string[] {
  return [...new Set(validator.findings.map((finding) => finding.check))].toSorted();
}

const at = (wanted: number, options: SegmentOptions) => (step: number) => (step === wanted ? options : {});
const shiftNumber = (text: string, tag: string, by: number) =>
  text.replace(new RegExp(`${tag}:(\\d+)`), (_, digits: string) => `${tag}:${Number(digits) + by}`);
const withHeader = (response: HttpResponse, name: string, value: string | undefined): HttpResponse => {
  const { [name]: _, ...rest } = response.headers;
  return { ...response, headers: value === undefined ? rest : { ...rest, [name]: value } };
};
const isSegment = (path: string) => path.endsWith('.ts') && !path.includes('no-such');
const isPlaylist = (path: string) => path.endsWith('.m3u8') && !path.includes('no-such');
const secondVariant = (text: string) =>
  `${text}${text.split('\n').find((line) => line.includes('STREAM-INF:'))}\nlow/video.m3u8\n`;

// --- correct streams --------------------------------------------------------------------------------------------

describe('a correct stream has no findings', () => {
  const audioOnly = (text: string) =>
    text.replace('avc1.42c01e,', '').replace(',RESOLUTION=320x180,FRAME-RATE=25.000', '');
  const correct: Record<string, Tamper> = {
    'with a sliding window': {},
    'with a timestamp wrap in the middle': { startTicks: 2 ** 33 - 500_000 },
    'with a reconnect that slides out of the window': {
      segment: at(2, { discontinuity: true, jumpTicks: 5_000_000, resetCounters: true }),
    },
    'with a wider window': { window: 8 },
    'with segments of unequal length': {
      segment: (step) => ({ frames: 45 + (step % 3) * 5 }),
    },
    'with a very short end and timestamps in milliseconds': {
      segment: (step) =>
        step === usualSteps - 1 ? { frames: 3, dts: (dts, frame) => (frame === 2 ? dts - 90 : dts) } : {},
    },
    'with video only': {
      segment: () => ({ audio: undefined }),
      multivariant: (text) => text.replace(',mp4a.40.2', ''),
    },
    'with audio only': { segment: () => ({ video: false }), multivariant: audioOnly },
    'with MP3': {
      segment: () => ({ audio: mp3 }),
      multivariant: (text) => text.replace('mp4a.40.2', 'mp4a.40.34'),
    },
    'with HE-AAC, which ADTS cannot show': { multivariant: (text) => text.replace('mp4a.40.2', 'mp4a.40.5') },
    'with an end': { media: (text, step) => (step === usualSteps - 1 ? `${text}#EXT-X-ENDLIST\n` : text) },
    'with two variants': { multivariant: secondVariant },
    'with unknown tags and comments': { media: (text) => `${text}#EXT-X-NEWS:yes\n# a comment\n` },
    'with pictures that are not independent, when that is not declared': {
      segment: (step) => ({ keyframe: step === 0 }),
      multivariant: (text) => text.replace('#EXT-X-INDEPENDENT-SEGMENTS\n', ''),
    },
  };

  for (const [name, tamper] of Object.entries(correct)) {
    it(name, async () => {
      const validator = await watchStream(tamper);
      expect(formatFindings(validator.findings)).toBe('');
      expect(validator.summary().variants[0]?.segments).toBe(usualSteps);
    });
  }

  it('while the publisher is announced to be away', async () => {
    const { validator, gateway } = await stall(true);
    validator.publisherAway(false);
    gateway.publish();
    await validator.poll();
    expect(checksOf(validator)).toEqual([]);
  });
});

/** Eight seconds without a new segment, looked at every half second. */
async function stall(announced: boolean) {
  const gateway = new Gateway({});
  const validator = new HlsValidator(entry, { request: gateway.request, now: () => gateway.clock });
  gateway.publish();
  await validator.poll();
  validator.publisherAway(announced);
  for (let poll = 0; poll < 16; poll += 1) {
    gateway.clock += 500;
    await validator.poll();
  }
  return { validator, gateway };
}

// --- broken streams ---------------------------------------------------------------------------------------------

type Break = Tamper & { name: string; finds: string | string[] };

function describeBreaks(title: string, breaks: readonly Break[]): void {
  describe(title, () => {
    for (const { name, finds, ...tamper } of breaks) {
      it(`${finds}: ${name}`, async () => {
        const validator = await watchStream(tamper);
        expect(checksOf(validator), validator.summary().text).toEqual([finds].flat());
      });
    }
  });
}

const insertAfterHead = (line: string) => (text: string) => text.replace('#EXTM3U\n', `#EXTM3U\n${line}\n`);

describe('playlist syntax', () => {
  const media = [
    '#EXTM3U',
    '#EXT-X-VERSION:3',
    '#EXT-X-TARGETDURATION:2',
    '#EXT-X-MEDIA-SEQUENCE:7',
    '#EXT-X-DISCONTINUITY-SEQUENCE:3',
    '#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z',
    '#EXTINF:2.000,first',
    'a.ts',
    '#EXT-X-DISCONTINUITY',
    '#EXT-X-PROGRAM-DATE-TIME:2026-01-01T01:00:02.000+01:00',
    '#EXTINF:1.500,',
    'b.ts',
    '',
  ].join('\n');
  const multivariant = [
    '#EXTM3U',
    '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=320x180',
    'video.m3u8',
    '',
  ].join('\n');

  it('reads a media playlist', () => {
    const playlist = parsePlaylist(media) as MediaPlaylist;
    expect(playlist).toMatchObject({
      kind: 'media',
      problems: [],
      version: 3,
      targetDuration: 2,
      endList: false,
    });
    expect(playlist.segments).toMatchObject([
      {
        uri: 'a.ts',
        mediaSequence: 7,
        discontinuityNumber: 3,
        duration: 2,
        title: 'first',
        discontinuity: false,
      },
      {
        uri: 'b.ts',
        mediaSequence: 8,
        discontinuityNumber: 4,
        duration: 1.5,
        title: '',
        discontinuity: true,
      },
    ]);
    expect(playlist.segments.map((segment) => segment.programDateTime)).toEqual([
      Date.UTC(2026, 0, 1),
      Date.UTC(2026, 0, 1, 0, 0, 2),
    ]);
  });

  it('reads a multivariant playlist, CRLF and bytes', () => {
    const playlist = parsePlaylist(Buffer.from(multivariant.replaceAll('\n', '\r\n')));
    expect(playlist.problems).toEqual([]);
    expect(playlist.kind === 'multivariant' && playlist.variants[0]?.attributes.get('CODECS')).toBe(
      'avc1.42c01e,mp4a.40.2',
    );
  });

  const slips: [string, string | Uint8Array][] = [
    ['missing EXTM3U', media.replace('#EXTM3U\n', '')],
    ['byte order mark', `\uFEFF${media}`],
    ['invalid UTF-8', Buffer.concat([Buffer.from(media), Buffer.from([0x23, 0xff, 0x0a])])],
    ['decomposed letters', `${media}# cafe\u0301\n`],
    ['control character', `${media}# \u0007\n`],
    ['space at the end of a line', media.replace('a.ts', 'a.ts ')],
    ['space in a URI', media.replace('a.ts', 'a b.ts')],
    ['tag used twice', insertAfterHead('#EXT-X-TARGETDURATION:2')(media)],
    ['missing target duration', media.replace('#EXT-X-TARGETDURATION:2\n', '')],
    ['target duration with decimals', media.replace('DURATION:2', 'DURATION:2.0')],
    ['value on a tag without value', media.replace('DISCONTINUITY\n', 'DISCONTINUITY:1\n')],
    ['EXTINF without comma', media.replace('1.500,', '1.500')],
    ['EXTINF without number', media.replace('1.500,', 'x,')],
    ['two EXTINF for a segment', media.replace('#EXTINF:1.500,', '#EXTINF:1.500,\n#EXTINF:1.500,')],
    ['URI without EXTINF', media.replace('#EXTINF:1.500,\n', '')],
    ['EXTINF without URI', `${media}#EXTINF:2.0,\n`],
    [
      'sequence after the first segment',
      `${media.replace('#EXT-X-MEDIA-SEQUENCE:7\n', '')}#EXT-X-MEDIA-SEQUENCE:7\n`,
    ],
    ['date without zone', media.replace('.000Z', '.000')],
    ['date without milliseconds', media.replace('.000Z', 'Z')],
    ['unknown playlist type', insertAfterHead('#EXT-X-PLAYLIST-TYPE:LIVE')(media)],
    ['version too low', media.replace('VERSION:3', 'VERSION:2')],
    ['version too high', media.replace('VERSION:3', 'VERSION:7')],
    ['long segment below version 6', media.replace('1.500,', '2.400,')],
    ['media tag in a multivariant playlist', insertAfterHead('#EXT-X-TARGETDURATION:2')(multivariant)],
    ['quoted resolution', multivariant.replace('320x180', '"320x180"')],
    ['unquoted codecs', multivariant.replace('"avc1.42c01e,mp4a.40.2"', 'avc1.42c01e')],
    ['repeated attribute', multivariant.replace(',CODECS', ',BANDWIDTH=2,CODECS')],
    ['space in an attribute list', multivariant.replace(',RES', ', RES')],
    ['comma at the end of an attribute list', multivariant.replace('320x180', '320x180,')],
    ['attributes missing', insertAfterHead('#EXT-X-START')(media)],
    [
      'tag between variant and URI',
      multivariant.replace('video.m3u8', '#EXT-X-INDEPENDENT-SEGMENTS\nvideo.m3u8'),
    ],
    ['missing bandwidth', multivariant.replace('BANDWIDTH=1,', '')],
    ['variant without URI', multivariant.replace('video.m3u8\n', '')],
    ['URI without variant', `${multivariant}other.m3u8\n`],
    ['rendition without a name', insertAfterHead('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a"')(multivariant)],
  ];
  for (const [name, text] of slips) {
    it(`finds ${name}`, () => {
      const { problems } = parsePlaylist(text);
      expect(new Set(problems.map((problem) => problem.check)), name).toEqual(new Set(['P1']));
    });
  }
});

const replaceFrom = (first: number, from: string | RegExp, to: string) => (text: string, step: number) =>
  step >= first ? text.replace(from, to) : text;

describeBreaks('media playlists over time', [
  { name: 'unusable URI', finds: 'P1', media: replaceFrom(3, 'segment-8.ts', 'http://[') },
  {
    name: 'target duration zero',
    finds: ['P2', 'P3'],
    media: (text) => text.replace('DURATION:2', 'DURATION:0'),
  },
  { name: 'segment without duration', finds: ['P12', 'P2'], segment: at(4, { declaredDuration: 0 }) },
  {
    name: 'discontinuity sequence goes back while the whole window changes',
    finds: 'P4',
    segment: at(1, { discontinuity: true }),
    media: (text, step) =>
      step === 8
        ? shiftNumber(text, 'MEDIA-SEQUENCE', 100)
            .replaceAll('segment-', 'other-')
            .replace(/DISCONTINUITY-SEQUENCE:\d+/, 'DISCONTINUITY-SEQUENCE:0')
        : text,
  },
  {
    name: 'a slip in the syntax is reported',
    finds: 'P1',
    media: insertAfterHead('#EXT-X-TARGETDURATION:2'),
  },
  { name: 'target duration changes', finds: 'P2', media: replaceFrom(5, 'DURATION:2', 'DURATION:3') },
  {
    name: 'EXTINF rounds above the target',
    finds: 'P2',
    segment: at(4, { frames: 62, declaredDuration: 2.5 }),
  },
  { name: 'segment far too long', finds: 'P3', segment: at(4, { frames: 65 }) },
  {
    name: 'media sequence goes back',
    finds: 'P4',
    media: (text, step) => (step === 8 ? shiftNumber(text, 'MEDIA-SEQUENCE', -3) : text),
  },
  {
    name: 'media sequence counts removed segments twice',
    finds: 'P4',
    media: (text, step) => (step >= 7 ? shiftNumber(text, 'MEDIA-SEQUENCE', 1) : text),
  },
  {
    name: 'segments withdrawn at the end',
    finds: 'P4',
    media: (text, step) =>
      step === 5 ? text.replace(/#EXT-X-PROGRAM-DATE-TIME:.*\n.*\nsegment-9[\s\S]*/, '') : text,
  },
  {
    name: 'discontinuity sequence moves without reason',
    finds: 'P4',
    media: (text, step) => (step >= 6 ? shiftNumber(text, 'DISCONTINUITY-SEQUENCE', 1) : text),
  },
  {
    name: 'discontinuity sequence stays when the tag leaves',
    finds: 'P4',
    segment: at(1, { discontinuity: true }),
    media: (text) => text.replace(/DISCONTINUITY-SEQUENCE:\d+/, 'DISCONTINUITY-SEQUENCE:0'),
  },
  {
    name: 'discontinuity tag is dropped before its segment',
    finds: 'P4',
    segment: at(2, { discontinuity: true }),
    media: (text, step) =>
      step === 7
        ? shiftNumber(text.replace('#EXT-X-DISCONTINUITY\n', ''), 'DISCONTINUITY-SEQUENCE', 1)
        : text,
  },
  { name: 'URI of a number changes', finds: 'P5', media: replaceFrom(5, 'segment-8.ts', 'other-8.ts') },
  {
    name: 'EXTINF of a listed segment changes',
    finds: 'P5',
    media: replaceFrom(5, '2.00000,\nsegment-8', '2.01000,\nsegment-8'),
  },
  { name: 'too few segments', finds: 'P6', window: 5 },
  { name: 'too few seconds', finds: 'P6', segment: () => ({ frames: 20 }), window: 7 },
  { name: 'no dates', finds: 'P8', media: (text) => text.replace(/#EXT-X-PROGRAM-DATE-TIME.*\n/g, '') },
  {
    name: 'one date is off',
    finds: 'P8',
    media: (text) => text.replace(/\.000Z(\n.*\nsegment-8)/, '.200Z$1'),
  },
  {
    name: 'dates of listed segments move',
    finds: 'P8',
    media: (text, step) => (step >= 5 ? text.replaceAll('.000Z', '.100Z') : text),
  },
  {
    name: 'discontinuity without a date',
    finds: 'P8',
    segment: at(3, { discontinuity: true }),
    media: (text) => text.replace(/(DISCONTINUITY\n)#EXT-X-PROGRAM.*\n/, '$1'),
  },
  {
    name: 'discontinuity without sequence',
    finds: 'P9',
    window: 20,
    segment: at(7, { discontinuity: true }),
    media: (text) => text.replace(/#EXT-X-DISCONTINUITY-SEQUENCE.*\n/, ''),
  },
  {
    name: 'sliding without discontinuity sequence',
    finds: 'P9',
    media: (text) => text.replace(/#EXT-X-DISCONTINUITY-SEQUENCE.*\n/, ''),
  },
  { name: 'declared independent, but is not', finds: 'P11', segment: at(3, { keyframe: false }) },
  {
    name: 'independence declared twice',
    finds: 'P11',
    media: insertAfterHead('#EXT-X-INDEPENDENT-SEGMENTS'),
  },
  { name: 'EXTINF too short', finds: 'P12', segment: at(4, { declaredDuration: 1.9 }) },
  {
    name: 'EXTINF too long before a discontinuity',
    finds: 'P12',
    segment: (step) => (step === 4 ? { declaredDuration: 2.2 } : { discontinuity: step === 5 }),
  },
  {
    name: 'EXTINF of the last segment too long',
    finds: 'P12',
    segment: at(8, { declaredDuration: 2.2 }),
    media: (text, step) => (step === 8 ? `${text}#EXT-X-ENDLIST\n` : text),
  },
  { name: 'EXTINF drifts by half a frame each', finds: 'P12', segment: () => ({ declaredDuration: 1.98 }) },
  {
    name: 'sliding playlist of type EVENT',
    finds: 'P13',
    media: insertAfterHead('#EXT-X-PLAYLIST-TYPE:EVENT'),
  },
  {
    name: 'type VOD without end',
    finds: 'P13',
    window: 20,
    media: insertAfterHead('#EXT-X-PLAYLIST-TYPE:VOD'),
  },
  {
    name: 'type changes',
    finds: 'P13',
    window: 20,
    media: (text, step) => (step >= 4 ? insertAfterHead('#EXT-X-PLAYLIST-TYPE:EVENT')(text) : text),
  },
  {
    name: 'end is withdrawn',
    finds: 'P14',
    media: (text, step) => (step === 5 ? `${text}#EXT-X-ENDLIST\n` : text),
  },
  {
    name: 'segments after the end',
    finds: 'P14',
    media: (text, step) => (step >= 5 ? `${text}#EXT-X-ENDLIST\n` : text),
  },
  { name: 'removed segments are gone at once', finds: 'R1', keepSeconds: 0 },
  { name: 'removed segments go after a quarter of the window', finds: 'R1', keepSeconds: 3 },
  {
    name: 'a listed segment is missing',
    finds: 'R2',
    response: (response, path) => (path.endsWith('segment-8.ts') ? { ...response, status: 404 } : response),
  },
  {
    name: 'the media playlist is missing',
    finds: 'R2',
    response: (response, path) => (path.endsWith('video.m3u8') ? { ...response, status: 404 } : response),
  },
]);

it('P7: no new segment for too long is one finding', async () => {
  const { validator } = await stall(false);
  expect(validator.findings.map((finding) => finding.check)).toEqual(['P7']);
});

const editPacket = (index: number, edit: (packet: Buffer) => void) => (packets: Buffer[]) => {
  const packet = packets[index];
  if (packet) edit(packet);
  return packets;
};
const extraPacket = (bytes: number[]) =>
  Buffer.concat([Buffer.from(bytes), Buffer.alloc(188 - bytes.length, 0xff)]);
const nullPacket = () => extraPacket([0x47, 0x1f, 0xff, 0x10]);

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

const attribute = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
const captionsOnPictures = (nals: Buffer[]) => [...nals.slice(0, -1), captions, ...nals.slice(-1)];

describeBreaks('multivariant playlist', [
  {
    name: 'average too low',
    finds: 'V5',
    steps: 12,
    multivariant: attribute('AVERAGE-BANDWIDTH=180000', 'AVERAGE-BANDWIDTH=50000'),
  },
  {
    name: 'picture attributes without picture',
    finds: ['V2', 'V3'],
    segment: () => ({ video: false }),
    multivariant: attribute('avc1.42c01e,', ''),
  },
  {
    name: 'no variant',
    finds: 'P1',
    multivariant: (text) =>
      text.replace(/#EXT-X-STREAM[\s\S]*/, '#EXT-X-SESSION-DATA:DATA-ID="x",VALUE="y"\n'),
  },
  { name: 'wrong profile', finds: 'V1', multivariant: attribute('avc1.42c01e', 'avc1.64001e') },
  { name: 'wrong audio codec', finds: 'V1', multivariant: attribute('mp4a.40.2', 'mp4a.40.34') },
  { name: 'audio missing in CODECS', finds: 'V1', multivariant: attribute(',mp4a.40.2', '') },
  { name: 'audio in CODECS only', finds: 'V1', segment: () => ({ audio: undefined }) },
  { name: 'no CODECS', finds: 'V1', multivariant: attribute(/CODECS="[^"]*",/, '') },
  { name: 'resolution without cropping', finds: 'V2', multivariant: attribute('320x180', '320x192') },
  { name: 'no resolution', finds: 'V2', multivariant: attribute('RESOLUTION=320x180,', '') },
  { name: 'wrong frame rate', finds: 'V3', multivariant: attribute('25.000', '30.000') },
  { name: 'slightly wrong frame rate', finds: 'V3', multivariant: attribute('25.000', '24.800') },
  { name: 'no frame rate', finds: 'V3', multivariant: attribute('FRAME-RATE=25.000,', '') },
  {
    name: 'bandwidth too low',
    finds: 'V4',
    multivariant: attribute(
      'BANDWIDTH=200000,AVERAGE-BANDWIDTH=180000',
      'BANDWIDTH=50000,AVERAGE-BANDWIDTH=50000',
    ),
  },
  { name: 'no average', finds: 'V5', multivariant: attribute('AVERAGE-BANDWIDTH=180000,', '') },
  {
    name: 'average above peak',
    finds: 'V5',
    multivariant: attribute('AVERAGE-BANDWIDTH=180000', 'AVERAGE-BANDWIDTH=280000'),
  },
  { name: 'no captions attribute', finds: 'V6', multivariant: attribute(',CLOSED-CAPTIONS=NONE', '') },
  {
    name: 'captions differ',
    finds: 'V6',
    multivariant: (text) => secondVariant(text).replace(',CLOSED-CAPTIONS=NONE', ''),
  },
  { name: 'captions group missing', finds: 'V6', multivariant: attribute('CAPTIONS=NONE', 'CAPTIONS="cc"') },
  { name: 'captions in the video', finds: 'V6', segment: () => ({ nals: captionsOnPictures }) },
  { name: 'audio group missing', finds: 'V7', multivariant: attribute(',CLOSED', ',AUDIO="group",CLOSED') },
  {
    name: 'target durations differ',
    finds: 'V8',
    multivariant: secondVariant,
    media: (text, _, path) => (path.includes('/low/') ? text.replace('DURATION:2', 'DURATION:3') : text),
  },
  {
    name: 'server control differs',
    finds: 'V8',
    multivariant: secondVariant,
    media: (text, _, path) =>
      path.includes('/low/') ? insertAfterHead('#EXT-X-SERVER-CONTROL:HOLD-BACK=6.0')(text) : text,
  },
  {
    name: 'discontinuities differ',
    finds: 'V9',
    multivariant: secondVariant,
    media: (text, _, path) =>
      path.includes('/low/') ? shiftNumber(text, 'DISCONTINUITY-SEQUENCE', 1) : text,
  },
]);

const changeHeader = (
  wanted: (path: string) => boolean,
  name: string,
  value: string | undefined,
): Tamper => ({
  response: (response, path) =>
    wanted(path) && response.status === 200 ? withHeader(response, name, value) : response,
});
const redirected: HttpResponse = {
  status: 302,
  headers: { location: 'https://elsewhere.test/' },
  body: Buffer.alloc(0),
};
const isUnknown = (path: string) => path.includes('no-such');

describeBreaks('HTTP', [
  {
    name: 'broken compression',
    finds: 'H2',
    response: (response, path) =>
      path.endsWith('video.m3u8') ? { ...response, body: response.body.subarray(0, 30) } : response,
  },
  {
    name: 'no CORS on the preflight',
    finds: 'H3',
    response: (response, _, { method }) =>
      method === 'OPTIONS' ? withHeader(response, 'access-control-allow-origin', undefined) : response,
  },
  {
    name: 'HEAD with a body',
    finds: 'H7',
    response: (response, path, { method }) =>
      method === 'HEAD' && isPlaylist(path) ? { ...response, body: Buffer.from('x') } : response,
  },
  { name: 'type of a playlist', finds: 'H1', ...changeHeader(isPlaylist, 'content-type', 'text/plain') },
  {
    name: 'type of a segment',
    finds: 'H1',
    ...changeHeader(isSegment, 'content-type', 'application/octet-stream'),
  },
  {
    name: 'playlist not compressed',
    finds: 'H2',
    response: (response, path) =>
      isPlaylist(path) && response.body.length > 0 && response.headers['content-encoding'] === 'gzip'
        ? { ...withHeader(response, 'content-encoding', undefined), body: gunzipSync(response.body) }
        : response,
  },
  {
    name: 'playlist compressed for a client that cannot read it',
    finds: 'H2',
    response: (response, path, request) =>
      isPlaylist(path) && request.headers['accept-encoding'] === 'identity' && response.status === 200
        ? { ...withHeader(response, 'content-encoding', 'gzip'), body: gzipSync(response.body) }
        : response,
  },
  { name: 'no Vary', finds: 'H2', ...changeHeader(isPlaylist, 'vary', undefined) },
  {
    name: 'segment compressed',
    finds: 'H2',
    response: (response, path, request) =>
      isSegment(path) && response.status === 200 && request.headers['accept-encoding'] === 'gzip'
        ? { ...withHeader(response, 'content-encoding', 'gzip'), body: gzipSync(response.body) }
        : response,
  },
  {
    name: 'no CORS on playlists',
    finds: 'H3',
    ...changeHeader(isPlaylist, 'access-control-allow-origin', undefined),
  },
  {
    name: 'no CORS on segments',
    finds: 'H3',
    ...changeHeader(isSegment, 'access-control-allow-origin', undefined),
  },
  {
    name: 'CORS for somebody else',
    finds: 'H3',
    ...changeHeader(isSegment, 'access-control-allow-origin', base),
  },
  {
    name: 'echoed origin without Vary',
    finds: 'H3',
    ...changeHeader(isSegment, 'access-control-allow-origin', 'https://player.example'),
  },
  {
    name: 'preflight refused',
    finds: 'H3',
    response: (response, _, { method }) => (method === 'OPTIONS' ? { ...response, status: 405 } : response),
  },
  {
    name: 'preflight without Range',
    finds: 'H3',
    response: (response, _, { method }) =>
      method === 'OPTIONS' ? withHeader(response, 'access-control-allow-headers', undefined) : response,
  },
  {
    name: 'no CORS on a 404',
    finds: 'H3',
    response: (response, path) =>
      isUnknown(path) ? withHeader(response, 'access-control-allow-origin', undefined) : response,
  },
  {
    name: 'multivariant playlist redirected',
    finds: 'H4',
    response: (response, path) => (path.endsWith('index.m3u8') ? redirected : response),
  },
  {
    name: 'segment redirected',
    finds: 'H4',
    response: (response, path) => (path.endsWith('segment-7.ts') ? redirected : response),
  },
  {
    name: 'unknown playlist answers 200',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) && path.endsWith('.m3u8') ? { ...response, status: 200 } : response,
  },
  {
    name: 'unknown segment answers 200',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) && path.endsWith('.ts') ? { ...response, status: 200 } : response,
  },
  {
    name: '404 without code',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) ? { ...response, body: Buffer.from('{"message":"no"}') } : response,
  },
  {
    name: '404 as a page',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) ? withHeader(response, 'content-type', 'text/html') : response,
  },
  {
    name: 'playlist cached too long',
    finds: 'H6',
    ...changeHeader(isPlaylist, 'cache-control', 'max-age=60'),
  },
  {
    name: 'playlist without caching rule',
    finds: 'H6',
    ...changeHeader(isPlaylist, 'cache-control', undefined),
  },
  {
    name: 'playlist immutable',
    finds: 'H6',
    ...changeHeader(isPlaylist, 'cache-control', 'max-age=1, immutable'),
  },
  {
    name: 'segment not immutable',
    finds: 'H6',
    ...changeHeader(isSegment, 'cache-control', 'max-age=86400'),
  },
  {
    name: 'segment cached too briefly',
    finds: 'H6',
    ...changeHeader(isSegment, 'cache-control', 'max-age=1, immutable'),
  },
  {
    name: '404 cached for long',
    finds: 'H6',
    response: (response, path) =>
      isUnknown(path) ? withHeader(response, 'cache-control', 'max-age=86400') : response,
  },
  {
    name: 'old Last-Modified',
    finds: 'H6',
    response: (response, path) =>
      path.endsWith('video.m3u8')
        ? withHeader(
            withHeader(response, 'date', 'Thu, 01 Jan 2026 00:00:30 GMT'),
            'last-modified',
            'Thu, 01 Jan 2026 00:00:00 GMT',
          )
        : response,
  },
  {
    name: 'ranges ignored',
    finds: 'H7',
    response: (response, path, { headers }) =>
      isSegment(path) && headers.range ? { ...response, status: 200 } : response,
  },
  {
    name: 'range with other bytes',
    finds: 'H7',
    response: (response) =>
      response.status === 206 ? { ...response, body: Buffer.alloc(response.body.length) } : response,
  },
  {
    name: 'wrong Content-Range',
    finds: 'H7',
    response: (response) =>
      response.status === 206 ? withHeader(response, 'content-range', 'bytes 0-0/1') : response,
  },
  {
    name: 'no 416',
    finds: 'H7',
    response: (response) => (response.status === 416 ? { ...response, status: 404 } : response),
  },
  {
    name: '416 without size',
    finds: 'H7',
    response: (response) =>
      response.status === 416 ? withHeader(response, 'content-range', undefined) : response,
  },
  { name: 'no ETag on segments', finds: 'H7', ...changeHeader(isSegment, 'etag', undefined) },
  {
    name: 'segment ETag ignored',
    finds: 'H7',
    response: (response, path) =>
      isSegment(path) && response.status === 304 ? { ...response, status: 200 } : response,
  },
  {
    name: 'playlist ETag ignored',
    finds: 'H7',
    response: (response, path) =>
      isPlaylist(path) && response.status === 304 ? { ...response, status: 200 } : response,
  },
  {
    name: 'HEAD refused',
    finds: 'H7',
    response: (response, _, { method }) => (method === 'HEAD' ? { ...response, status: 405 } : response),
  },
  {
    name: 'HEAD without length',
    finds: 'H7',
    response: (response, path, { method }) =>
      method === 'HEAD' && isSegment(path) ? withHeader(response, 'content-length', undefined) : response,
  },
]);

// --- the parts on their own -------------------------------------------------------------------------------------

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

  it('takes the peak over runs of segments, not over a single short one', () => {
    const segments = [
      { duration: 2, bytes: 1000 },
      { duration: 0.5, bytes: 5000 },
      { duration: 2, bytes: 1000 },
    ];
    expect(peakBitRate(segments, 2)).toBe((6000 * 8) / 2.5);
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

describe('the validator', () => {
  it('sees encodings and redirects through a real server', async () => {
    const gateway = new Gateway({});
    gateway.publish();
    const server = createServer((request, response) => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      const method = request.method === 'HEAD' || request.method === 'OPTIONS' ? request.method : 'GET';
      void gateway.request(`${base}${request.url}`, { method, headers }).then((answer) => {
        response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const validator = new HlsValidator(`http://127.0.0.1:${port}/live/camera/index.m3u8`);
    await validator.poll();
    await new Promise((resolve) => server.close(resolve));
    expect(formatFindings(validator.findings)).toBe('');
    expect(validator.summary().variants[0]?.segments).toBe(1);

    await validator.poll();
    expect(checksOf(validator)).toEqual(['R2']);
  });

  it('watches until told to stop', async () => {
    const gateway = new Gateway({ media: (text, step) => (step === 4 ? `${text}#EXT-X-ENDLIST\n` : text) });
    const abort = new AbortController();
    const sleep = async (milliseconds: number) => {
      gateway.clock += milliseconds;
      gateway.step += 1;
      if (gateway.step < 5) gateway.publish();
      if (gateway.step === 4) abort.abort();
    };
    gateway.publish();
    const validator = new HlsValidator(entry, { request: gateway.request, now: () => gateway.clock, sleep });
    await expect(validator.watch({ until: abort.signal, intervalMs: 2000 })).resolves.toEqual([]);
    expect(validator.summary()).toMatchObject({ polls: 5, errors: 0, warnings: 0 });
  });

  it('reports only what is new and keeps silent about ignored checks', async () => {
    const tamper: Tamper = { window: 5, multivariant: (text) => text.replace('320x180', '320x192') };
    const validator = await watchStream(tamper, { ignore: ['P6'] });
    expect(validator.errors.map((finding) => finding.check)).toEqual(['V2']);
    expect(validator.summary().checks).toEqual({ V2: 1 });
    expect(await validator.poll()).toEqual([]);
  });

  it('watches a media playlist without a multivariant one', async () => {
    const gateway = new Gateway({});
    gateway.publish();
    const validator = new HlsValidator(`${base}/live/camera/video.m3u8`, { request: gateway.request });
    expect(await validator.poll()).toEqual([]);
  });
});
