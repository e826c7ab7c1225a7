import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientHandshake, ServerHandshake } from '../../src/rtmp/handshake.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { split } from './support/chunk-encoder.ts';
import { checkAnswer, DIGEST_BLOCKS, signedC1 } from './support/digest-client.ts';

const SIZE = 1536;

function simpleC1(version = 0): Buffer {
  const c1 = randomBytes(SIZE);
  c1.writeUInt32BE(version, 4);
  return c1;
}

/** S0, S1 and S2 of a server that got C0 and C1. */
function answer(c1: Buffer, version = 3): { s0: Buffer; s1: Buffer; s2: Buffer; length: number } {
  const { response, rest } = new ServerHandshake().push(Buffer.concat([Buffer.of(version), c1]));
  expect(rest).toBeNull();
  return {
    s0: response.subarray(0, 1),
    s1: response.subarray(1, 1 + SIZE),
    s2: response.subarray(1 + SIZE),
    length: response.length,
  };
}

describe('simple handshake', () => {
  it('is answered in one piece: version 3, four zero bytes in S1, C1 as S2', () => {
    const c1 = simpleC1();
    const { s0, s1, s2, length } = answer(c1);
    expect(length).toBe(1 + 2 * SIZE);
    expect(s0).toEqual(hex('03'));
    expect(s1.subarray(4, 8)).toEqual(hex('00000000'));
    expect(s2.equals(c1)).toBe(true);
  });

  it('has random bytes in S1', () => {
    const one = answer(simpleC1()).s1.subarray(8);
    const other = answer(simpleC1()).s1.subarray(8);
    expect(one.equals(other)).toBe(false);
    expect(new Set(one).size).toBeGreaterThan(200);
  });

  it('is what a client gets that announces a version but does not sign', () => {
    const c1 = simpleC1(0x80000302);
    const { s1, s2 } = answer(c1);
    expect(s1.subarray(4, 8)).toEqual(hex('00000000'));
    expect(s2.equals(c1)).toBe(true);
  });

  it('is what a client gets whose signature is wrong in one bit', () => {
    for (const block of Object.values(DIGEST_BLOCKS)) {
      const c1 = signedC1(block);
      c1.writeUInt8(c1.readUInt8(700) ^ 1, 700);
      expect(answer(c1).s2.equals(c1)).toBe(true);
    }
  });

  it('is what a client gets that signs but announces version 0', () => {
    const c1 = signedC1(DIGEST_BLOCKS.keyFirst);
    c1.writeUInt32BE(0, 4);
    expect(answer(c1).s1.subarray(4, 8)).toEqual(hex('00000000'));
  });
});

describe.each([
  ['key block first', DIGEST_BLOCKS.keyFirst],
  ['digest block first', DIGEST_BLOCKS.digestFirst],
])('complex handshake, %s', (_name, block) => {
  it('gets a signed S1 in the same scheme and a signed S2', () => {
    for (let n = 0; n < 20; n++) {
      const c1 = signedC1(block);
      const { s0, s1, s2 } = answer(c1);
      expect(s0).toEqual(hex('03'));
      // ffmpeg as a player looks at this byte to know whether to check the digest.
      expect(s1.readUInt8(4)).toBeGreaterThanOrEqual(3);
      expect(checkAnswer(c1, block, s1, s2)).toEqual({ s1: true, s2: true });
    }
  });

  it.each([
    ['first', '00000000'],
    ['last', 'ffff00d9'], // 255 + 255 + 217 = 727
    ['first again', 'ffff00da'], // 728
    ['largest sum', 'ffffffff'],
  ])('finds the digest at the %s position', (_position, offset) => {
    const c1 = signedC1(block, hex(offset));
    const { s1, s2 } = answer(c1);
    expect(checkAnswer(c1, block, s1, s2)).toEqual({ s1: true, s2: true });
  });
});

describe('bytes in any pieces', () => {
  it('give one answer and keep what follows C2', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 8 }),
        fc.uint8Array({ maxLength: 50 }),
        fc.constantFrom(null, ...Object.values(DIGEST_BLOCKS)),
        (sizes, trailer, block) => {
          const c1 = block === null ? simpleC1() : signedC1(block);
          const after = Buffer.from(trailer);
          const handshake = new ServerHandshake();
          let answered = 0;
          const rests: Buffer[] = [];
          let received = 0;
          for (const piece of split(Buffer.concat([hex('03'), c1, randomBytes(SIZE), after]), sizes)) {
            received += piece.length;
            if (rests.length > 0) {
              rests.push(piece);
              continue;
            }
            const { response, rest } = handshake.push(piece);
            answered += response.length;
            // As soon as C1 is complete: clients wait for the answer before they send C2.
            expect(answered).toBe(received >= 1 + SIZE ? 1 + 2 * SIZE : 0);
            expect(rest !== null).toBe(received >= 1 + 2 * SIZE);
            if (rest !== null) rests.push(rest);
          }
          expect(Buffer.concat(rests).equals(after)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('may be single', () => {
    const handshake = new ServerHandshake();
    const bytes = Buffer.concat([hex('03'), simpleC1(), randomBytes(SIZE), hex('0201')]);
    const results = split(bytes, [1]).map((piece) => handshake.push(piece));
    expect(results.map(({ response }) => response.length).filter((length) => length > 0)).toEqual([3073]);
    expect(results.findIndex(({ response }) => response.length > 0)).toBe(1536);
    expect(results[3072]?.rest).toEqual(Buffer.alloc(0));
  });

  it('keeps the rest although the socket uses its buffer again', () => {
    const input = Buffer.concat([hex('03'), simpleC1(), randomBytes(SIZE), hex('0201')]);
    const { rest } = new ServerHandshake().push(input);
    input.fill(0);
    expect(rest).toEqual(hex('0201'));
  });

  it('does not mind what is in C2', () => {
    expect(
      new ServerHandshake().push(Buffer.concat([hex('03'), simpleC1(), Buffer.alloc(SIZE)])).rest,
    ).toEqual(Buffer.alloc(0));
  });
});

describe('version byte', () => {
  it.each([0, 1, 3, 6, 8, 9, 31])('%i is answered with 3', (version) => {
    expect(answer(simpleC1(), version).s0).toEqual(hex('03'));
  });

  it.each([32, 0x47, 0x50, 0x80, 0xff])('%i is refused at once', (version) => {
    expect(failure(() => new ServerHandshake().push(Buffer.of(version)))).toBe('SLUICE_RTMP_NOT_RTMP');
  });

  it('of TLS is refused with a hint', () => {
    expect(() => new ServerHandshake().push(hex('16 0301'))).toThrow(/rtmps/);
    expect(failure(() => new ServerHandshake().push(hex('16')))).toBe('SLUICE_RTMP_NOT_RTMP');
  });

  it('may come late', () => {
    const handshake = new ServerHandshake();
    expect(handshake.push(Buffer.alloc(0))).toEqual({ response: Buffer.alloc(0), rest: null });
    expect(failure(() => handshake.push(hex('20')))).toBe('SLUICE_RTMP_NOT_RTMP');
  });
});

describe('ClientHandshake', () => {
  it('sends version 3, a zero time and four zero bytes, then random ones', () => {
    const start = new ClientHandshake().start();
    expect(start.length).toBe(1 + SIZE);
    expect(start.subarray(0, 9)).toEqual(hex('03 00000000 00000000'));
    expect(start.equals(new ClientHandshake().start())).toBe(false);
  });

  it('comes to terms with ServerHandshake in any pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 5 }),
        fc.uint8Array({ maxLength: 20 }),
        (sizes, trailer) => {
          const client = new ClientHandshake();
          const server = new ServerHandshake();
          const { response: s0s1s2 } = server.push(client.start());
          const after = Buffer.from(trailer);
          const responses: Buffer[] = [];
          const rests: Buffer[] = [];
          for (const piece of split(Buffer.concat([s0s1s2, after]), sizes)) {
            if (rests.length > 0) {
              rests.push(piece);
              continue;
            }
            const { response, rest } = client.push(piece);
            responses.push(response);
            if (rest !== null) rests.push(rest);
          }
          const c2 = Buffer.concat(responses);
          expect(c2.equals(s0s1s2.subarray(1, 1 + SIZE))).toBe(true);
          expect(Buffer.concat(rests).equals(after)).toBe(true);
          expect(server.push(c2).rest).toEqual(Buffer.alloc(0));
        },
      ),
      { numRuns: 50 },
    );
  });
});
