import { createHmac, randomBytes } from 'node:crypto';

const TAIL = Buffer.from('f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae', 'hex');
const PLAYER = Buffer.from('Genuine Adobe Flash Player 001');
const SERVER = Buffer.from('Genuine Adobe Flash Media Server 001');

/** Where the digest block begins inside C1 or S1: behind the key block, or in front of it. */
export const DIGEST_BLOCKS = { keyFirst: 772, digestFirst: 8 } as const;

function sign(key: Buffer, ...parts: Buffer[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function digestAt(packet: Buffer, block: number): number {
  const sum = packet.subarray(block, block + 4).reduce((total, byte) => total + byte, 0);
  return block + 4 + (sum % 728);
}

function without(packet: Buffer, at: number): [Buffer, Buffer] {
  return [packet.subarray(0, at), packet.subarray(at + 32)];
}

/** A C1 as Flash players sign it. @param offset the four bytes that place the digest; random when left out */
export function signedC1(block: number, offset?: Buffer): Buffer {
  const c1 = randomBytes(1536);
  c1.writeUInt32BE(0x0a002d02, 4);
  offset?.copy(c1, block);
  const at = digestAt(c1, block);
  sign(PLAYER, ...without(c1, at)).copy(c1, at);
  return c1;
}

/** What a player that checks finds in the answer to its C1. */
export function checkAnswer(c1: Buffer, block: number, s1: Buffer, s2: Buffer): { s1: boolean; s2: boolean } {
  const at = digestAt(s1, block);
  const digest = c1.subarray(digestAt(c1, block)).subarray(0, 32);
  const key = sign(Buffer.concat([SERVER, TAIL]), digest);
  return {
    s1: sign(SERVER, ...without(s1, at)).equals(s1.subarray(at, at + 32)),
    s2: sign(key, s2.subarray(0, 1504)).equals(s2.subarray(1504)),
  };
}
