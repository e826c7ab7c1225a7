import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChunkReader } from '../../src/rtmp/chunk-reader.ts';
import { RTMP_LIMITS } from '../../src/rtmp/limits.ts';
import type { RtmpMessage } from '../../src/rtmp/message.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { cpuMs } from '../support/cpu-time.ts';
import {
  type BasicSize,
  basicHeader,
  ChunkEncoder,
  type Format,
  filled,
  type OpenMessage,
  readable,
  split,
} from './support/chunk-encoder.ts';

function message(timestamp: number, body: Buffer, type = 9, streamId = 1): RtmpMessage {
  return { type, timestamp, streamId, body };
}

/** What a reader makes of `pieces`. */
function read(...pieces: Buffer[]): RtmpMessage[] {
  const messages: RtmpMessage[] = [];
  const reader = new ChunkReader((received) => messages.push(received));
  for (const piece of pieces) {
    const bytes = Buffer.from(piece);
    reader.push(bytes);
    // As a socket's read buffer is: nothing of it may be kept.
    bytes.fill(0xee);
  }
  return messages;
}

function times(...pieces: Buffer[]): number[] {
  return read(...pieces).map((received) => received.timestamp);
}

function setChunkSize(size: number, csid = 2): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(size);
  return Buffer.concat([basicHeader(0, csid), hex('000000 000004 01 00000000'), body]);
}

function abort(csid: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(csid);
  return Buffer.concat([hex('02 000000 000004 02 00000000'), body]);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('basic header', () => {
  const rest = hex('000005 000001 09 01000000 aa');
  const expected = [message(5, hex('aa'))];

  it.each([
    ['2, one byte', '02'],
    ['63, one byte', '3f'],
    ['64, two bytes', '00 00'],
    ['319, two bytes', '00 ff'],
    ['64, three bytes', '01 00 00'],
    ['65599, three bytes', '01 ff ff'],
  ])('%s', (_name, header) => {
    expect(read(Buffer.concat([hex(header), rest]))).toEqual(expected);
  });

  it('names the same chunk stream in the two- and the three-byte form', () => {
    // 64 + 6 in two bytes, then continued (fmt 1, 2, 3) in three, low byte first.
    expect(
      read(
        hex('00 06 000005 000001 09 01000000 aa  41 06 00 000002 000001 08 bb  81 06 00 000003 cc  c0 06 dd'),
      ),
    ).toEqual([
      message(5, hex('aa')),
      message(7, hex('bb'), 8),
      message(10, hex('cc'), 8),
      message(13, hex('dd'), 8),
    ]);
  });

  it('reads the three-byte form low byte first', () => {
    // 64 + 0x01 + 0x0200 is not 64 + 0x02 + 0x0100, so the latter is still unused.
    const reader = new ChunkReader(() => {});
    reader.push(Buffer.concat([hex('01 01 02'), rest]));
    expect(failure(() => reader.push(hex('c1 01 02 aa')))).toBeUndefined();
    expect(failure(() => reader.push(hex('c1 02 01')))).toBe('SLUICE_RTMP_BAD_CHUNK');
  });
});

describe('message header', () => {
  it('has the stream id low byte first and everything else high byte first', () => {
    expect(read(hex('03 010203 000002 14 04030201 abcd'))).toEqual([
      { type: 0x14, timestamp: 0x010203, streamId: 0x01020304, body: hex('abcd') },
    ]);
  });

  it('fmt 1 keeps the stream id, fmt 2 also length and type, fmt 3 also the delta', () => {
    expect(
      read(
        hex('04 000064 000001 09 01000000 01'),
        hex('44 00000a 000002 08 0203'),
        hex('84 000014 0405'),
        hex('c4 0607'),
        hex('c4 0809'),
      ),
    ).toEqual([
      message(100, hex('01')),
      message(110, hex('0203'), 8),
      message(130, hex('0405'), 8),
      message(150, hex('0607'), 8),
      message(170, hex('0809'), 8),
    ]);
  });

  it('fmt 3 after fmt 0 repeats the timestamp as the delta, as FMLE sends it', () => {
    expect(times(hex('04 00001a 000001 08 01000000 aa'), hex('c4 bb'), hex('c4 cc'))).toEqual([26, 52, 78]);
  });

  it('fmt 1 may be the first on a chunk stream: librtmp pings so', () => {
    expect(read(hex('42 000000 000006 04 0006 00000001'))).toEqual([
      { type: 4, timestamp: 0, streamId: 0, body: hex('0006 00000001') },
    ]);
  });

  it.each([
    ['fmt 2', '82 000000 00'],
    ['fmt 3', 'c2'],
  ])('%s on an unused chunk stream is an error', (_name, bytes) => {
    expect(failure(() => read(hex(bytes)))).toBe('SLUICE_RTMP_BAD_CHUNK');
  });

  it('timestamps wrap at 2^32', () => {
    expect(times(hex('04 ffffff 000001 08 01000000 ffffffff aa'), hex('44 000014 000001 08 bb'))).toEqual([
      0xffffffff, 19,
    ]);
  });

  it('a new header inside a message gives that message up', () => {
    const encoder = new ChunkEncoder();
    const lost = encoder.open(4, message(10, filled(300)), { format: 0 });
    const kept = message(50, filled(200, 2));
    expect(read(lost.next(), lost.next(), encoder.encode(4, kept, { format: 1 }))).toEqual([kept]);
  });

  it('zero-length messages are complete with their header, also as fmt 3', () => {
    const empty = Buffer.alloc(0);
    expect(read(hex('04 000001 000000 08 01000000'), hex('c4'), hex('84 000005'), hex('c4'))).toEqual([
      message(1, empty, 8),
      message(2, empty, 8),
      message(7, empty, 8),
      message(12, empty, 8),
    ]);
  });
});

describe('extended timestamp', () => {
  it('0xFFFFFE needs none', () => {
    expect(times(hex('04 fffffe 000001 08 01000000 aa'))).toEqual([0xfffffe]);
  });

  it.each([0xffffff, 0x1000000, 0x7fffffff, 0xffffffff])('%i has one', (timestamp) => {
    const field = Buffer.alloc(4);
    field.writeUInt32BE(timestamp);
    expect(read(hex('04 ffffff 000001 08 01000000'), field, hex('aa'))).toEqual([
      message(timestamp, hex('aa'), 8),
    ]);
  });

  it.each([
    ['repeated on fmt 3', true],
    ['not repeated on fmt 3', false],
  ])('%s', (_name, repeat) => {
    const sent = [
      message(0x1000000, filled(500)),
      message(0x1000028, filled(400, 2)),
      message(0x1000028, filled(400, 3)),
    ];
    const encoder = new ChunkEncoder();
    const bytes = Buffer.concat([
      encoder.encode(6, message(0xfffffe, filled(300, 4)), { format: 0, repeat }),
      ...sent.map((each) => encoder.encode(6, each, { format: 0, repeat })),
    ]);
    expect(read(bytes)).toEqual([message(0xfffffe, filled(300, 4)), ...sent]);
    expect(read(...split(bytes, [1]))).toEqual([message(0xfffffe, filled(300, 4)), ...sent]);
  });

  it('is decided by the header: 300 bytes at 0xFFFFFF in three chunks', () => {
    const body = filled(300);
    const bytes = [
      hex('04 ffffff 00012c 09 01000000 00ffffff'),
      body.subarray(0, 128),
      hex('c4 00ffffff'),
      body.subarray(128, 256),
      hex('c4 00ffffff'),
      body.subarray(256),
    ];
    expect(read(Buffer.concat(bytes))).toEqual([message(0xffffff, body)]);
  });

  it('a fmt 3 that begins a message keeps the time of an extended full header', () => {
    expect(
      times(hex('04 ffffff 000001 08 01000000 01000000 aa'), hex('c4 01000000 bb'), hex('c4 01000000 cc')),
    ).toEqual([0x1000000, 0x1000000, 0x1000000]);
  });

  it('a fmt 3 that begins a message may bring a new absolute time, and repeat it', () => {
    expect(
      times(
        hex('04 ffffff 000001 08 01000000 01000000 aa'),
        hex('c4 01000014 bb'),
        hex('c4 01000014 cc'),
        hex('c4 01000028 dd'),
      ),
    ).toEqual([0x1000000, 0x1000014, 0x1000014, 0x1000028]);
  });

  it('a fmt 3 after an extended delta adds that delta again', () => {
    expect(
      times(
        hex('04 000000 000001 08 01000000 aa'),
        hex('44 ffffff 000001 08 01000000 bb'),
        hex('c4 01000000 cc'),
      ),
    ).toEqual([0, 0x1000000, 0x2000000]);
  });

  it('on a delta header is absolute when it is near the last time', () => {
    expect(
      times(
        hex('04 ffffff 000001 08 01000000 01000000 aa'),
        hex('44 ffffff 000001 08 01000028 bb'),
        hex('84 ffffff 01000050 cc'),
      ),
    ).toEqual([0x1000000, 0x1000028, 0x1000050]);
  });

  it('waits for all of its bytes', () => {
    const bytes = hex('04 ffffff 000001 08 01000000 01000000 aa');
    for (let at = 1; at < bytes.length; at++) {
      expect(read(bytes.subarray(0, at))).toEqual([]);
      expect(times(bytes.subarray(0, at), bytes.subarray(at))).toEqual([0x1000000]);
    }
  });
});

describe('Set Chunk Size', () => {
  it('holds for the next chunk, also of a message that has begun on another chunk stream', () => {
    const encoder = new ChunkEncoder();
    const sent = message(0, filled(1000));
    const open = encoder.open(4, sent, { format: 0 });
    const pieces = [open.next(), setChunkSize(300)];
    encoder.chunkSize = 300;
    pieces.push(open.next(), setChunkSize(4096));
    encoder.chunkSize = 4096;
    while (!open.done) pieces.push(open.next());
    expect(pieces.map((piece) => piece.length)).toEqual([12 + 128, 16, 1 + 300, 16, 1 + 572]);
    expect(read(...pieces)).toEqual([sent]);
  });

  it('ignores the top bit and may be sent on any chunk stream', () => {
    const encoder = new ChunkEncoder();
    encoder.chunkSize = 4096;
    const sent = message(0, filled(4000));
    expect(read(setChunkSize(0x80001000, 5), encoder.encode(4, sent))).toEqual([sent]);
  });

  it.each([0x7fffffff, 0x1000000, 0xffffff])('%i is as good as unlimited', (size) => {
    const encoder = new ChunkEncoder();
    encoder.chunkSize = size;
    const sent = message(0, filled(70_000));
    expect(read(setChunkSize(size), encoder.encode(4, sent))).toEqual([sent]);
  });

  it.each([0, 1, 127, 0x80000000])('%i is refused', (size) => {
    expect(failure(() => read(setChunkSize(size)))).toBe('SLUICE_RTMP_LIMIT');
  });

  it('cut short is refused', () => {
    expect(failure(() => read(hex('02 000000 000003 01 00000000 000010')))).toBe('SLUICE_RTMP_BAD_CHUNK');
  });
});

describe('Abort', () => {
  it('drops what has come of the message; the chunk stream goes on', () => {
    const encoder = new ChunkEncoder();
    const lost = encoder.open(4, message(10, filled(300)), { format: 0 });
    const other = encoder.open(6, message(11, filled(200, 2)), { format: 0 });
    const kept = message(20, filled(150, 3));
    const bytes = [lost.next(), other.next(), abort(4), other.next(), encoder.encode(4, kept, { format: 1 })];
    expect(read(...bytes)).toEqual([message(11, filled(200, 2)), kept]);
  });

  it('of nothing does nothing', () => {
    const encoder = new ChunkEncoder();
    const kept = message(20, filled(150));
    expect(read(abort(4), encoder.encode(4, kept), abort(4), abort(77), abort(2))).toEqual([kept]);
  });

  it('cut short is refused', () => {
    expect(failure(() => read(hex('02 000000 000003 02 00000000 000010')))).toBe('SLUICE_RTMP_BAD_CHUNK');
  });

  it('frees its share of the bytes in unfinished messages', () => {
    const reader = new ChunkReader(() => {});
    const encoder = new ChunkEncoder();
    encoder.chunkSize = 4 * 1024 * 1024;
    reader.push(setChunkSize(encoder.chunkSize));
    const body = Buffer.alloc(8 * 1024 * 1024);
    for (let turn = 0; turn < 8; turn++) {
      reader.push(encoder.open(4, message(0, body), { format: 0 }).next());
      reader.push(abort(4));
    }
    expect(turnsUntilRefused(reader, encoder, body)).toBe(5);
  });
});

/** Half-sent messages of 4 MiB on new chunk streams until the reader has had enough. */
function turnsUntilRefused(reader: ChunkReader, encoder: ChunkEncoder, body: Buffer): number {
  for (let turn = 1; ; turn++) {
    const chunk = encoder.open(9 + turn, message(0, body), { format: 0 }).next();
    const code = failure(() => reader.push(chunk));
    if (code === undefined) continue;
    expect(code).toBe('SLUICE_RTMP_LIMIT');
    return turn;
  }
}

describe('limits', () => {
  const header = (length: number, type: number) => {
    const bytes = hex('04 000000 000000 00 01000000');
    bytes.writeUIntBE(length, 4, 3);
    bytes.writeUInt8(type, 7);
    return bytes;
  };

  it.each([
    [8, RTMP_LIMITS.mediaMessageBytes],
    [9, RTMP_LIMITS.mediaMessageBytes],
    [22, RTMP_LIMITS.mediaMessageBytes],
    [18, RTMP_LIMITS.otherMessageBytes],
    [20, RTMP_LIMITS.otherMessageBytes],
    [1, RTMP_LIMITS.otherMessageBytes],
    [99, RTMP_LIMITS.otherMessageBytes],
  ])('messages of type %i have at most %i bytes', (type, limit) => {
    expect(failure(() => read(header(limit, type)))).toBeUndefined();
    expect(failure(() => read(header(limit + 1, type)))).toBe('SLUICE_RTMP_LIMIT');
  });

  it('a message as long as allowed arrives whole', () => {
    const sent = message(0, filled(RTMP_LIMITS.mediaMessageBytes));
    const encoder = new ChunkEncoder();
    encoder.chunkSize = 65_536;
    const bytes = Buffer.concat([setChunkSize(65_536), encoder.encode(4, sent)]);
    const [received] = read(...split(bytes, [65_536]));
    expect(received?.body.equals(sent.body)).toBe(true);
  });

  it('at most 64 chunk streams', () => {
    const reader = new ChunkReader(() => {});
    const encoder = new ChunkEncoder();
    const open = (csid: number) => encoder.encode(csid, message(0, hex('aa')), { format: 0, basic: 3 });
    for (let n = 0; n < RTMP_LIMITS.chunkStreams; n++) reader.push(open(2 + n * 1000));
    reader.push(open(2));
    expect(failure(() => reader.push(open(3)))).toBe('SLUICE_RTMP_LIMIT');
  });

  it('at most 16 MiB in unfinished messages', () => {
    const reader = new ChunkReader(() => {});
    const encoder = new ChunkEncoder();
    encoder.chunkSize = 4 * 1024 * 1024;
    reader.push(setChunkSize(encoder.chunkSize));
    expect(turnsUntilRefused(reader, encoder, Buffer.alloc(8 * 1024 * 1024))).toBe(5);
  });

  it('a lying length takes no more memory than is trusted to it', () => {
    const sizes: number[] = [];
    for (const name of ['allocUnsafe', 'allocUnsafeSlow', 'alloc'] as const) {
      const original = Buffer[name].bind(Buffer);
      vi.spyOn(Buffer, name).mockImplementation((size: number) => {
        sizes.push(size);
        return original(size);
      });
    }
    const reader = new ChunkReader(() => {});
    reader.push(Buffer.concat([header(RTMP_LIMITS.mediaMessageBytes, 9), Buffer.alloc(128)]));
    expect(Math.max(...sizes)).toBe(256 * 1024);
    // From there on only as bytes come: never more than twice what is there.
    let received = 128;
    const chunk = Buffer.concat([hex('c4'), Buffer.alloc(128)]);
    while (received < 1024 * 1024) {
      reader.push(chunk);
      received += 128;
      expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.max(256 * 1024, 2 * received));
    }
  });

  it('messages begun and given up for ever neither pile up nor take long', () => {
    const reader = new ChunkReader(() => {});
    const chunk = Buffer.concat([header(RTMP_LIMITS.mediaMessageBytes, 9), Buffer.alloc(128)]);
    const read64k = Buffer.concat(Array.from({ length: 468 }, () => chunk));
    const before = process.memoryUsage().arrayBuffers;
    const used = cpuMs(() => {
      for (let n = 0; n < 16; n++) reader.push(read64k);
    });
    // Seconds on a slow machine; messages that pile up take minutes.
    expect(used).toBeLessThan(10_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(512 * 1024 * 1024);
  });
});

describe('ownership', () => {
  it('bodies do not change when the input buffer is used again', () => {
    const input = hex('04 000000 000004 09 01000000 01020304');
    const messages: RtmpMessage[] = [];
    const reader = new ChunkReader((received) => messages.push(received));
    reader.push(input.subarray(0, 13));
    reader.push(input.subarray(13));
    input.fill(0xff);
    expect(messages).toEqual([message(0, hex('01020304'))]);
  });
});

interface Step {
  readonly action: 'chunk' | 'giveUp' | 'abort' | 'chunkSize' | 'control';
  readonly slot: number;
  readonly type: number;
  readonly streamId: number;
  readonly time: { readonly absolute: number } | { readonly later: number } | 'sameDelta';
  readonly length: number;
  readonly sameShape: boolean;
  /** Whether the payload begins like the extended timestamp that might stand before it. */
  readonly trap: boolean;
  readonly format: number;
  readonly basic: BasicSize;
  readonly repeat: boolean;
  readonly chunkSize: number;
}

const CSIDS = [3, 63, 64, 319, 320, 65_599] as const;

const timestamp = fc.oneof(
  fc.constantFrom(0, 1, 26, 0xfffffe, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.nat(0xffffffff),
);

const step: fc.Arbitrary<Step> = fc.record({
  action: fc.oneof(
    { weight: 20, arbitrary: fc.constant('chunk' as const) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'giveUp' as const,
        'abort' as const,
        'chunkSize' as const,
        'control' as const,
      ),
    },
  ),
  slot: fc.nat(CSIDS.length - 1),
  type: fc.constantFrom(8, 9, 18, 20, 22),
  streamId: fc.constantFrom(1, 1, 1, 0, 0x01020304),
  time: fc.oneof(
    timestamp.map((absolute) => ({ absolute })),
    fc.oneof(fc.constantFrom(0, 20, 0xfffffe, 0xffffff, 0x1000000), fc.nat(5000)).map((later) => ({ later })),
    fc.constant('sameDelta' as const),
  ),
  length: fc.oneof(fc.constantFrom(0, 1, 3, 4, 127, 128, 129, 256, 257), fc.nat(900)),
  sameShape: fc.boolean(),
  trap: fc.boolean(),
  format: fc.nat(3),
  basic: fc.constantFrom<BasicSize>(1, 2, 3),
  repeat: fc.boolean(),
  chunkSize: fc.constantFrom(128, 129, 200, 500, 4096, 0x7fffffff),
});

/** Carries the steps out; returns the bytes and the messages that have to come out of them, in order. */
function perform(steps: readonly Step[]): { bytes: Buffer; expected: RtmpMessage[]; formats: Set<Format> } {
  const encoder = new ChunkEncoder();
  const open = new Map<number, OpenMessage>();
  const last = new Map<number, { message: RtmpMessage; delta: number }>();
  const pieces: Buffer[] = [];
  const expected: RtmpMessage[] = [];
  const formats = new Set<Format>();

  const chunk = (of: OpenMessage) => {
    pieces.push(of.next());
    if (!of.done) return;
    open.delete(of.chunkStreamId);
    expected.push(of.message);
  };
  const begin = (csid: number, wish: Step, fresh: boolean) => {
    const before = last.get(csid);
    const from = before?.message.timestamp ?? 0;
    const { time } = wish;
    const delta = time === 'sameDelta' ? (before?.delta ?? 0) : 'later' in time ? time.later : null;
    const at =
      delta === null && typeof time === 'object' && 'absolute' in time ? time.absolute : from + (delta ?? 0);
    const shape = wish.sameShape && before !== undefined ? before.message : null;
    const body = filled(shape?.body.length ?? wish.length, wish.format + wish.length);
    const timestamp = at >>> 0;
    if (wish.trap && body.length >= 4) body.writeUInt32BE(timestamp);
    if (wish.trap && body.length >= 132) body.writeUInt32BE(timestamp, 128);
    const next: RtmpMessage = {
      type: shape?.type ?? wish.type,
      timestamp,
      streamId: shape?.streamId ?? wish.streamId,
      body,
    };
    const allowed = encoder.formats(csid, next, fresh);
    const format = allowed[Math.min(wish.format, allowed.length - 1)] ?? 0;
    formats.add(format);
    last.set(csid, { message: next, delta: format === 0 ? timestamp : (timestamp - from) >>> 0 });
    const begun = encoder.open(csid, next, { format, basic: wish.basic, repeat: wish.repeat });
    open.set(csid, begun);
    chunk(begun);
  };

  for (const each of steps) {
    const csid = CSIDS[each.slot] ?? 3;
    const unfinished = open.get(csid);
    if (each.action === 'chunk') {
      if (unfinished === undefined) begin(csid, each, false);
      else chunk(unfinished);
    } else if (each.action === 'giveUp') {
      begin(csid, each, unfinished !== undefined);
    } else if (each.action === 'abort') {
      pieces.push(abort(csid));
      open.delete(csid);
    } else if (each.action === 'chunkSize') {
      pieces.push(setChunkSize(each.chunkSize));
      encoder.chunkSize = each.chunkSize;
    } else {
      pieces.push(hex('02 000000 000004 03 00000000 00000007'));
      expected.push({ type: 3, timestamp: 0, streamId: 0, body: hex('00000007') });
    }
  }
  for (const rest of [...open.values()]) while (!rest.done) chunk(rest);
  return { bytes: Buffer.concat(pieces), expected, formats };
}

describe('any messages', () => {
  it('come out as they went in, in any encoding and any split', () => {
    const seen = new Set<Format>();
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(
          fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2000 })),
          {
            minLength: 1,
            maxLength: 10,
          },
        ),
        (steps, sizes) => {
          const { bytes, expected, formats } = perform(steps);
          for (const format of formats) seen.add(format);
          expect(readable(read(...split(bytes, sizes)))).toEqual(readable(expected));
        },
      ),
      { numRuns: 500 },
    );
    expect([...seen].sort()).toEqual([0, 1, 2, 3]);
  });
});
