import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import type { AmfValue } from '../../src/formats/amf/value.ts';
import { SluiceError } from '../../src/media/errors.ts';
import { ChunkReader } from '../../src/rtmp/chunk-reader.ts';
import { PublishSession } from '../../src/rtmp/publish-session.ts';
import { type PublishReceiver, type PublishRequest, ServerSession } from '../../src/rtmp/server-session.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { ChunkEncoder, filled, split } from '../rtmp/support/chunk-encoder.ts';

/** No input here is above some hundred kilobytes; this is some hundred times what the slowest takes. */
const PATIENCE_MS = 1000;

/** How an application answers publish requests. */
type Policy = 'accept' | 'reject' | 'later';

/** A session after its handshake whose handlers watch that the rules between it and its owner are kept. */
class Watched {
  written = 0;
  requests = 0;
  ends = 0;
  accepted = 0;
  media = 0;
  closes = 0;
  readonly #policy: Policy;
  readonly #session: ServerSession;
  readonly #waiting: PublishRequest[] = [];
  readonly #broken: string[] = [];
  #over = false;

  constructor(policy: Policy) {
    this.#policy = policy;
    this.#session = new ServerSession({
      congested: () => false,
      write: (bytes) => {
        this.#check('write');
        this.written += bytes.length;
      },
      publish: (request) => {
        this.#check('publish');
        this.requests++;
        if (policy === 'accept') this.#accept(request);
        else if (policy === 'reject') request.reject(new SluiceError('SLUICE_RTMP_BAD_NAME', 'no'));
        else this.#waiting.push(request);
      },
      close: () => {
        this.#check('close');
        this.closes++;
        this.#over = true;
      },
    });
    this.#session.push(Buffer.concat([Buffer.of(3), Buffer.alloc(3072)]));
    this.written = 0;
  }

  /** Everything goes in, piece by piece, until the session has had enough. Any error but a SluiceError passes. */
  run(pieces: readonly Buffer[]): void {
    const before = process.cpuUsage();
    for (const piece of pieces) {
      const code = failure(() => this.#session.push(piece));
      if (code !== undefined) {
        expect(code).toMatch(/^SLUICE_(RTMP|AMF|FLV)_/);
        break;
      }
      if (this.#policy === 'later' && this.#waiting.length > 2) this.#decide();
    }
    this.#session.end();
    this.#over = true;
    for (const piece of pieces) this.#session.push(piece);
    this.#session.ping(1);
    this.#session.dismiss('SLUICE_SHUTTING_DOWN');
    this.#decide();
    this.#session.end();
    // Not by the clock: other programs on this computer have their time too.
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(PATIENCE_MS);
    expect(this.#broken).toEqual([]);
    expect(this.ends).toBe(this.accepted);
    expect(this.closes).toBeLessThanOrEqual(1);
    expect(this.#session.publishing).toBe(false);
  }

  #decide(): void {
    for (const request of this.#waiting.splice(0)) {
      const code = failure(() => this.#accept(request));
      // Held messages are decoded here.
      if (code !== undefined) expect(code).toMatch(/^SLUICE_AMF_/);
    }
  }

  #accept(request: PublishRequest): void {
    this.accepted++;
    let ended = false;
    const media = (kind: string) => {
      this.#check(kind);
      if (ended) this.#broken.push(`${kind} after end`);
      this.media++;
    };
    const receiver: PublishReceiver = {
      audio: () => media('audio'),
      video: () => media('video'),
      data: () => media('data'),
      damaged: () => media('damaged'),
      end: () => {
        if (ended) this.#broken.push('a second end');
        ended = true;
        this.ends++;
      },
    };
    request.accept(receiver);
  }

  #check(what: string): void {
    if (this.#over) this.#broken.push(`${what} after the close`);
  }
}

function command(streamId: number, ...values: AmfValue[]): [number, number, number, Buffer] {
  return [3, 20, streamId, encodeAmf0(values)];
}

/** What an encoder sends from connect to goodbye, as chunk stream, type, stream id and body. */
const SESSION: readonly [csid: number, type: number, streamId: number, body: Buffer][] = [
  command(0, 'connect', 1, { app: 'live', flashVer: 'FMLE/3.0', tcUrl: 'rtmp://h/live', objectEncoding: 0 }),
  command(0, 'releaseStream', 2, null, 'test'),
  command(0, 'FCPublish', 3, null, 'test'),
  command(0, 'createStream', 4, null),
  command(1, 'publish', 5, null, 'test', 'live'),
  [4, 18, 1, encodeAmf0(['@setDataFrame', 'onMetaData', { width: 1280, videocodecid: 7 }])],
  [4, 8, 1, hex('af00 1190')],
  [6, 9, 1, filled(700)],
  [4, 8, 1, filled(200)],
  [2, 5, 0, hex('00000400')],
  [2, 4, 0, hex('0006 00000001')],
  [4, 22, 1, hex('08 000002 000001 00 000000 af01 0000000d  09 000002 000005 00 000000 2701 0000000d')],
  [4, 17, 0, Buffer.concat([hex('00'), encodeAmf0(['createStream', 6, null])])],
  [6, 9, 1, filled(300)],
  command(0, 'FCUnpublish', 7, null, 'test'),
  command(0, 'deleteStream', 8, null, 1),
];

function chunkList(times: (index: number) => number): Buffer[] {
  const encoder = new ChunkEncoder();
  return SESSION.map(([csid, type, streamId, body], index) => {
    const message = { type, timestamp: times(index), streamId, body };
    return encoder.encode(csid, message, { format: encoder.formats(csid, message).at(-1) ?? 0 });
  });
}

function chunks(times: (index: number) => number): Buffer {
  return Buffer.concat(chunkList(times));
}

type Mutation = readonly [
  kind: 'set' | 'insert' | 'remove' | 'cut' | 'repeat' | 'flip',
  share: number,
  byte: number,
];

function mutate(bytes: Buffer, [kind, share, byte]: Mutation): Buffer {
  const at = Math.floor(share * bytes.length);
  const head = bytes.subarray(0, at);
  const tail = bytes.subarray(at);
  switch (kind) {
    case 'set':
      return Buffer.concat([head, Buffer.of(byte), tail.subarray(1)]);
    case 'flip':
      return Buffer.concat([head, Buffer.of((tail[0] ?? 0) ^ (1 << (byte & 7))), tail.subarray(1)]);
    case 'insert':
      return Buffer.concat([head, Buffer.of(byte), tail]);
    case 'remove':
      return Buffer.concat([head, tail.subarray(1 + (byte % 16))]);
    case 'cut':
      return head;
    case 'repeat':
      return Buffer.concat([head, tail.subarray(0, byte * 4), tail]);
  }
}

const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom(
    'set' as const,
    'flip' as const,
    'insert' as const,
    'remove' as const,
    'cut' as const,
    'repeat' as const,
  ),
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 0x14, 0x42, 0x7f, 0x80, 0xc3, 0xc4, 0xff)),
);

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })), {
  minLength: 1,
  maxLength: 6,
});

const policy = fc.constantFrom<Policy>('accept', 'reject', 'later');

// Uniform bytes end at the first fmt 3; mostly headers of known streams and short lengths do not.
const likelyByte = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4, 8, 9, 18, 20, 22) },
  { weight: 1, arbitrary: fc.constantFrom(0x02, 0x03, 0x04, 0x42, 0x43, 0x44, 0x83, 0x84, 0xc3, 0xc4) },
  { weight: 1, arbitrary: fc.nat(255) },
);

describe('ServerSession', () => {
  it('reaches the end of an undamaged session', () => {
    const watched = new Watched('accept');
    watched.run(
      split(
        chunks((index) => index * 20),
        [7],
      ),
    );
    expect(watched).toMatchObject({ requests: 1, accepted: 1, ends: 1, media: 7, closes: 0 });
  });

  it('survives random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), sizes, policy, (bytes, cuts, how) => {
        new Watched(how).run(split(Buffer.from(bytes), cuts));
      }),
      { numRuns: 500 },
    );
  });

  it('survives likely bytes', () => {
    fc.assert(
      fc.property(fc.array(likelyByte, { maxLength: 600 }), sizes, policy, (bytes, cuts, how) => {
        new Watched(how).run(split(Buffer.from(bytes), cuts));
      }),
      { numRuns: 500 },
    );
  });

  it('survives damaged sessions', () => {
    const sessions = [chunkList((index) => index * 20), chunkList((index) => 0xfffff0 + index * 5)];
    let media = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...sessions),
        // The damage begins with this message, or behind publish most would never be reached.
        fc.constantFrom(0, 5, 6, 8, 10),
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        sizes,
        policy,
        (session, from, mutations, cuts, how) => {
          const watched = new Watched(how);
          const damaged = mutations.reduce(mutate, Buffer.concat(session.slice(from)));
          watched.run(split(Buffer.concat([...session.slice(0, from), damaged]), cuts));
          media += watched.media;
        },
      ),
      { numRuns: 1000 },
    );
    // Most damage lets something through, or these would test the first error over and over.
    expect(media).toBeGreaterThan(200);
  });

  it('survives messages of any type with any content, in any order', () => {
    const value: fc.Arbitrary<AmfValue> = fc.oneof(
      fc.constantFrom<AmfValue>(null, undefined, true, 'test', 'live', '', 0, 1, 2, -1, Number.NaN, 2 ** 40),
      fc.constant<AmfValue>({ app: 'live' }),
    );
    const name = fc.constantFrom(
      ...[
        'connect',
        'createStream',
        'publish',
        'publish',
        'closeStream',
        'deleteStream',
        'play',
        'FCPublish',
      ],
      ...['getStreamLength', '@setDataFrame', 'onMetaData', '_result', 'what'],
    );
    const command = fc
      .tuple(name, fc.array(value, { maxLength: 4 }))
      .map(([first, rest]) => encodeAmf0([first, ...rest]));
    const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
    const times = { timestamp: fc.nat(0xffffffff), streamId: fc.constantFrom(0, 1, 1, 2, 0xffffffff) };
    const message = fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({ type: fc.constantFrom(20, 20, 17, 18, 15), body: command, ...times }),
      },
      { weight: 12, arbitrary: fc.record({ type: fc.constantFrom(8, 9), body: noise, ...times }) },
      { weight: 1, arbitrary: fc.record({ type: fc.nat(255), body: noise, ...times }) },
    );
    let requests = 0;
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), sizes, policy, (messages, cuts, how) => {
        const encoder = new ChunkEncoder();
        const connect = encodeAmf0(['connect', 1, { app: 'live' }]);
        const bytes = [encoder.encode(3, { type: 20, timestamp: 0, streamId: 0, body: connect })];
        for (const each of messages) {
          // A chunk size that the encoder does not know of would only end in an error.
          if (each.type !== 1) bytes.push(encoder.encode(4, each));
        }
        const watched = new Watched(how);
        watched.run(split(Buffer.concat(bytes), cuts));
        requests += watched.requests;
      }),
      { numRuns: 500 },
    );
    expect(requests).toBeGreaterThan(30);
  });

  it('answers are not out of proportion to the questions', () => {
    const encoder = new ChunkEncoder();
    const messages: [number, Buffer][] = [
      [20, encodeAmf0(['connect', 1])],
      [20, encodeAmf0(['x', 1])],
      [20, encodeAmf0(['play'])],
      [6, hex('00000001')],
      [4, hex('0006 00000001')],
    ];
    for (const [type, body] of messages) {
      const watched = new Watched('accept');
      const question = encoder.encode(3, { type, timestamp: 0, streamId: 0, body });
      const questions = Buffer.alloc(question.length * 200, question);
      watched.run([questions]);
      // connect has the longest answer, about a kilobyte.
      expect(watched.written / questions.length).toBeLessThan(60);
    }
  });

  it('keeps nothing of a long session of small messages', () => {
    const watched = new Watched('later');
    const before = process.memoryUsage();
    const encoder = new ChunkEncoder();
    const pieces: Buffer[] = [];
    const send = (csid: number, type: number, streamId: number, body: Buffer) =>
      pieces.push(encoder.encode(csid, { type, timestamp: 0, streamId, body }));
    for (const [csid, type, streamId, body] of SESSION.slice(0, 5)) send(csid, type, streamId, body);
    send(4, 8, 1, Buffer.alloc(0));
    for (let n = 0; n < 20; n++) pieces.push(Buffer.alloc(20_000, 0xc4));
    for (let n = 0; n < 5000; n++) send(3, 20, 1000 + n, encodeAmf0(['closeStream', 0, null]));
    watched.run(pieces);
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(100 * 1024 * 1024);
    // Without the limits on what is held, it would be the 400 000 messages.
    expect(watched.media).toBeLessThan(10_000);
  });
});

describe('ChunkReader', () => {
  it('fails in any pieces as it fails in one', () => {
    const outcome = (pieces: readonly Buffer[]) => {
      const messages: string[] = [];
      const reader = new ChunkReader(({ type, timestamp, streamId, body }) =>
        messages.push(`${type} ${timestamp} ${streamId} ${body.toString('hex')}`),
      );
      const code = failure(() => {
        for (const piece of pieces) reader.push(piece);
      });
      return { code, messages };
    };
    const session = chunks((index) => 0xfffff0 + index * 5);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(mutation, { maxLength: 4 }).map((mutations) => mutations.reduce(mutate, session)),
          fc.array(likelyByte, { maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
        ),
        sizes,
        (bytes, cuts) => {
          expect(outcome(split(bytes, cuts))).toEqual(outcome([bytes]));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('PublishSession', () => {
  it('survives any server', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
          fc.array(likelyByte, { maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
          fc.array(mutation, { maxLength: 4 }).map((mutations) =>
            mutations.reduce(
              mutate,
              chunks((index) => index),
            ),
          ),
        ),
        sizes,
        (bytes, cuts) => {
          const before = process.cpuUsage();
          let written = 0;
          const session = new PublishSession(
            { app: 'live', key: 'test', tcUrl: 'rtmp://h/live' },
            {
              write: (out) => {
                written += out.length;
              },
              ready: () => {},
              refused: () => {},
            },
          );
          session.start();
          session.push(Buffer.alloc(3073, 3));
          const code = failure(() => {
            for (const piece of split(bytes, cuts)) session.push(piece);
          });
          if (code !== undefined) expect(code).toMatch(/^SLUICE_(RTMP|AMF)_/);
          expect(written).toBeLessThan(10_000 + 20 * bytes.length);
          const { user, system } = process.cpuUsage(before);
          expect((user + system) / 1000).toBeLessThan(PATIENCE_MS);
        },
      ),
      { numRuns: 500 },
    );
  });
});
