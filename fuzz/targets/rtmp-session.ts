import { pieces } from '../support/pieces.ts';
import { checkHeldBytes, runSession } from '../support/watched-session.ts';

/** The application's answers u8, the pieces u8, then the bytes behind the handshake. */
export const maxLength = 8192;

export function fuzz(data: Buffer): void {
  if (data.length >= 2) runSession(data.readUInt8(0), input(data));
}

export function inspect(data: Buffer): void {
  if (data.length >= 2) checkHeldBytes(data.readUInt8(0), input(data));
}

function input(data: Buffer): Buffer[] {
  return pieces(data.subarray(2), data.readUInt8(1));
}
