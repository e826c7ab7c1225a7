import { createHmac, randomFillSync } from 'node:crypto';
import { SluiceError } from '../media/errors.ts';

/** C1, S1, C2 and S2 are all this long (RTMP 1.0 section 5.2). */
const SIZE = 1536;
const DIGEST_SIZE = 32;
const VERSION = 3;
/** First byte of a TLS connection. */
const TLS_HANDSHAKE = 0x16;
/** Any version from 3.0 on announces a digest; players check the first byte for it. */
const SERVER_VERSION = 0x0d0e0a0d;

const KEY_TAIL = Buffer.from('f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae', 'hex');
const SERVER_KEY_TEXT = Buffer.from('Genuine Adobe Flash Media Server 001', 'latin1');
const CLIENT_KEY_TEXT = Buffer.from('Genuine Adobe Flash Player 001', 'latin1');
const SERVER_KEY = Buffer.concat([SERVER_KEY_TEXT, KEY_TAIL]);

/** Where the two schemes of the complex handshake keep the four bytes whose sum places the digest, and its base. */
const SCHEMES = [
  { offsetAt: 772, base: 776 }, // key block first
  { offsetAt: 8, base: 12 }, // digest block first
] as const;
/** 764 bytes of a block without the offset bytes and the digest itself. */
const DIGEST_POSITIONS = 728;

type Scheme = (typeof SCHEMES)[number];

export interface HandshakeResult {
  /** To be sent now; empty while more input is needed. */
  readonly response: Buffer;
  /** Bytes after the handshake; null while it is not complete. */
  readonly rest: Buffer | null;
}

const NOTHING = Buffer.alloc(0);

/**
 * The server's side: C0 C1 in, S0 S1 S2 out in one piece (clients wait for different parts of it), then C2 in, which
 * is not checked because clients fill it differently. Clients that sign C1 get a signed answer in the same scheme.
 */
export class ServerHandshake {
  #received: Buffer = NOTHING;
  #answered = false;

  /** @throws SluiceError SLUICE_RTMP_NOT_RTMP when the first byte cannot be an RTMP version */
  push(bytes: Buffer): HandshakeResult {
    this.#received = Buffer.concat([this.#received, bytes]);
    let response: Buffer = NOTHING;
    if (!this.#answered) {
      const version = this.#received[0] ?? VERSION;
      if (version === TLS_HANDSHAKE) {
        throw new SluiceError(
          'SLUICE_RTMP_NOT_RTMP',
          'the client speaks TLS; use rtmp:// instead of rtmps://',
        );
      }
      // 6, 8 and 9 ask for RTMPE; unknown small numbers are taken for 3 as other servers do.
      if (version > 31)
        throw new SluiceError('SLUICE_RTMP_NOT_RTMP', `the first byte is ${version}, not an RTMP version`);
      if (this.#received.length < 1 + SIZE) return { response, rest: null };
      response = answer(this.#received.subarray(1, 1 + SIZE));
      this.#answered = true;
    }
    const end = 1 + 2 * SIZE;
    return { response, rest: this.#received.length < end ? null : Buffer.from(this.#received.subarray(end)) };
  }
}

function answer(c1: Buffer): Buffer {
  const out = Buffer.alloc(1 + 2 * SIZE);
  out.writeUInt8(VERSION, 0);
  const s1 = out.subarray(1, 1 + SIZE);
  const s2 = out.subarray(1 + SIZE);
  randomFillSync(s1, 8);
  const signed = findDigest(c1);
  if (signed === null) {
    // Simple handshake: time and four zero bytes, then random; S2 repeats C1.
    c1.copy(s2);
    return out;
  }
  s1.writeUInt32BE(SERVER_VERSION, 4);
  const position = digestPosition(s1, signed.scheme);
  digestOf(s1, position, SERVER_KEY_TEXT).copy(s1, position);
  randomFillSync(s2, 0, SIZE - DIGEST_SIZE);
  const key = hmac(SERVER_KEY, signed.digest);
  hmac(key, s2.subarray(0, SIZE - DIGEST_SIZE)).copy(s2, SIZE - DIGEST_SIZE);
  return out;
}

function findDigest(c1: Buffer): { scheme: Scheme; digest: Buffer } | null {
  // Version 0 is the simple handshake (OBS).
  if (c1.readUInt32BE(4) === 0) return null;
  for (const scheme of SCHEMES) {
    const position = digestPosition(c1, scheme);
    const digest = c1.subarray(position, position + DIGEST_SIZE);
    if (digest.equals(digestOf(c1, position, CLIENT_KEY_TEXT))) return { scheme, digest };
  }
  return null;
}

function digestPosition(block: Buffer, { offsetAt, base }: Scheme): number {
  const sum =
    block.readUInt8(offsetAt) +
    block.readUInt8(offsetAt + 1) +
    block.readUInt8(offsetAt + 2) +
    block.readUInt8(offsetAt + 3);
  return base + (sum % DIGEST_POSITIONS);
}

/** HMAC-SHA256 over the 1536 bytes without the 32 of the digest itself. */
function digestOf(block: Buffer, position: number, key: Buffer): Buffer {
  return createHmac('sha256', key)
    .update(block.subarray(0, position))
    .update(block.subarray(position + DIGEST_SIZE))
    .digest();
}

function hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** The client's side, simple handshake: C0 C1 out, S0 S1 S2 in, C2 (S1 again) out. */
export class ClientHandshake {
  #received: Buffer = NOTHING;

  start(): Buffer {
    const out = Buffer.alloc(1 + SIZE);
    out.writeUInt8(VERSION, 0);
    randomFillSync(out, 9);
    return out;
  }

  push(bytes: Buffer): HandshakeResult {
    this.#received = Buffer.concat([this.#received, bytes]);
    const end = 1 + 2 * SIZE;
    if (this.#received.length < end) return { response: NOTHING, rest: null };
    return {
      response: Buffer.from(this.#received.subarray(1, 1 + SIZE)),
      rest: Buffer.from(this.#received.subarray(end)),
    };
  }
}
