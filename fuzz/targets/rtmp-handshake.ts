import { ClientHandshake, type HandshakeResult, ServerHandshake } from '../../src/rtmp/handshake.ts';
import { feed, pieces } from '../support/pieces.ts';
import { check, failure } from '../support/tolerate.ts';

/** The pieces u8, then C0, C1 and C2, or S0, S1 and S2; zeros where the input ends early. */
export const maxLength = 4096;

const HANDSHAKE_BYTES = 1 + 2 * 1536;

interface Side {
  push(bytes: Buffer): HandshakeResult;
}

export function fuzz(data: Buffer): void {
  if (data.length === 0) return;
  const given = data.subarray(1);
  const missing = Buffer.alloc(Math.max(0, HANDSHAKE_BYTES - given.length));
  const bytes = Buffer.concat([given, missing]);
  const rest = bytes.subarray(HANDSHAKE_BYTES);
  for (const side of [new ServerHandshake(), new ClientHandshake()] satisfies Side[]) {
    let answered = 0;
    const over: Buffer[] = [];
    const code = failure(() => {
      // Single bytes would only be slow: three thousand of them pass before anything happens.
      feed(pieces(bytes, data.readUInt8(0) | 0x80), (piece) => {
        if (over.length > 0) {
          over.push(Buffer.from(piece));
          return;
        }
        const result = side.push(piece);
        answered += result.response.length;
        // The rest is read before the next bytes come.
        if (result.rest !== null) over.push(Buffer.from(result.rest));
      });
    });
    if (code !== null) {
      check(code === 'SLUICE_RTMP_NOT_RTMP', `${code} from a handshake`);
      continue;
    }
    check(
      answered === (side instanceof ServerHandshake ? HANDSHAKE_BYTES : 1536),
      `${answered} bytes of answer`,
    );
    check(Buffer.concat(over).equals(rest), 'bytes behind the handshake are not the same');
  }
}
